// Uploads and downloads beside enqueued work: what lands where and when, and what is refused.
#include "kernels/device/transfer.h"

#include <omp.h>

#include <algorithm>
#include <numeric>

#include "base/check.h"
#include "tests/devices.h"

namespace telltale {
namespace {

class Transfer : public OnDevice {
 protected:
  using Bytes = std::vector<uint8_t>;
  static constexpr int kBytes = 1 << 20;
  static OwnedTensor bytes_on(Stream& s, int bytes = kBytes) { return {s.place(), {1, 1, 1, bytes}, DType::u8}; }
  static Tensor first(Tensor t, int bytes) {
    t.shape.c = bytes;
    return t;
  }
  /// Bytes that differ from those of another number everywhere.
  static Bytes numbered(int number, int bytes = kBytes) {
    Bytes v(static_cast<size_t>(bytes));
    std::iota(v.begin(), v.end(), uint8_t(number));
    return v;
  }
  static Bytes read(Stream& s, Tensor t) {
    Bytes v(t.bytes());
    download(s, v.data(), t);
    return v;
  }
  static Bytes taken(Downloader& from, int bytes = kBytes) {
    const auto* data = static_cast<const uint8_t*>(from.take());
    return {data, data + bytes};
  }
  /// Work that a GPU has not done by the time the host enqueues what comes next; the host does its own at once.
  static void keep_busy(Stream& s, const OwnedTensor& a, const OwnedTensor& b) {
    for (int i = 0; s.is_cuda() && i < 200; ++i) copy(s, a, b);
  }
};

TEST_P(Transfer, AStreamOfAGpuLeavesTheHostsThreadsAsTheyAre) {
  if (GetParam() != "cuda") GTEST_SKIP() << "a host's stream sets them";
  const Stream host = Stream::cpu(1);
  const Stream gpu = stream();
  EXPECT_EQ(omp_get_max_threads(), 1);
}

TEST_P(Transfer, SendsKeepTheirPlaceAmongTheWork) {
  Stream s = stream();
  Uploader uploader(s, kBytes);
  constexpr int kSends = 7;  // more than there are slots
  const OwnedTensor to = bytes_on(s), a = bytes_on(s, 32 << 20), b = bytes_on(s, 32 << 20);
  fill_zero(s, to);
  std::vector<OwnedTensor> seen;
  for (int k = 0; k <= kSends; ++k) seen.push_back(bytes_on(s));
  keep_busy(s, a, b);
  Bytes from;
  for (int k = 0; k < kSends; ++k) {
    copy(s, seen[size_t(k)], to);  // enqueued before: sees what was there
    from = numbered(k + 1);
    uploader.send(to, from.data());
    std::fill(from.begin(), from.end(), uint8_t(0xEE));  // the caller's again
  }
  copy(s, seen[kSends], to);
  EXPECT_EQ(read(s, seen[0]), Bytes(kBytes, 0));
  for (int k = 1; k <= kSends; ++k) EXPECT_EQ(read(s, seen[size_t(k)]), numbered(k)) << "after send " << k;
}

TEST_P(Transfer, BothSlotsAreOnTheirWayToDifferentTensors) {
  Stream s = stream();
  Uploader uploader(s, kBytes), other(s, kBytes);
  const OwnedTensor one = bytes_on(s), two = bytes_on(s), three = bytes_on(s), a = bytes_on(s, 32 << 20),
                    b = bytes_on(s, 32 << 20);
  keep_busy(s, a, b);
  Bytes from = numbered(1);
  uploader.send(one, from.data());
  from = numbered(2);
  other.send(three, from.data());
  from = numbered(3);
  uploader.send(two, from.data());
  from.assign(from.size(), 0xEE);
  EXPECT_EQ(read(s, one), numbered(1));
  EXPECT_EQ(read(s, three), numbered(2));
  EXPECT_EQ(read(s, two), numbered(3));
}

TEST_P(Transfer, AnUploadFillsWhatItNamesAndNoMore) {
  Stream s = stream();
  Uploader uploader(s, kBytes);
  const OwnedTensor to = bytes_on(s, kBytes + 1);
  fill_zero(s, to);
  const Bytes from = numbered(5, kBytes + 1);
  EXPECT_THROW(uploader.send(to, from.data()), ShapeError);
  EXPECT_EQ(read(s, to), Bytes(kBytes + 1, 0)) << "what is refused moves nothing";
  uploader.send(first(to, 0), nullptr);
  uploader.send(first(to, 1000), from.data());
  Bytes expected(kBytes + 1, 0);
  std::copy_n(from.begin(), 1000, expected.begin());
  EXPECT_EQ(read(s, to), expected);
  Uploader moved(std::move(uploader));
  moved.send(first(to, kBytes), numbered(6).data());
  EXPECT_EQ(read(s, first(to, kBytes)), numbered(6));
}

TEST_P(Transfer, ARequestReadsWhatWasThereWhenItWasAsked) {
  Stream s = stream();
  Uploader uploader(s, kBytes);
  Downloader odd(s, kBytes), even(s, kBytes);
  const OwnedTensor t = bytes_on(s), a = bytes_on(s, 32 << 20), b = bytes_on(s, 32 << 20);
  keep_busy(s, a, b);
  uploader.send(t, numbered(1).data());
  odd.request(t);
  uploader.send(t, numbered(2).data());
  even.request(t);  // two in flight, as a training step's and the last one's
  fill_zero(s, t);
  EXPECT_EQ(taken(odd), numbered(1));
  uploader.send(t, numbered(3).data());
  odd.request(t);
  const void* kept = even.take();
  EXPECT_EQ(taken(odd), numbered(3));
  s.sync();
  const auto* bytes = static_cast<const uint8_t*>(kept);
  EXPECT_EQ(Bytes(bytes, bytes + kBytes), numbered(2)) << "the bytes stay until the next request";
}

/// What is on its way beside the work is what was there when it was asked, too.
TEST_P(Transfer, AReadbackKeepsTheLastTwo) {
  Stream s = stream();
  Uploader uploader(s, kBytes);
  Readback readback(s, kBytes);
  const OwnedTensor t = bytes_on(s), a = bytes_on(s, 32 << 20), b = bytes_on(s, 32 << 20);
  const auto asked = [&](int number) {
    uploader.send(t, numbered(number).data());
    const size_t request = readback.request(t);
    fill_zero(s, t);
    return request;
  };
  const auto answered = [&](size_t request) {
    const auto* data = static_cast<const uint8_t*>(readback.take(request));
    return Bytes(data, data + kBytes);
  };
  keep_busy(s, a, b);
  size_t before = asked(1);
  for (int k = 2; k < 7; ++k) {
    const size_t next = asked(k);
    EXPECT_EQ(answered(before), numbered(k - 1));
    before = next;
  }
  EXPECT_THROW(readback.take(before + 1), ShapeError) << "not asked yet";
  EXPECT_EQ(answered(before), numbered(6));
  EXPECT_THROW(readback.take(before), ShapeError) << "taken before";
  const size_t left = asked(7), kept = asked(8), last = asked(9);
  EXPECT_THROW(readback.take(left), ShapeError) << "two came after it";
  EXPECT_EQ(answered(last), numbered(9));
  EXPECT_EQ(answered(kept), numbered(8));
  asked(10);  // never taken
}

TEST_P(Transfer, AskOnceTakeOnce) {
  Stream s = stream();
  Downloader downloader(s, kBytes);
  const OwnedTensor t = bytes_on(s, kBytes + 1);
  upload(s, t, numbered(9, kBytes + 1).data());
  EXPECT_THROW(downloader.take(), ShapeError) << "nothing asked";
  EXPECT_THROW(downloader.request(t), ShapeError) << "too large";
  EXPECT_THROW(downloader.take(), ShapeError) << "what was refused was not asked";
  downloader.request(first(t, kBytes));
  fill_zero(s, t);
  EXPECT_THROW(downloader.request(first(t, 10)), ShapeError) << "the last one was not taken";
  EXPECT_EQ(taken(downloader), numbered(9)) << "the first request stands";
  EXPECT_THROW(downloader.take(), ShapeError) << "taken before";
  downloader.request(first(t, kBytes));
  Downloader moved(std::move(downloader));
  EXPECT_EQ(taken(moved), Bytes(kBytes, 0)) << "a request moves with its slot";
  moved.request(first(t, 0));
  moved.take();
  moved.request(first(t, 10));  // never taken: its memory outlives the copy
}

INSTANTIATE_TEST_SUITE_P(Everywhere, Transfer, testing::Values("cpu", "cuda"), device_label);

}  // namespace
}  // namespace telltale
