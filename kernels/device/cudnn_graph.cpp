#if TT_CUDNN
#include "kernels/device/cudnn_graph.h"

#include <algorithm>
#include <cstring>

#include "base/shared_library.h"

namespace telltale::cudnn {
namespace {

Library load() {
  const SharedLibrary so{cat("libcudnn.so.", CUDNN_MAJOR).c_str()};
  Library l{};
  so.bind(l.version, "cudnnGetVersion");
  so.bind(l.error_string, "cudnnGetErrorString");
  so.bind(l.last_error, "cudnnGetLastErrorString");
  so.bind(l.create, "cudnnCreate");
  so.bind(l.destroy, "cudnnDestroy");
  so.bind(l.set_stream, "cudnnSetStream");
  so.bind(l.create_descriptor, "cudnnBackendCreateDescriptor");
  so.bind(l.destroy_descriptor, "cudnnBackendDestroyDescriptor");
  so.bind(l.finalize, "cudnnBackendFinalize");
  so.bind(l.set, "cudnnBackendSetAttribute");
  so.bind(l.get, "cudnnBackendGetAttribute");
  so.bind(l.execute, "cudnnBackendExecute");
  return l;
}

std::string words_for(cudnnStatus_t status) {
  char detail[512] = "";
  library().last_error(detail, sizeof detail);
  return cat("cuDNN ", library().version(), ": ", library().error_string(status), *detail ? "; " : "", detail);
}

// Their names are marked deprecated since a device description may stand in; releases before 9.8 know only these.
constexpr auto kGraphHandle = cudnnBackendAttributeName_t(800), kPlanHandle = cudnnBackendAttributeName_t(400);

}  // namespace

const Library& library() {
  static const Library loaded = load();
  return loaded;
}

void require(cudnnStatus_t status) {
  if (status != CUDNN_STATUS_SUCCESS) throw DeviceError(words_for(status));
}

Descriptor::Descriptor(cudnnBackendDescriptorType_t type) { require(library().create_descriptor(type, &d_)); }

Descriptor::~Descriptor() {
  if (d_) library().destroy_descriptor(d_);
}

Descriptor& Descriptor::set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count,
                            const void* values) {
  require(library().set(d_, name, type, count, values));
  return *this;
}

Descriptor& Descriptor::set(cudnnBackendAttributeName_t name, const Descriptor& value) {
  return set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value.d_);
}

Descriptor& Descriptor::set(cudnnBackendAttributeName_t name, const std::vector<Descriptor>& values) {
  static_assert(sizeof(Descriptor) == sizeof(cudnnBackendDescriptor_t), "an array of ours is an array of cuDNN's");
  return set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, int64_t(values.size()), values.data());
}

Descriptor& Descriptor::set(cudnnBackendAttributeName_t name, const std::string& text) {
  return set(name, CUDNN_TYPE_CHAR, int64_t(text.size()), text.data());
}

Descriptor& Descriptor::finalize() {
  require(library().finalize(d_));
  return *this;
}

bool Descriptor::try_finalize() { return library().finalize(d_) == CUDNN_STATUS_SUCCESS; }

int64_t Descriptor::get(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t most,
                        void* values) const {
  int64_t count = 0;
  require(library().get(d_, name, type, most, &count, values));
  return std::min(count, most);
}

int64_t Descriptor::count(cudnnBackendAttributeName_t name) const {
  int64_t count = 0;
  require(library().get(d_, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, &count, nullptr));
  return count;
}

std::vector<Descriptor> Descriptor::get(cudnnBackendAttributeName_t name, cudnnBackendDescriptorType_t type,
                                        int64_t most) const {
  std::vector<Descriptor> values;
  for (int64_t i = 0; i < most; ++i) values.emplace_back(type);
  const int64_t count = get(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, most, values.data());
  while (int64_t(values.size()) > count) values.pop_back();
  return values;
}

Target::Target(Stream& s) {
  const cudnnStatus_t status = library().create(&handle_);
  TT_CHECK(status == CUDNN_STATUS_SUCCESS, DeviceError, "cuDNN can't use this GPU: ", words_for(status));
  require(library().set_stream(handle_, static_cast<cudaStream_t>(s.native())));
}

Target::Target(const std::string& json) : described_(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR) {
  described_->set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, json).finalize();
}

Target::~Target() {
  if (handle_) library().destroy(handle_);
}

void Target::bind_graph(Descriptor& d) const {
  if (handle_) d.set(kGraphHandle, handle_);
}
void Target::bind_heuristics(Descriptor& d) const {
  if (described_) d.set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, *described_);
}
void Target::bind_engine(Descriptor& d) const {
  if (described_) d.set(CUDNN_ATTR_ENGINE_DEVICEPROP, *described_);
}
void Target::bind_plan(Descriptor& d) const {
  if (described_) return void(d.set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, *described_));
  d.set(kPlanHandle, handle_);
}

std::string describe_device(Stream& s) {
  const Target target(s);
  Descriptor d(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
  d.set(CUDNN_ATTR_DEVICEPROP_HANDLE, target.handle()).finalize();
  const std::vector<char> text = d.get<char>(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, 1 << 16);
  return std::string(text.data(), strnlen(text.data(), text.size()));
}

}  // namespace telltale::cudnn
#endif
