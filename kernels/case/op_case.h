#pragma once
// A case proves and times one op. One body serves: reference test on every device and dtype, gradient check in double,
// emulation of the device body with lanes forward and reversed, and `bench kernels`. The device is a parameter of the
// run, never typed in a case.
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernels/device/buffer.h"
#include "kernels/device/philox.h"

namespace telltale {

/// How far one op's outputs were from the reference, as a share of what its case allows.
struct Margin {
  double share = 0;   ///< worst error / allowed error; above 1 fails
  std::string where;  ///< "y[12,3,0,7] got 1.25, expected 1.5 (allowed 0.01)"
};

/// What a case is run with, and what it reports to. Tensors it hands out stand between guard bytes; outputs are
/// poisoned with NaN.
class CaseRun {
 public:
  enum class Mode : uint8_t { test, bench };
  CaseRun(Stream& stream, DType dtype, Mode mode, uint64_t seed);

  Stream& stream;
  const DType dtype;  ///< of the activations
  const Mode mode;
  Random random;
  /// A test's tensors all start where a plan would place them; otherwise every other one starts an element off.
  bool aligned = false;

  bool is_test() const { return mode == Mode::test; }
  bool is_f64() const { return dtype == DType::f64; }

  /// A tensor filled uniformly in [low, high), already rounded to its dtype (default: the run's). In a bench a million
  /// numbers repeat.
  Tensor input(Shape shape, double low = -1, double high = 1);
  Tensor input(Shape shape, DType type, double low, double high);
  Tensor from(Shape shape, DType type, const std::vector<double>& values);
  /// A tensor full of NaN (0xff bytes for integers): whatever an op forgets to write shows.
  Tensor output(Shape shape);
  Tensor output(Shape shape, DType type);
  /// A bench on a GPU: the shape with its batch multiplied until a tensor of it fills 256 MB, several times the L2.
  /// Anywhere else as it is.
  Shape sized(Shape shape) const;
  /// A bench on a GPU: the shape with a batch of `n`, as the nets run there. Anywhere else as it is.
  Shape batched(Shape shape, int n) const;
  /// The values of a tensor as doubles.
  std::vector<double> values(Tensor t);
  void assign(Tensor t, const std::vector<double>& values);

  /// Runs the op: once in a test; at least 20 times in bench, on a GPU with its L2 flushed before each and timed by
  /// events. bytes and flops: what one call must read + write, and compute.
  void op(double bytes, double flops, const std::function<void()>& f);
  /// Test only: every element within `ulps` units in the last place of the tensor's dtype, measured at max(|expected|,
  /// floor). NaN and inf must match in kind. For a sum of K terms allow about sqrt(K) ulps of the accumulator: pass
  /// them in `ulps`.
  void expect(const std::string& name, Tensor got, const std::vector<double>& expected, double ulps, double floor = 1);
  /// f64 test runs only: dx against central differences of sum(y·dy) over up to `samples` elements of x; `forward`
  /// recomputes y from x.
  void gradient(const std::string& name, Tensor x, Tensor dx, Tensor y, Tensor dy, const std::function<void()>& forward,
                double tolerance = 1e-6, int samples = 48);
  /// Test only: a plain condition.
  void require(const std::string& what, bool condition);
  /// Test only: throws if a guard was overwritten, naming the tensor's shape.
  void check_guards();

  const Margin& margin() const { return margin_; }
  const std::vector<std::string>& failures() const { return failures_; }
  /// Bench results, in seconds per call, sorted.
  const std::vector<double>& seconds() const { return seconds_; }
  double bytes = 0, flops = 0;

 private:
  Tensor guarded(Shape shape, DType type);
  void report(double share, const std::string& where);
  std::vector<OwnedTensor> owned_;
  std::vector<std::pair<Tensor, size_t>> guards_;  // a view of the payload and its index in owned_
  Margin margin_;
  std::vector<std::string> failures_;
  std::vector<double> seconds_;
};

/// One op at one size.
struct OpCase {
  std::string op;             ///< "batchnorm_forward"
  std::string size;           ///< "[2,5,7,3] relu residual"
  std::vector<DType> dtypes;  ///< which it must run in
  std::function<void(CaseRun&)> run;
  bool bench = false;  ///< a size worth timing: big enough to leave the caches
  bool test = true;    ///< small enough to check in CI
  std::string kernel =
      {};  ///< whose it is: its file below kernels/ without _case.cpp: "conv/norm"; set when registered
};

/// Every case linked into this program, in name order.
std::vector<OpCase> all_cases();
/// Registers at start-up: `static const RegisterCases r([](std::vector<OpCase>& to) { … });` in an x_case.cpp.
struct RegisterCases {
  /// @param file  the x_case.cpp, by its path. Not std::source_location, which Clang 14 lacks.
  explicit RegisterCases(void (*add)(std::vector<OpCase>&), const char* file = __builtin_FILE());
};

inline const std::vector<DType> kAllFloats = {DType::f32, DType::f64, DType::bf16, DType::f16};

}  // namespace telltale
