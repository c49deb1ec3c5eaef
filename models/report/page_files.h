#pragma once
// The sources of the pages that programs write or serve.
#include <string>
#include <string_view>

#include "base/embedded_file.h"

namespace telltale {

/// Every .html, .css and .js of models/report. Written by base/embed.cmake while building.
std::span<const EmbeddedFile> page_files();
/// One of them by its name, such as "report.js".
std::string_view page_file(const std::string& name);

}  // namespace telltale
