#include "tools/serve/bounded_server.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string_view>

#include "base/multipart.h"
#include "base/task_pool.h"

namespace telltale {
namespace {

using Clock = std::chrono::steady_clock;

Clock::time_point in_seconds(double seconds) {
  return Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

/// Whether it came to that before the time was up.
bool wait_for(int sock, short events, Clock::time_point until) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
  pollfd poll{.fd = sock, .events = events, .revents = 0};
  return left > 0 && ::poll(&poll, 1, int(std::min<int64_t>(left, 1 << 30))) > 0;
}

/// A connection whose reading and writing end at a time, and whose reading at a number of bytes.
class TimedStream final : public httplib::Stream {
 public:
  TimedStream(int sock, const ServerLimits& limits) : sock_(sock), limits_(limits) {}

  void next_request() {
    read_until_ = in_seconds(limits_.request_seconds);
    constexpr size_t kHeaders = 64u << 10;
    may_read_ = limits_.body_bytes + kHeaders;
    answering_ = false;
  }
  bool has_more() const { return at_ < filled_; }

  bool is_readable() const override { return has_more() || wait_for(sock_, POLLIN, read_until_); }
  bool is_writable() const override { return wait_for(sock_, POLLOUT, write_until_); }
  ssize_t read(char* to, size_t size) override {
    if (!has_more()) {  // the library asks for headers a byte at a time
      if (may_read_ == 0 || !wait_for(sock_, POLLIN, read_until_)) return -1;
      const ssize_t got = ::recv(sock_, buffer_, std::min(sizeof buffer_, may_read_), 0);
      if (got <= 0) return got;
      at_ = 0;
      filled_ = size_t(got);
      may_read_ -= filled_;
    }
    const size_t count = std::min(size, filled_ - at_);
    std::copy_n(buffer_ + at_, count, to);
    at_ += count;
    return ssize_t(count);
  }
  ssize_t write(const char* from, size_t size) override {
    if (!answering_) write_until_ = in_seconds(limits_.request_seconds);
    answering_ = true;
    return wait_for(sock_, POLLOUT, write_until_) ? ::send(sock_, from, size, MSG_NOSIGNAL | MSG_DONTWAIT) : -1;
  }
  void get_remote_ip_and_port(std::string& ip, int& port) const override { ip.clear(), port = 0; }
  void get_local_ip_and_port(std::string& ip, int& port) const override { ip.clear(), port = 0; }
  socket_t socket() const override { return sock_; }

 private:
  int sock_;
  const ServerLimits& limits_;
  Clock::time_point read_until_{}, write_until_ = Clock::time_point::max();
  size_t may_read_ = 0, at_ = 0, filled_ = 0;
  bool answering_ = false;
  char buffer_[16384];
};

/// Of the connection that this thread serves.
thread_local bool ends_now = false;

/// Closes so that the caller can still read the answer: what it goes on sending is read for a moment, and thrown away.
void close_gently(int sock) {
  ::shutdown(sock, SHUT_WR);
  char rubbish[16384];
  const Clock::time_point until = in_seconds(1);
  while (wait_for(sock, POLLIN, until) && ::recv(sock, rubbish, sizeof rubbish, MSG_DONTWAIT) > 0) continue;
  ::close(sock);
}

/// Set while the accepting thread turns a connection away.
thread_local bool turned_away = false;

/// As many threads as connections may be served. The accepting thread never waits for them.
class Connections final : public httplib::TaskQueue {
 public:
  Connections(int count, std::atomic<int>& open)
      : most_(2 * count), open_(open), pool_(std::make_unique<TaskPool>(count)) {}
  void enqueue(std::function<void()> serve) override {
    if (open_ >= most_) {
      turned_away = true;
      serve();
      turned_away = false;
      return;
    }
    ++open_;
    pool_->submit([this, serve = std::move(serve)] {
      serve();
      --open_;
    });
  }
  void shutdown() override { pool_.reset(); }

 private:
  int most_;
  std::atomic<int>& open_;
  std::unique_ptr<TaskPool> pool_;
};

/// What the library would do with these, it does without bounds.
void disarm(httplib::Request& request) {
  request.ranges.clear();
  request.headers.erase("Range");
  request.headers.erase(BoundedServer::kFormType);  // a caller's own would pass for ours
  // Whatever a body is called, it is bytes: curl calls a picture application/x-www-form-urlencoded, of which the
  // library takes 8 KiB.
  const std::string type = request.get_header_value("Content-Type");
  request.headers.erase("Content-Type");
  request.headers.emplace("Content-Type", "application/octet-stream");
  if (!multipart_boundary(type).empty()) request.headers.emplace(BoundedServer::kFormType, type);
}

}  // namespace

BoundedServer::BoundedServer(const ServerLimits& limits) : limits_(limits) {
  new_task_queue = [this] { return new Connections(limits_.connections, open_); };  // the library deletes it
  set_payload_max_length(limits.body_bytes);
  set_tcp_nodelay(true);
}

void BoundedServer::end_connection() { ends_now = true; }

bool BoundedServer::process_and_close_socket(socket_t sock) {
  if (turned_away) {
    constexpr std::string_view kBusy =
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\nContent-Length: 0\r\n\r\n";
    ::send(sock, kBusy.data(), kBusy.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    ::close(sock);
    return false;
  }
  TimedStream stream(sock, limits_);
  bool closed = false, served = true;
  const auto idle = [&] {
    const Clock::time_point until = in_seconds(limits_.idle_seconds);
    while (svr_sock_ != INVALID_SOCKET && Clock::now() < until)
      if (stream.has_more() || wait_for(sock, POLLIN, std::min(until, in_seconds(0.2)))) return false;
    return true;
  };
  constexpr int kMostRequests = 100;
  ends_now = false;
  for (int i = 1; served && !closed && !ends_now && i <= kMostRequests && !idle(); ++i) {
    stream.next_request();
    served = process_request(stream, i == kMostRequests, closed, disarm);
  }
  close_gently(sock);
  return served;
}

}  // namespace telltale
