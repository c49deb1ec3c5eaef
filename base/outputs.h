#pragma once
// What programs ask before they write: whether it would cost a user something.
#include <string>
#include <vector>

namespace telltale {

/// Whether two paths name the same file, through whatever links; a path of which nothing is there yet counts by its
/// name.
bool same_file(const std::string& a, const std::string& b);
/// Whether `path` lies in `folder`, at any depth, or is it.
bool lies_in(const std::string& path, const std::string& folder);
/// UsageError "OPTION PATH: …" when the output is one of the inputs; DataError when it is a folder, or lies in none
/// that is there. Devices and pipes pass.
void check_output(const std::string& option, const std::string& output, const std::vector<std::string>& inputs);
/// check_output for an output that is text; and UsageError where a file is there that is none (a picture, weights):
/// what `--json photos/*.jpg` names is the first photograph. Text is what has no zero byte in its first 4096.
void check_text_output(const std::string& option, const std::string& output, const std::vector<std::string>& inputs);
/// For a folder that is made later: DataError "OPTION PATH: …" when it, or the nearest above it that is there, is no
/// folder or may not be written into.
void check_output_folder(const std::string& option, const std::string& folder);
/// UsageError when two options would write the same file; devices and pipes may be shared.
void check_apart(const std::string& option, const std::string& output, const std::string& other_option,
                 const std::string& other);
/// The first entry of a folder that a user would see as its content, by name order; hidden files and what desktops
/// leave behind (Thumbs.db, desktop.ini) are none. Empty when there is none, or no such folder.
std::string first_content(const std::string& folder);

}  // namespace telltale
