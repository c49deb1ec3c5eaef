// serve: a page to drop pictures on, and an interface for programs, on this machine.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <random>
#include <thread>

#include "base/interrupt.h"
#include "base/log.h"
#include "models/device.h"
#include "models/shipped.h"
#include "tools/serve/api.h"

namespace telltale {
namespace {

struct Settings {
  InspectorSettings inspector;
  ServerLimits limits;
  std::string host = "127.0.0.1", token_file, reference;
  int port = 8080, body_mb = 24;
  double megapixels = 50;
};

bool is_loopback(const std::string& host) { return host == "127.0.0.1" || host == "localhost" || host == "::1"; }

std::string read_token(const std::string& path) {
  std::ifstream file(path);
  std::string token;
  file >> token;
  TT_CHECK(token.size() >= 16, UsageError, "--token-file ", path, ": holds no token of at least 16 characters");
  return token;
}

std::string new_token() {
  std::random_device random;  // the system's generator
  std::string token;
  for (int i = 0; i < 32; ++i) token += "0123456789abcdef"[random() % 16];
  return token;
}

int serve(Settings s, const CommonOptions& common) {
  if (s.inspector.weights.empty()) s.inspector.weights = shipped_weights("locator.safetensors", "--weights FILE");
  s.limits.body_bytes = size_t(s.body_mb) << 20;
  s.inspector.most_pixels = int64_t(1e6 * s.megapixels);
  s.inspector.patience_seconds = s.limits.request_seconds;
  ApiSettings api_settings;
  if (!s.token_file.empty())
    api_settings.token = read_token(s.token_file);
  else if (!is_loopback(s.host))
    api_settings.token = new_token();
  std::optional<Reference> reference;
  if (!s.reference.empty()) reference.emplace(s.reference);
  Stream stream = open_device(common);
  Inspector inspector(s.inspector, stream);
  BoundedServer server(s.limits);
  Api api(server, inspector, api_settings, reference ? &*reference : nullptr);
  const int port = s.port == 0 ? server.bind_to_any_port(s.host) : (server.bind_to_port(s.host, s.port) ? s.port : -1);
  TT_CHECK(port > 0, Error, "cannot listen on ", s.host, " port ", s.port,
           ": is another program there, or the port below 1024? --port 0 takes a free one");
  if (is_loopback(s.host))
    for (const char* name : {"127.0.0.1", "localhost", "[::1]"}) api_settings.hosts.push_back(cat(name, ":", port));
  // Only now, for whoever reads the line may call.
  std::thread listening([&] { server.listen_after_bind(); });
  const std::string shown = s.host.find(':') == s.host.npos ? s.host : "[" + s.host + "]";
  std::printf("http://%s:%d/%s\n", shown.c_str(), port,
              api_settings.token.empty() ? "" : ("#token=" + api_settings.token).c_str());
  std::fflush(stdout);
  spdlog::info("pictures stay in memory while they are looked at and are not kept; Ctrl-C ends");
  while (!interrupted()) std::this_thread::sleep_for(std::chrono::milliseconds(100));
  server.stop();
  listening.join();
  return 0;
}

}  // namespace
}  // namespace telltale

int main(int argc, char** argv) {
  using namespace telltale;
  Settings s;
  const auto setup = [&](CLI::App& app) {
    app.add_option("--weights", s.inspector.weights,
                   "a locator's or a detector's weights; left out: the locator that ships");
    app.add_option("--host", s.host, "address to listen on; any but this machine's own asks callers for a token")
        ->capture_default_str();
    app.add_option("--port", s.port, "0: a free one")->check(CLI::Range(0, 65535))->capture_default_str();
    app.add_option("--token-file", s.token_file, "file whose first word callers must send, instead of a new one");
    app.add_option("--threshold", s.inspector.threshold,
                   "probability from which a picture counts as fake; left out: as a locator was calibrated, else 0.5")
        ->check(CLI::Range(0.0, 1.0));
    app.add_option("--reference", s.reference,
                   "predictions.csv of eval: answers then say how many of its reals score as high");
    app.add_option("--precision", s.inspector.precision, "of activations; auto: bf16 where that is faster, else f32")
        ->check(CLI::IsMember({"auto", "f32", "tf32", "bf16", "f16"}))
        ->capture_default_str();
    app.add_option("--batch", s.inspector.batch, "pictures at once through a detector")
        ->check(CLI::Range(1, 256))
        ->capture_default_str();
    app.add_option("--queue", s.inspector.queue, "pictures that may wait; more are refused for a moment")
        ->check(CLI::Range(1, 10'000))
        ->capture_default_str();
    app.add_option("--connections", s.limits.connections, "served at once; as many more may wait")
        ->check(CLI::Range(1, 1024))
        ->capture_default_str();
    app.add_option("--body-mb", s.body_mb, "largest request")->check(CLI::Range(1, 1024))->capture_default_str();
    app.add_option("--megapixels", s.megapixels, "largest picture")
        ->check(CLI::Range(0.01, 170.0))
        ->capture_default_str();
    app.add_option("--seconds", s.limits.request_seconds, "for a request to arrive, for its turn, and for its answer")
        ->check(CLI::Range(0.1, 3600.0))
        ->capture_default_str();
  };
  return run_tool({"serve", "Serves a page to drop pictures on, and an interface for programs."}, argc, argv, setup,
                  [&](const CommonOptions& common) { return serve(s, common); });
}
