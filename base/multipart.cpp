#include "base/multipart.h"

#include <strings.h>

#include <algorithm>

#include "base/check.h"

namespace telltale {
namespace {

constexpr size_t kMostHeaderBytes = 4096;

bool starts_with_any_case(std::string_view text, std::string_view start) {
  return text.size() >= start.size() && ::strncasecmp(text.data(), start.data(), start.size()) == 0;
}

/// The value of NAME=… in a header's parameters, without its quotes; `\"` in quotes is a quote.
std::string parameter(std::string_view header, std::string_view name) {
  for (size_t at = header.find(';'); at != header.npos; at = header.find(';', at)) {
    at = std::min(header.find_first_not_of(" \t", at + 1), header.size());
    const std::string_view rest = header.substr(at);
    if (!starts_with_any_case(rest, name) || rest.substr(name.size(), 1) != "=") continue;
    std::string_view value = rest.substr(name.size() + 1);
    if (!value.starts_with('"')) return std::string(value.substr(0, value.find_first_of("; \t")));
    std::string text;
    for (size_t i = 1; i < value.size() && value[i] != '"'; ++i) {
      if (value[i] == '\\' && i + 1 < value.size()) ++i;
      text += value[i];
    }
    return text;
  }
  return {};
}

}  // namespace

std::string multipart_boundary(std::string_view content_type) {
  if (!starts_with_any_case(content_type, "multipart/form-data")) return {};
  const std::string boundary = parameter(content_type, "boundary");
  return boundary.size() <= 70 ? boundary : "";
}

std::vector<FormPart> read_multipart(std::string_view body, const std::string& boundary, size_t most) {
  const std::string first = "--" + boundary, mark = "\r\n--" + boundary;
  TT_CHECK(body.starts_with(first), DataError, "the form does not begin with its boundary");
  std::vector<FormPart> parts;
  size_t at = first.size();
  while (body.substr(at, 2) != "--") {
    TT_CHECK(parts.size() < most, DataError, "the form has more than ", most, " parts");
    TT_CHECK(body.substr(at, 2) == "\r\n", DataError, "the form's boundary is followed by rubbish");
    // An empty header block ends with the boundary's own line end.
    const size_t headers_end = body.substr(0, std::min(body.size(), at + kMostHeaderBytes)).find("\r\n\r\n", at);
    TT_CHECK(headers_end != body.npos, DataError, "a part of the form has no end of its headers");
    FormPart part;
    for (size_t line = at + 2; line < headers_end;) {
      const size_t end = std::min(body.find("\r\n", line), headers_end);
      const std::string_view header = body.substr(line, end - line);
      if (starts_with_any_case(header, "content-disposition:")) {
        part.name = parameter(header, "name");
        part.filename = parameter(header, "filename");
      }
      line = end + 2;
    }
    const size_t begin = headers_end + 4, end = body.find(mark, begin - 2);
    TT_CHECK(end != body.npos, DataError, "the form is cut short");
    part.bytes = body.substr(begin, end < begin ? 0 : end - begin);
    parts.push_back(std::move(part));
    at = end + mark.size();
  }
  return parts;
}

}  // namespace telltale
