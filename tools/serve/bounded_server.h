#pragma once
// cpp-httplib's server with bounds it does not have: on connections, on a request's time and on its bytes.
#include <httplib.h>

#include <atomic>
#include <functional>
#include <string>

namespace telltale {

struct ServerLimits {
  int connections = 32;           ///< served at once; as many wait, and whoever comes then is refused with 503
  double request_seconds = 30;    ///< from a request's first byte to its last, and for its answer
  double idle_seconds = 5;        ///< an open connection without a request
  size_t body_bytes = 24u << 20;  ///< of a request's body
};

/// Serves as httplib::Server does; slow and endless senders are cut off. Bodies of multipart/form-data are not taken
/// apart: they stand in the request's body, their type in its header kFormType.
class BoundedServer final : public httplib::Server {
 public:
  static constexpr const char* kFormType = "Telltale-Form-Type";

  explicit BoundedServer(const ServerLimits& limits);
  /// Called by a handler: the connection ends with this answer, since its request's body is not, or not all, read.
  static void end_connection();
  /// Connections open now, waiting ones included.
  int connections() const { return open_; }

 private:
  bool process_and_close_socket(socket_t sock) override;

  ServerLimits limits_;
  std::atomic<int> open_ = 0;
};

}  // namespace telltale
