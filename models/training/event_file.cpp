#include "models/training/event_file.h"

#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <iterator>

#include "base/check.h"
#include "base/crc32c.h"

namespace telltale {
namespace {

// Fields of Event, Summary, Summary.Value, Summary.Image and SessionLog.
enum EventField { kWallTime = 1, kStep = 2, kFileVersion = 3, kSummary = 5, kSessionLog = 7 };
enum SummaryField { kValue = 1 };
enum ValueField { kTag = 1, kSimpleValue = 2, kImage = 4 };
enum ImageField { kHeight = 1, kWidth = 2, kColorspace = 3, kEncoded = 4 };
constexpr int kRgb = 3;
constexpr int kSessionStatus = 1, kSessionStart = 1;

std::string little_endian(uint64_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += char(value >> 8 * i);
  return text;
}

std::string masked_crc(std::string_view bytes) {
  const uint32_t crc = crc32c(bytes);
  return little_endian((crc >> 15 | crc << 17) + 0xa282ead8u, 4);
}

double now() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

/// A name that no other file of the folder has, in the form TensorBoard looks for.
std::string new_path(const std::string& folder) {
  char host[256] = "localhost";
  gethostname(host, sizeof host - 1);
  for (int i = 0;; ++i) {
    std::string path = cat(folder, "/events.out.tfevents.", int64_t(now()), ".", host, ".", getpid(), ".", i);
    if (!std::filesystem::exists(path)) return path;
  }
}

}  // namespace

std::string tf_record(std::string_view bytes) {
  const std::string length = little_endian(bytes.size(), 8);
  return cat(length, masked_crc(length), bytes, masked_crc(bytes));
}

EventFile::EventFile(const std::string& folder, int64_t step) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  TT_CHECK(std::filesystem::is_directory(folder), DataError, folder, ": cannot make this folder: ", error.message());
  path_ = new_path(folder);
  file_.open(path_, std::ios::binary);
  write(0, ProtoMessage().text(kFileVersion, "brain.Event:2"));
  write(step, ProtoMessage().message(kSessionLog, ProtoMessage().integer(kSessionStatus, kSessionStart)));
}

void EventFile::scalars(int64_t step, const std::vector<std::pair<std::string, double>>& values) {
  ProtoMessage summary;
  for (const auto& [tag, value] : values)
    summary.message(kValue, ProtoMessage().text(kTag, tag).real32(kSimpleValue, float(value)));
  write(step, ProtoMessage().message(kSummary, summary));
}

void EventFile::image(int64_t step, const std::string& tag, const std::string& png_file) {
  std::ifstream file(png_file, std::ios::binary);
  const std::string png{std::istreambuf_iterator<char>(file), {}};
  constexpr size_t kWidthAt = 16, kHeightAt = 20;  // big endian, in the header chunk
  TT_CHECK(png.size() > kHeightAt + 4, DataError, png_file, ": not a PNG file");
  const auto number = [&](size_t at) {
    int64_t value = 0;
    for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(png[at + i]);
    return value;
  };
  const ProtoMessage picture = ProtoMessage()
                                   .integer(kHeight, number(kHeightAt))
                                   .integer(kWidth, number(kWidthAt))
                                   .integer(kColorspace, kRgb)
                                   .text(kEncoded, png);
  const ProtoMessage value = ProtoMessage().text(kTag, tag).message(kImage, picture);
  write(step, ProtoMessage().message(kSummary, ProtoMessage().message(kValue, value)));
}

void EventFile::write(int64_t step, const ProtoMessage& content) {
  const std::string head = ProtoMessage().real(kWallTime, now()).integer(kStep, step).bytes();
  file_ << tf_record(head + content.bytes()) << std::flush;
  TT_CHECK(file_, DataError, path_, ": cannot write: is the disk full?");
}

}  // namespace telltale
