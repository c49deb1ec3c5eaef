// Any bytes as a form: refused, or every part lies in them.
#include "base/check.h"
#include "base/multipart.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace telltale;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  // The first line is the type, the rest the body.
  const size_t line = std::min(text.find('\n'), size);
  const std::string boundary = multipart_boundary(text.substr(0, line));
  const std::string_view body = text.substr(std::min(line + 1, size));
  for (const std::string& mark : {boundary, std::string("b")}) try {
      for (const FormPart& part : read_multipart(body, mark, 16))
        if (part.bytes.data() < body.data() || part.bytes.end() > body.end()) __builtin_trap();
    } catch (const DataError&) {
    }
  return 0;
}
