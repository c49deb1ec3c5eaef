#include "losses/pixel_loss.h"

namespace telltale {
namespace {

/// The Lovász hinge of a map (Berman 2018, "The Lovász-Softmax loss", binary): errors 1 − s·x of the logits x, s = 1
/// where painted (a label from .5 on) and −1 elsewhere, from the largest down, each above 0 times what it adds to the
/// Jaccard distance of the pixels so far to the truth. Where nothing is painted: the largest error.
struct LovaszHinge {
  static constexpr const char* about = "Lovász hinge: the Jaccard distance of a map, made convex (Berman 2018)";
};

/// Columns behind PixelTerms: what the intersection is made of.
struct LovaszWork {
  enum : int { both = PixelTerms::count, either, count };
};

/// How many pixels of a map have a larger error than one, and how many its own, by what they are.
struct ErrorRank {
  int64_t painted_before = 0, others_before = 0, painted_equal = 0, others_equal = 0;
};

/// First: a row's gradients and sums. A pixel's place in the order of errors is counted, not sorted for: it needs no
/// memory, and no order among equals that a device might choose otherwise. It takes pixels² comparisons, of which those
/// whose error is below 0 need none.
template <class S>
struct LovaszRow {
  using T = acc_t<S>;
  const S* pred;
  const T* target;
  T* terms;
  S* dpred;
  int height, width;
  const StepState* state;
  double weight;

  TT_HD void operator()(int64_t row) const {
    const int64_t pixels = int64_t(height) * width, map = row / height * pixels;
    int64_t painted = 0;
    for (int64_t j = map; j < map + pixels; ++j) painted += PixelCalls<T>::painted(target[j]);
    const T share = T(weight) / T(state->samples);
    PixelCalls<T> calls;
    T total = 0;
    for (int64_t i = row * width; i < (row + 1) * width; ++i) {
      const T x = load(pred[i]), t = target[i];
      calls.add(x, t);
      const bool is = PixelCalls<T>::painted(t);
      const T error = is ? 1 - x : 1 + x;
      T gradient = 0;
      if (!(error < 0)) {  // a NaN stays one
        const T step = share * step_of(is, painted, rank(map, pixels, is ? -x : x));
        total += step * error;
        gradient = (is ? -step : step) * (error == 0 ? T(0.5) : T(1));  // at the hinge the mean of both sides
      }
      dpred[i] = store<S>(gradient * T(state->loss_scale));
    }
    T* out = terms + row * LovaszWork::count;
    out[PixelTerms::total] = total;
    out[PixelTerms::correct] = calls.correct;
    out[LovaszWork::both] = calls.both;
    out[LovaszWork::either] = calls.either;
  }

 private:
  /// Of a pixel with −s·x = `negated` among those of its map.
  TT_HD ErrorRank rank(int64_t map, int64_t pixels, T negated) const {
    ErrorRank r;
    for (int64_t begin = map; begin < map + pixels; begin += width) {
      // Of a row, without a branch: the host counts in vectors.
      int painted_before = 0, before = 0, painted_equal = 0, equal = 0;
      for (int k = 0; k < width; ++k) {
        const int is = PixelCalls<T>::painted(target[begin + k]);
        const T other = load(pred[begin + k]) * T(1 - 2 * is);
        const int above = other > negated, same = other == negated;
        before += above;
        equal += same;
        painted_before += is & above;
        painted_equal += is & same;
      }
      r.painted_before += painted_before;
      r.others_before += before - painted_before;
      r.painted_equal += painted_equal;
      r.others_equal += equal - painted_equal;
    }
    return r;
  }
  /// What a pixel adds to the Jaccard distance 1 − (painted − p)/(painted + n) of p painted pixels and n others. Any
  /// order of equal errors gives the same loss; the gradient is the mean of two: painted ones first, others first, and
  /// among pixels of a kind each its share. For an error of its own that is the paper's.
  TT_HD static T step_of(bool is, int64_t painted, const ErrorRank& r) {
    if (painted == 0) return r.others_before == 0 ? 1 / T(r.others_equal) : T(0);  // the distance jumps to 1 at once
    const T joint = T(painted + r.others_before), then = joint + T(r.others_equal);
    if (is) return (1 / joint + 1 / then) / 2;
    return (T(painted - r.painted_before) - T(r.painted_equal) / 2) / (joint * then);
  }
};

/// Second: a map's sums from its rows'.
template <class T>
struct LovaszMap {
  T* terms;
  int height, width;
  TT_HD void operator()(int64_t n) const {
    T* rows = terms + n * height * LovaszWork::count;
    PixelCalls<T> calls;
    T total = 0;
    for (int row = 0; row < height; ++row) {
      T* of_row = rows + row * LovaszWork::count;
      total += of_row[PixelTerms::total];
      calls.correct += of_row[PixelTerms::correct];
      calls.both += of_row[LovaszWork::both];
      calls.either += of_row[LovaszWork::either];
      for (int k = 0; k < PixelTerms::count; ++k) of_row[k] = 0;
    }
    rows[PixelTerms::total] = total;
    calls.write(rows, T(height) * T(width));
  }
};

class LovaszLoss final : public Loss {
 public:
  LovaszLoss(std::string name, const LovaszHinge&, double weight) : name_(std::move(name)), weight_(weight) {}
  std::string name() const override { return name_; }
  int pred_width() const override { return 1; }
  int target_width() const override { return 1; }
  int terms() const override { return LovaszWork::count; }
  void eval(Stream& s, Tensor pred, Tensor target, Tensor terms, Tensor dpred, const StepState* state) const override {
    check_pixel_tensors(*this, pred, target, terms, dpred, state);
    const Shape& map = pred.shape;
    visit_float(pred.dtype, [&]<class S>(Tag<S>) {
      using T = acc_t<S>;
      for_each(s, int64_t(map.n) * map.h,
               LovaszRow<S>{pred.as<S>(), target.as<T>(), terms.as<T>(), dpred.as<S>(), map.h, map.w, state, weight_},
               int64_t(map.w) * map.h * map.w);
      for_each(s, map.n, LovaszMap<T>{terms.as<T>(), map.h, map.w}, 8 * map.h);
    });
  }
  double worst_gradient_error(uint64_t seed) const override { return worst_pixel_gradient_error(*this, seed); }

 private:
  std::string name_;
  double weight_;
};

const RegisterPixelLoss registered(pixel_loss_entry<LovaszHinge, LovaszLoss>("lovasz"));

}  // namespace
}  // namespace telltale
