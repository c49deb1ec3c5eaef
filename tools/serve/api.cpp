#include "tools/serve/api.h"

#include <fmt/format.h>
#include <openssl/crypto.h>

#include <algorithm>
#include <fstream>

#include "base/json_text.h"
#include "base/log.h"
#include "base/multipart.h"
#include "models/report/page_files.h"

namespace telltale {
namespace {

using nlohmann::ordered_json;

constexpr size_t kMostParts = 16;

void answer(httplib::Response& response, int status, const ordered_json& json) {
  response.status = status;
  if (status == 503) response.set_header("Retry-After", "2");
  response.set_content(json_text(json) + "\n", "application/json; charset=utf-8");
}

/// How long it takes tells nothing of where they differ.
bool same_secret(const std::string& a, const std::string& b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

/// A name as it may stand in answers: without folders, bounded.
std::string plain_name(const std::string& name) {
  constexpr size_t kLongest = 200;
  const std::string last = name.substr(name.find_last_of("/\\") + 1);
  return last.empty() ? "picture" : last.substr(0, kLongest);
}

}  // namespace

Reference::Reference(const std::string& path) {
  std::ifstream file(path);
  TT_CHECK(file, DataError, path, ": cannot read");
  std::string line;
  for (std::getline(file, line); std::getline(file, line);) {
    // The id, which may hold commas, comes first: id,fake_label,logit,fake_probability and six more.
    std::vector<size_t> commas;
    for (size_t at = line.rfind(','); at != line.npos && commas.size() < 9;
         at = at ? line.rfind(',', at - 1) : line.npos)
      commas.push_back(at);
    TT_CHECK(commas.size() == 9, DataError, path, ": not a predictions.csv as eval writes it: ", line.substr(0, 80));
    if (line[commas[8] + 1] == '0') falling_.push_back(std::strtod(line.c_str() + commas[6] + 1, nullptr));
  }
  TT_CHECK(!falling_.empty(), DataError, path, ": holds no real pictures");
  std::sort(falling_.begin(), falling_.end(), std::greater<>());
}

std::string Reference::meaning(double probability) const {
  const auto above = std::upper_bound(falling_.begin(), falling_.end(), probability, std::greater<>());
  return cat("of ", falling_.size(), " untouched photographs, ", above - falling_.begin(), " score this high");
}

Api::Api(BoundedServer& server, Inspector& inspector, const ApiSettings& settings, const Reference* reference)
    : server_(server), inspector_(inspector), settings_(settings), reference_(reference) {
  server.set_default_headers(
      {{"Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
        "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"},
       {"X-Content-Type-Options", "nosniff"},
       {"Referrer-Policy", "no-referrer"},
       {"Cross-Origin-Resource-Policy", "same-origin"},
       {"Cache-Control", "no-store"}});
  server.set_pre_routing_handler([this](const Request& request, Response& response) {
    return may_pass(request, response) ? httplib::Server::HandlerResponse::Unhandled
                                       : httplib::Server::HandlerResponse::Handled;
  });
  const auto page = [&](const char* path, const char* file, const char* type) {
    get(path,
        [file, type](const Request&, Response& response) { response.set_content(std::string(page_file(file)), type); });
  };
  page("/", "serve.html", "text/html; charset=utf-8");
  page("/look.css", "look.css", "text/css; charset=utf-8");
  for (const char* script : {"picture.js", "charts.js", "report.js", "serve.js"})
    page(("/" + std::string(script)).c_str(), script, "text/javascript; charset=utf-8");
  page("/report.html", "report.html", "text/plain; charset=utf-8");  // a template that the page fills
  page("/openapi.json", "openapi.json", "application/json; charset=utf-8");
  get("/healthz", [](const Request&, Response& response) { answer(response, 200, {{"status", "ok"}}); });
  get("/v1/model", [this](const Request&, Response& response) { answer(response, 200, inspector_.model()); });
  get("/metrics", [this](const Request&, Response& response) {
    response.set_content(metrics(), "text/plain; version=0.0.4; charset=utf-8");
  });
  methods_["/v1/inspect"] = "POST";
  server.Post("/v1/inspect", [this](const Request& request, Response& response) { inspect(request, response); });
  server.set_error_handler([this](const Request& request, Response& response) {
    if (!response.body.empty()) return;
    // The library takes a method that it does not know for no request at all, and leaves the path unread.
    const auto known = methods_.find(request.target.substr(0, request.target.find('?')));
    if (response.status == 400 && request.path.empty() && known != methods_.end()) {
      response.set_header("Allow", known->second);
      BoundedServer::end_connection();
      return answer(response, 405, {{"error", cat(known->first, " takes ", known->second)}});
    }
    if (response.status != 404) BoundedServer::end_connection();
    const char* why = response.status == 404   ? "nothing here; see /openapi.json"
                      : response.status == 413 ? "the body is too large"
                                               : "a request that is not understood";
    answer(response, response.status, {{"error", request.path.size() < 200 ? cat(request.path, ": ", why) : why}});
  });
  server.set_exception_handler([](const Request&, Response& response, std::exception_ptr) {
    answer(response, 500, {{"error", "a failure of the server"}});
  });
  server.set_logger([this](const Request&, const Response& response) { count(response); });
}

void Api::get(const std::string& path, Handler handler) {
  methods_[path] = "GET, HEAD";
  server_.Get(path, std::move(handler));
}

bool Api::may_pass(const Request& request, Response& response) const {
  const auto refuse = [&](int status, const std::string& why) {
    answer(response, status, {{"error", why}});
    BoundedServer::end_connection();
    return false;
  };
  // A page of another site that has its name lead here, or that posts here, must learn and cause nothing.
  const auto& hosts = settings_.hosts;
  const std::string host = request.get_header_value("Host"), origin = request.get_header_value("Origin");
  if (!hosts.empty() && std::find(hosts.begin(), hosts.end(), host) == hosts.end())
    return refuse(403, "this server answers to its own address alone");
  if (!origin.empty() && origin != "http://" + host && origin != "https://" + host)
    return refuse(403, "pages of other sites may not call this server");
  if (const auto known = methods_.find(request.path);
      known != methods_.end() && known->second.find(request.method) == std::string::npos) {
    response.set_header("Allow", known->second);
    return refuse(405, cat(request.path, " takes ", known->second));
  }
  if (request.has_header("Content-Encoding")) return refuse(415, "send the body as it is, not compressed");
  const bool open_to_all = request.path == "/healthz" || request.path == "/" || request.path.ends_with(".css") ||
                           request.path.ends_with(".js") || request.path == "/report.html" ||
                           request.path == "/openapi.json";
  if (settings_.token.empty() || open_to_all ||
      same_secret(request.get_header_value("Authorization"), "Bearer " + settings_.token))
    return true;
  response.set_header("WWW-Authenticate", "Bearer");
  return refuse(401, "send the token that serve printed: Authorization: Bearer TOKEN");
}

void Api::inspect(const Request& request, Response& response) {
  const std::string wanted = request.get_param_value("layers");
  if (wanted.find_first_not_of("01") != wanted.npos || wanted.size() > 1)
    return answer(response, 400, {{"error", "layers: 1 asks for the map, 0 does not"}});
  const bool layers = wanted == "1";
  const auto finished = [&](std::future<Answered>& future) {
    Answered a = future.get();
    if (a.status == 200 && reference_) a.json["meaning"] = reference_->meaning(a.json["fake_probability"]);
    return a;
  };
  if (!request.has_header(BoundedServer::kFormType)) {
    if (request.body.empty()) return answer(response, 400, {{"error", "the body is empty; send a picture's bytes"}});
    auto future = inspector_.submit(request.body, plain_name(request.get_param_value("name")), layers);
    const Answered a = finished(future);
    return answer(response, a.status, a.json);
  }
  std::vector<FormPart> parts;
  try {
    parts = read_multipart(request.body, multipart_boundary(request.get_header_value(BoundedServer::kFormType)),
                           kMostParts);
  } catch (const DataError& e) {
    return answer(response, 400, {{"error", e.what()}});
  }
  std::vector<std::pair<std::string, std::future<Answered>>> said;
  for (const FormPart& part : parts)
    if (part.name == "picture") {
      const std::string name = plain_name(part.filename);
      said.emplace_back(name, inspector_.submit(std::string(part.bytes), name, layers));
    }
  if (said.empty()) return answer(response, 400, {{"error", "the form has no part named picture"}});
  ordered_json all = ordered_json::array();
  for (auto& [name, future] : said) {
    Answered a = finished(future);
    if (a.status != 200) a.json = {{"name", name}, {"status", a.status}, {"error", a.json["error"]}};
    all.push_back(std::move(a.json));
  }
  answer(response, 200, {{"pictures", std::move(all)}});
}

void Api::count(const Response& response) { ++answers_[size_t(std::clamp(response.status / 100, 0, 5))]; }

std::string Api::metrics() const {
  std::string text =
      "# HELP telltale_answers_total Answers by class of status.\n# TYPE telltale_answers_total counter\n";
  for (size_t digit = 1; digit < answers_.size(); ++digit)
    text += fmt::format("telltale_answers_total{{status=\"{}xx\"}} {}\n", digit, answers_[digit].load());
  const auto add = [&](const char* name, const char* type, const char* help, double value) {
    text += fmt::format("# HELP {0} {2}\n# TYPE {0} {1}\n{0} {3:.9g}\n", name, type, help, value);
  };
  add("telltale_pictures_total", "counter", "Pictures looked at.", double(inspector_.looked_at()));
  add("telltale_busy_seconds_total", "counter", "Time spent decoding and looking.", inspector_.busy_seconds());
  add("telltale_waiting_pictures", "gauge", "Pictures in the line.", inspector_.waiting());
  add("telltale_connections", "gauge", "Open connections.", server_.connections());
  return text;
}

}  // namespace telltale
