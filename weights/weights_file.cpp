#include "weights/weights_file.h"

#include "base/byte_reader.h"

namespace telltale {

namespace {

/// What people hand in by mistake, by its first bytes.
void refuse_strangers(const std::string& path, std::string_view text) {
  const auto refuse = [&](const char* what) { throw DataError(cat(path, ": ", what)); };
  if (text.starts_with("\x1f\x8b")) refuse("compressed with gzip: unpack it first (gunzip)");
  if (text.starts_with("<")) refuse("a web page, not weights: the download went wrong");
  if (text.starts_with("version https://git-lfs")) refuse("a Git LFS pointer, not the file itself: run git lfs pull");
  if (text.starts_with("PK")) refuse("a damaged zip archive");
  if (text.starts_with("\x80")) refuse("a Python pickle, but not one that torch.save wrote");
  if (text.starts_with("\x89HDF")) refuse("an HDF5 file: only PyTorch's files and safetensors are read");
  if (text.size() > 262 && text.substr(257, 5) == "ustar")
    refuse("PyTorch's form of before 0.1.10 (tar), or another tar: save it again with a later PyTorch");
}

bool ends_as_pth(const std::string& path) { return path.ends_with(".pth") || path.ends_with(".pt"); }

}  // namespace

WeightsFile WeightsFile::open(const std::string& path, const std::string& key) {
  {
    const MappedFile file = [&] {
      try {
        return MappedFile(path);
      } catch (const DataError& e) {
        throw DataError(cat(path, ": ", e.what()));
      }
    }();
    if (Pth::begins(file.bytes())) return WeightsFile(Pth::open(path, key));
    // A safetensors file begins with a length, whose bytes may be anything's first: its brace is what tells.
    const std::string_view text = text_of(file.bytes());
    if (text.size() <= 8 || text[8] != '{') refuse_strangers(path, text);
  }
  return WeightsFile(Safetensors::open(path));
}

const std::string& WeightsFile::path() const {
  return std::visit([](const auto& f) -> const std::string& { return f.path(); }, file_);
}

const char* WeightsFile::form() const { return pth() ? pth()->form() : "safetensors"; }

const Metadata& WeightsFile::metadata() const {
  return std::visit([](const auto& f) -> const Metadata& { return f.metadata(); }, file_);
}

StateDict WeightsFile::state_dict() const {
  return std::visit([](const auto& f) -> StateDict { return f.state_dict(); }, file_);
}

void check_weights_ending(const std::string& path) {
  TT_CHECK(ends_as_pth(path) || path.ends_with(".safetensors"), UsageError, path,
           ": weights end in .safetensors, .pth or .pt");
}

void write_weights(const std::string& path, const StateDict& dict, const Metadata& metadata) {
  check_weights_ending(path);
  ends_as_pth(path) ? write_pth(path, dict, metadata) : write_safetensors(path, dict, metadata);
}

}  // namespace telltale
