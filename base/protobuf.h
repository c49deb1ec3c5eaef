#pragma once
// Messages in Protocol Buffers' wire format (protobuf.dev/programming-guides/encoding), written field by field.
#include <bit>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace telltale {

/// A message's bytes so far. Every call appends one field; a repeated field is a call for each element.
class ProtoMessage {
 public:
  /// int32, int64, uint64, bool and enums. Negative numbers take ten bytes.
  ProtoMessage& integer(int field, int64_t value) {
    tag(field, 0);
    varint(uint64_t(value));
    return *this;
  }
  ProtoMessage& real(int field, double value) {
    tag(field, 1);
    little_endian(std::bit_cast<uint64_t>(value), 8);
    return *this;
  }
  ProtoMessage& real32(int field, float value) {
    tag(field, 5);
    little_endian(std::bit_cast<uint32_t>(value), 4);
    return *this;
  }
  /// string and bytes.
  ProtoMessage& text(int field, std::string_view value) {
    tag(field, 2);
    varint(value.size());
    bytes_ += value;
    return *this;
  }
  ProtoMessage& message(int field, const ProtoMessage& value) { return text(field, value.bytes_); }
  /// A repeated number, packed: proto3's form.
  ProtoMessage& integers(int field, const std::vector<int64_t>& values) {
    ProtoMessage packed;
    for (const int64_t v : values) packed.varint(uint64_t(v));
    return message(field, packed);
  }
  ProtoMessage& reals32(int field, const std::vector<float>& values) {
    ProtoMessage packed;
    for (const float v : values) packed.little_endian(std::bit_cast<uint32_t>(v), 4);
    return message(field, packed);
  }
  const std::string& bytes() const { return bytes_; }

 private:
  void tag(int field, int wire_type) { varint(uint64_t(field) << 3 | uint64_t(wire_type)); }
  void varint(uint64_t value) {
    for (; value > 0x7f; value >>= 7) bytes_ += char(value | 0x80);
    bytes_ += char(value);
  }
  void little_endian(uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) bytes_ += char(value >> 8 * i);
  }
  std::string bytes_;
};

}  // namespace telltale
