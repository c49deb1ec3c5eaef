#pragma once
// multipart/form-data bodies (RFC 7578), as browsers and curl send them.
#include <string>
#include <string_view>
#include <vector>

namespace telltale {

/// A part of a body; its bytes lie in the body.
struct FormPart {
  std::string name, filename;
  std::string_view bytes;
};

/// The boundary of a Content-Type header; empty when it is no multipart/form-data with one of 1 to 70 characters.
std::string multipart_boundary(std::string_view content_type);
/// The parts in order. Linear in the body, which nobody vouches for: throws DataError when it is cut short, a part has
/// more than 4096 bytes of headers, or there are more than `most` parts.
std::vector<FormPart> read_multipart(std::string_view body, const std::string& boundary, size_t most);

}  // namespace telltale
