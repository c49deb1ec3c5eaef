#pragma once
// What `serve` answers: pages, and the interface that docs/serve.md and tools/serve/openapi.json describe.
#include <array>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "tools/serve/bounded_server.h"
#include "tools/serve/inspector.h"

namespace telltale {

struct ApiSettings {
  std::string token;               ///< callers must send it; empty: anyone may call
  std::vector<std::string> hosts;  ///< what a Host header may say, such as "127.0.0.1:8080"; empty: anything
};

/// Probabilities that were said of untouched photographs: how often one scores as high as a picture.
class Reference {
 public:
  /// Reads the rows of reals of a predictions.csv as eval writes it. DataError when there are none.
  explicit Reference(const std::string& path);
  /// "of 1000 untouched photographs, 31 score this high".
  std::string meaning(double probability) const;

 private:
  std::vector<double> falling_;
};

/// Sets the server's routes. What it is given must outlive the server.
class Api {
 public:
  Api(BoundedServer& server, Inspector& inspector, const ApiSettings& settings, const Reference* reference);

 private:
  using Request = httplib::Request;
  using Response = httplib::Response;
  using Handler = httplib::Server::Handler;
  void get(const std::string& path, Handler);
  bool may_pass(const Request&, Response&) const;
  void inspect(const Request&, Response&);
  std::string metrics() const;
  void count(const Response&);

  BoundedServer& server_;
  Inspector& inspector_;
  const ApiSettings& settings_;
  const Reference* reference_;
  std::map<std::string, std::string> methods_;     ///< of each path, as the header Allow has them
  std::array<std::atomic<int64_t>, 6> answers_{};  ///< by the first digit of their status
};

}  // namespace telltale
