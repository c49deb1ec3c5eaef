#pragma once
// Which kernels a GPU has verified, when, and from which sources: tests/gpu_ledger.tsv.
#include <algorithm>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "base/atomic_file.h"
#include "base/check.h"
#include "base/sha256.h"
#include "kernels/case/op_case.h"

namespace telltale {

/// One op as a GPU saw it: all its checks ran there and passed.
struct LedgerRow {
  std::string kernel, sources, gpu,
      driver;  ///< kernel: x_case.cpp below kernels/, without _case.cpp; sources: hash_of_sources then
  int checks = 0;
  double worst = 0;  ///< worst error as a share of what the case allows
  std::string date;  ///< "2026-11-30"
};
/// By op. Columns: op, then LedgerRow's fields in order.
using GpuLedger = std::map<std::string, LedgerRow>;

inline constexpr const char* kLedgerHeader = "op\tkernel\tsources\tgpu\tdriver\tchecks\tworst\tdate\n";

/// A missing file is an empty ledger.
inline GpuLedger read_ledger(const std::string& path) {
  GpuLedger ledger;
  std::ifstream file(path);
  std::string line, op;
  std::getline(file, line);
  while (std::getline(file, line)) {
    std::istringstream fields(line);
    LedgerRow r;
    std::string checks, worst;
    std::getline(fields, op, '\t');
    for (std::string* f : {&r.kernel, &r.sources, &r.gpu, &r.driver, &checks, &worst, &r.date})
      std::getline(fields, *f, '\t');
    r.checks = std::atoi(checks.c_str());
    r.worst = std::atof(worst.c_str());
    ledger[op] = r;
  }
  return ledger;
}

inline void write_ledger(const std::string& path, const GpuLedger& ledger) {
  std::string text = kLedgerHeader;
  for (const auto& [op, r] : ledger)
    text += cat(op, "\t", r.kernel, "\t", r.sources, "\t", r.gpu, "\t", r.driver, "\t", r.checks, "\t", r.worst, "\t",
                r.date, "\n");
  write_atomically(path, text);
}

inline std::string today() {
  const std::time_t now = std::time(nullptr);
  char text[16];
  std::strftime(text, sizeof text, "%Y-%m-%d", std::gmtime(&now));
  return text;
}

/// Everything that a case reaches: its file, the headers of ours that it includes, what implements those (the files
/// beside them with their stem; all of a folder that is one family, as kernels/conv/ is), and so on. `kernel`: its file
/// below kernels/ without _case.cpp. Paths relative to `root`, the folder that holds kernels/. CaseSources in
/// ledger_test.cpp holds it against what the compiler says.
inline std::set<std::string> device_sources(const std::string& root, const std::string& kernel) {
  namespace fs = std::filesystem;
  const auto is_case = [](const std::string& name) {
    return name.ends_with("_case.cpp") && !name.starts_with("kernels/case/");
  };
  const std::set<std::string> shared = {"kernels", "kernels/device", "kernels/parts", "kernels/case", "base"};
  std::set<std::string> found;
  std::vector<std::string> open = {"kernels/" + kernel + "_case.cpp"};
  const auto add_folder = [&](const std::string& folder, const std::string& stem) {  // stem: empty for all, and below
    for (const auto& entry : fs::directory_iterator(root + "/" + folder)) {
      const std::string name = folder + "/" + entry.path().filename().string(), ext = entry.path().extension();
      if (!entry.is_regular_file() || (ext != ".h" && ext != ".cu" && ext != ".cpp") || is_case(name)) continue;
      if (stem.empty() || entry.path().stem() == stem) open.push_back(name);
    }
  };
  const std::regex include("^\\s*#include \"((kernels|base)/[a-z0-9_/.]+)\"");
  while (!open.empty()) {
    const std::string name = open.back();
    open.pop_back();
    if (!fs::exists(root + "/" + name) || !found.insert(name).second) continue;
    std::string folder = fs::path(name).parent_path();
    if (shared.count(folder)) {
      add_folder(folder, is_case(name) ? kernel.substr(kernel.find('/') + 1) : fs::path(name).stem().string());
    } else {
      while (!shared.count(fs::path(folder).parent_path())) folder = fs::path(folder).parent_path();
      add_folder(folder, "");
      for (const auto& entry : fs::recursive_directory_iterator(root + "/" + folder))
        if (entry.is_directory()) add_folder(fs::relative(entry.path(), root), "");
    }
    std::ifstream file(root + "/" + name);
    std::smatch m;
    for (std::string line; std::getline(file, line);)
      if (std::regex_search(line, m, include)) open.push_back(m[1]);
  }
  return found;
}

/// 16 hexadecimal digits over names and bytes of device_sources.
inline std::string hash_of_sources(const std::string& root, const std::string& kernel) {
  Sha256 hash;
  const auto add = [&](const std::string& text) {
    hash.update(std::span(reinterpret_cast<const uint8_t*>(text.data()), text.size()));
  };
  for (const std::string& name : device_sources(root, kernel)) {
    std::ifstream file(root + "/" + name, std::ios::binary);
    add(name + "\n" + std::string(std::istreambuf_iterator<char>(file), {}));
  }
  return hash.hex().substr(0, 16);
}

/// What the ledger says of these cases against the sources of today, a few lines: verified, stale, never run.
inline std::string ledger_report(const GpuLedger& ledger, const std::vector<OpCase>& cases, const std::string& root) {
  std::map<std::string, std::set<std::string>> ops;  // by kernel
  for (const OpCase& c : cases)
    if (c.test) ops[c.kernel].insert(c.op);
  int verified = 0, all = 0;
  std::string stale, never;
  for (const auto& [kernel, of_kernel] : ops) {
    const std::string now = hash_of_sources(root, kernel);
    std::string missing;
    const LedgerRow* old = nullptr;
    for (const std::string& op : of_kernel) {
      ++all;
      const auto row = ledger.find(op);
      if (row == ledger.end()) {
        missing += " " + op;
      } else if (row->second.sources != now) {
        old = &row->second;
      } else {
        ++verified;
      }
    }
    if (old) stale += cat("stale: ", kernel, " changed since ", old->gpu, ", ", old->date, "\n");
    if (!missing.empty()) never += missing;
  }
  return cat("ledger: a GPU verified ", verified, " of ", all, " ops as they are today\n", stale,
             never.empty() ? "" : "never run on a GPU:" + never + "\n");
}

}  // namespace telltale
