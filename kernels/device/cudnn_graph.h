#pragma once
// cuDNN's graph API as far as convolutions need it: descriptors that own themselves, and plans for a GPU at hand or for
// one that is only described.
#include <cudnn.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "kernels/device/stream.h"

namespace telltale::cudnn {

/// cuDNN's functions, bound at run time.
struct Library {
  decltype(&cudnnGetVersion) version;
  decltype(&cudnnGetErrorString) error_string;
  decltype(&cudnnGetLastErrorString) last_error;
  decltype(&cudnnCreate) create;
  decltype(&cudnnDestroy) destroy;
  decltype(&cudnnSetStream) set_stream;
  decltype(&cudnnBackendCreateDescriptor) create_descriptor;
  decltype(&cudnnBackendDestroyDescriptor) destroy_descriptor;
  decltype(&cudnnBackendFinalize) finalize;
  decltype(&cudnnBackendSetAttribute) set;
  decltype(&cudnnBackendGetAttribute) get;
  decltype(&cudnnBackendExecute) execute;
};
/// Loads cuDNN on first use; throws DeviceError when it is absent or of another major version than the headers.
const Library& library();
/// Throws DeviceError with cuDNN's words unless the call succeeded.
void require(cudnnStatus_t);

/// One backend descriptor. Its setters and finalize() throw DeviceError with cuDNN's words.
class Descriptor {
 public:
  explicit Descriptor(cudnnBackendDescriptorType_t type);
  Descriptor(Descriptor&& o) noexcept : d_(std::exchange(o.d_, nullptr)) {}
  Descriptor& operator=(Descriptor&& o) noexcept {
    std::swap(d_, o.d_);
    return *this;
  }
  ~Descriptor();

  template <class T>
  Descriptor& set(cudnnBackendAttributeName_t name, const std::vector<T>& values) {
    return set(name, type_of(T{}), int64_t(values.size()), values.data());
  }
  template <class T>
  Descriptor& set(cudnnBackendAttributeName_t name, const T& value) {
    return set(name, type_of(T{}), 1, &value);
  }
  Descriptor& set(cudnnBackendAttributeName_t name, const Descriptor& value);
  Descriptor& set(cudnnBackendAttributeName_t name, const std::vector<Descriptor>& values);
  Descriptor& set(cudnnBackendAttributeName_t name, const std::string& text);
  Descriptor& set(cudnnBackendAttributeName_t, cudnnBackendAttributeType_t, int64_t count, const void* values);
  Descriptor& finalize();
  /// Instead of throwing, false where cuDNN refuses.
  bool try_finalize();

  /// As many values as the attribute has, at most `most`.
  template <class T>
  std::vector<T> get(cudnnBackendAttributeName_t name, int64_t most) const {
    std::vector<T> values(static_cast<size_t>(most));
    values.resize(size_t(get(name, type_of(T{}), most, values.data())));
    return values;
  }
  /// The same for descriptors, which must exist to be filled.
  std::vector<Descriptor> get(cudnnBackendAttributeName_t name, cudnnBackendDescriptorType_t type, int64_t most) const;
  int64_t get(cudnnBackendAttributeName_t, cudnnBackendAttributeType_t, int64_t most, void* values) const;
  /// How many descriptors an attribute has.
  int64_t count(cudnnBackendAttributeName_t name) const;
  cudnnBackendDescriptor_t raw() const { return d_; }

 private:
  static cudnnBackendAttributeType_t type_of(int64_t) { return CUDNN_TYPE_INT64; }
  static cudnnBackendAttributeType_t type_of(float) { return CUDNN_TYPE_FLOAT; }
  static cudnnBackendAttributeType_t type_of(double) { return CUDNN_TYPE_DOUBLE; }
  static cudnnBackendAttributeType_t type_of(bool) { return CUDNN_TYPE_BOOLEAN; }
  static cudnnBackendAttributeType_t type_of(char) { return CUDNN_TYPE_CHAR; }
  static cudnnBackendAttributeType_t type_of(void*) { return CUDNN_TYPE_VOID_PTR; }
  static cudnnBackendAttributeType_t type_of(cudnnHandle_t) { return CUDNN_TYPE_HANDLE; }
  static cudnnBackendAttributeType_t type_of(cudnnDataType_t) { return CUDNN_TYPE_DATA_TYPE; }
  static cudnnBackendAttributeType_t type_of(cudnnConvolutionMode_t) { return CUDNN_TYPE_CONVOLUTION_MODE; }
  static cudnnBackendAttributeType_t type_of(cudnnPointwiseMode_t) { return CUDNN_TYPE_POINTWISE_MODE; }
  static cudnnBackendAttributeType_t type_of(cudnnBackendHeurMode_t) { return CUDNN_TYPE_HEUR_MODE; }
  static cudnnBackendAttributeType_t type_of(cudnnBackendKnobType_t) { return CUDNN_TYPE_KNOB_TYPE; }
  static cudnnBackendAttributeType_t type_of(cudnnBackendNumericalNote_t) { return CUDNN_TYPE_NUMERICAL_NOTE; }
  static cudnnBackendAttributeType_t type_of(cudnnBackendBehaviorNote_t) { return CUDNN_TYPE_BEHAVIOR_NOTE; }
  cudnnBackendDescriptor_t d_ = nullptr;
};

/// What plans are made for.
class Target {
 public:
  /// The GPU of a CUDA stream, with a handle bound to the stream. Throws DeviceError with cuDNN's reason.
  explicit Target(Stream&);
  /// A GPU described by cuDNN's device-properties JSON (cuDNN ≥ 9.8): plans can be made and checked, not run, without a
  /// GPU or driver.
  explicit Target(const std::string& json);
  Target(const Target&) = delete;
  Target& operator=(const Target&) = delete;
  ~Target();
  cudnnHandle_t handle() const { return handle_; }
  /// Tie what is being built to this target.
  void bind_graph(Descriptor&) const;
  void bind_heuristics(Descriptor&) const;
  void bind_engine(Descriptor&) const;
  void bind_plan(Descriptor&) const;

 private:
  cudnnHandle_t handle_ = nullptr;
  std::optional<Descriptor> described_;
};
/// The JSON description of a CUDA stream's GPU, as Target takes it.
std::string describe_device(Stream&);

}  // namespace telltale::cudnn
