#include "weights/weights_file.h"

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "base/byte_reader.h"
#include "base/log.h"

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

/// Safetensors begin with a length, whose bytes may be anything's first: its brace is what tells.
bool is_safetensors(std::string_view text) { return text.size() > 8 && text[8] == '{' && text[7] == 0; }

bool is_text_in_braces(std::string_view text) { return text.starts_with('{') && !is_safetensors(text); }

MappedFile mapped(const std::string& path) try { return MappedFile(path); } catch (const DataError& e) {
  throw DataError(cat(path, ": ", e.what()));
}

bool ends_as_pth(const std::string& path) { return path.ends_with(".pth") || path.ends_with(".pt"); }

}  // namespace

WeightsFile WeightsFile::open(const std::string& path, const std::string& key) {
  {
    const MappedFile file = mapped(path);
    if (Pth::begins(file.bytes())) {
      Pth pth = Pth::open(path, key);
      for (const std::string& other : pth.others())
        spdlog::info("{}: \"{}\" is taken; \"{}\" holds tensors, too (convert --key takes those)", path,
                     pth.found_under().empty() ? "its own dictionary" : pth.found_under(), other);
      return {path, std::move(pth)};
    }
    const std::string_view text = text_of(file.bytes());
    if (is_text_in_braces(text)) return {path, open_shards(path, text)};
    if (text.size() <= 8 || text[8] != '{') refuse_strangers(path, text);
  }
  return {path, Safetensors::open(path)};
}

WeightsFile::Shards WeightsFile::open_shards(const std::string& path, std::string_view index) {
  const nlohmann::json json = nlohmann::json::parse(index, nullptr, /*allow_exceptions=*/false);
  const bool is_index = json.is_object() && json.contains("weight_map") && json["weight_map"].is_object();
  TT_CHECK(is_index, DataError, path, ": text in braces, but no index of shards: it has no \"weight_map\"");
  std::map<std::string, std::vector<std::string>> names;  // by the shard's file
  for (const auto& [tensor, file] : json["weight_map"].items()) {
    TT_CHECK(file.is_string(), DataError, path, ": the shard of \"", tensor, "\" is no text");
    names[file.get<std::string>()].push_back(tensor);
  }
  Shards shards;
  for (const auto& [file, tensors] : names) {
    TT_CHECK(!file.empty() && file[0] != '.' && file.find('/') == file.npos, DataError, path, ": the shard \"", file,
             "\" does not lie beside it");
    const std::string beside = (std::filesystem::path(path).parent_path() / file).string();
    // Seen before it is opened: an index may name itself.
    TT_CHECK(!is_text_in_braces(text_of(mapped(beside).bytes())), DataError, path, ": the shard ", file,
             " is an index, too");
    WeightsFile shard = open(beside);
    shard.names_ = tensors;
    shards.push_back(std::move(shard));
  }
  return shards;
}

const char* WeightsFile::form() const {
  return pth() ? pth()->form() : std::holds_alternative<Shards>(file_) ? "index of shards" : "safetensors";
}

const Metadata& WeightsFile::metadata() const {
  static const Metadata kNone;
  if (pth()) return pth()->metadata();
  const Safetensors* file = std::get_if<Safetensors>(&file_);
  return file ? file->metadata() : kNone;
}

StateDict WeightsFile::state_dict() const {
  if (pth()) return pth()->state_dict();
  if (const Safetensors* file = std::get_if<Safetensors>(&file_)) return file->state_dict();
  StateDict all;
  for (const WeightsFile& shard : std::get<Shards>(file_)) {
    const StateDict part = shard.state_dict();
    for (const std::string& name : shard.names_) {
      const StateTensor* t = find(part, name);
      TT_CHECK(t, DataError, path_, ": \"", name, "\" is not in ", shard.path_);
      all.push_back(*t);
    }
  }
  return all;
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
