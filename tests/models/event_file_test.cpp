// Event files: their checksums, their framing, and what a run that was set back says.
#include "models/training/event_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <iterator>

#include "base/check.h"
#include "base/crc32c.h"

namespace telltale {
namespace {

TEST(EventFile, ChecksumsAreThePublishedOnes) {  // RFC 3720, B.4
  EXPECT_EQ(crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43u);
}

TEST(EventFile, FieldsAreTheWireFormats) {  // the documentation's examples
  EXPECT_EQ(ProtoMessage().integer(1, 150).bytes(), "\x08\x96\x01");
  EXPECT_EQ(ProtoMessage().text(2, "testing").bytes(), "\x12\x07testing");
  EXPECT_EQ(ProtoMessage().message(3, ProtoMessage().integer(1, 150)).bytes(), "\x1a\x03\x08\x96\x01");
  EXPECT_EQ(ProtoMessage().integers(6, {3, 270, 86942}).bytes(), "\x32\x06\x03\x8e\x02\x9e\xa7\x05");
  EXPECT_EQ(ProtoMessage().integer(1, -2).bytes(), "\x08\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01");
  EXPECT_EQ(ProtoMessage().real32(2, 1).bytes(), std::string("\x15\0\0\x80\x3f", 5));
  EXPECT_EQ(ProtoMessage().real(1, 1).bytes(), std::string("\x09\0\0\0\0\0\0\xf0\x3f", 9));
}

TEST(EventFile, RecordsFollowOneAnother) {
  const std::string folder = testing::TempDir() + cat("events_", getpid());
  EventFile(folder, 7).scalars(9, {{"train/loss", 0.5}});
  std::string bytes;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    EXPECT_EQ(entry.path().filename().string().rfind("events.out.tfevents.", 0), 0u);
    std::ifstream file(entry.path(), std::ios::binary);
    bytes.assign(std::istreambuf_iterator<char>(file), {});
  }
  std::vector<std::string> records;
  for (size_t at = 0; at + 12 <= bytes.size();) {
    uint64_t length = 0;
    std::memcpy(&length, bytes.data() + at, 8);
    records.push_back(bytes.substr(at + 12, length));
    EXPECT_EQ(bytes.substr(at, 16 + length), tf_record(records.back()));
    at += 16 + length;
  }
  ASSERT_EQ(records.size(), 3u);
  EXPECT_NE(records[0].find("brain.Event:2"), std::string::npos);
  EXPECT_EQ(records[1].substr(9), std::string("\x10\x07\x3a\x02\x08\x01"));  // step 7, a session starts
  const ProtoMessage value = ProtoMessage().text(1, "train/loss").real32(2, 0.5);
  EXPECT_EQ(records[2].substr(9), ProtoMessage().integer(2, 9).message(5, ProtoMessage().message(1, value)).bytes());
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace telltale
