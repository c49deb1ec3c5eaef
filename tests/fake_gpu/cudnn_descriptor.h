#pragma once
// What a cuDNN descriptor holds: attributes by name, descriptors among them by reference.
#include <cudnn.h>

#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <vector>

namespace telltale::fake_gpu {

struct Node;
using NodePtr = std::shared_ptr<Node>;

struct Attribute {
  cudnnBackendAttributeType_t type;
  int64_t count = 0;
  std::vector<char> bytes;
  std::vector<NodePtr> nodes;
};

struct Node {
  cudnnBackendDescriptorType_t type;
  bool is_final = false;
  std::map<int, Attribute> attributes;

  /// The attribute's values; none where it was not set.
  template <class T>
  std::vector<T> all(int name) const {
    const auto at = attributes.find(name);
    if (at == attributes.end()) return {};
    std::vector<T> values(at->second.bytes.size() / sizeof(T));
    std::memcpy(values.data(), at->second.bytes.data(), values.size() * sizeof(T));
    return values;
  }
  template <class T>
  T one(int name, T otherwise = {}) const {
    const std::vector<T> values = all<T>(name);
    return values.empty() ? otherwise : values[0];
  }
  template <class T>
  void set(int name, cudnnBackendAttributeType_t attribute_type, const std::vector<T>& values) {
    Attribute a{.type = attribute_type, .count = int64_t(values.size()), .bytes = {}, .nodes = {}};
    a.bytes.resize(values.size() * sizeof(T));
    std::memcpy(a.bytes.data(), values.data(), a.bytes.size());
    attributes[name] = std::move(a);
  }
  /// Null where there is none.
  NodePtr node(int name) const {
    const auto at = attributes.find(name);
    return at == attributes.end() || at->second.nodes.empty() ? nullptr : at->second.nodes[0];
  }
  std::vector<NodePtr> nodes(int name) const {
    const auto at = attributes.find(name);
    return at == attributes.end() ? std::vector<NodePtr>{} : at->second.nodes;
  }
  void set_nodes(int name, std::vector<NodePtr> values) {
    attributes[name] = {CUDNN_TYPE_BACKEND_DESCRIPTOR, int64_t(values.size()), {}, std::move(values)};
  }
};

/// What a program holds: cudnnBackendDescriptor_t points to one.
struct Handle {
  NodePtr node;
};

}  // namespace telltale::fake_gpu
