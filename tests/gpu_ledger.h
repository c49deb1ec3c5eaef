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

#include "data/sha256.h"
#include "kernels/core/atomic_file.h"
#include "kernels/core/check.h"
#include "kernels/core/op_case.h"

namespace telltale {

/// One op as a GPU saw it: all its checks ran there and passed.
struct LedgerRow {
  std::string kernel, sources, gpu, driver;  ///< kernel: the stem of x_case.cpp; sources: hash_of_sources then
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

/// The files that decide what `kernel` does on a GPU: its headers, its .cu, its case, its NVIDIA twins, and what these
/// (but for the case) include from kernels/. Relative to `root`, the folder that holds kernels/.
inline std::set<std::string> device_sources(const std::string& root, const std::string& kernel) {
  namespace fs = std::filesystem;
  std::vector<fs::path> files;
  std::vector<std::string> kernels;
  for (const auto& entry : fs::directory_iterator(root + "/kernels")) {
    if (!entry.is_regular_file()) continue;
    files.push_back(entry.path());
    const std::string stem = entry.path().stem();
    if (stem.ends_with("_case")) kernels.push_back(stem.substr(0, stem.size() - 5));
  }
  // conv_plan.h is conv's; attention_backward.cu is attention_backward's where that has a case of its own.
  const auto owner = [&](const std::string& stem) {
    std::string longest;
    for (const std::string& k : kernels)
      if ((stem == k || stem.starts_with(k + "_")) && k.size() > longest.size()) longest = k;
    return longest;
  };
  std::set<std::string> found;
  std::vector<std::string> open;
  for (const fs::path& f : files) {
    const std::string stem = f.stem(), ext = f.extension();
    const bool nvidia = stem.find("cudnn") != std::string::npos || stem.find("cublas") != std::string::npos;
    if (owner(stem) != kernel) continue;
    if (stem == kernel + "_case") found.insert("kernels/" + f.filename().string());
    if (ext == ".h" || ext == ".cu" || (ext == ".cpp" && nvidia)) open.push_back("kernels/" + f.filename().string());
  }
  const std::regex include("^\\s*#include \"(kernels/[a-z0-9_/.]+)\"");
  while (!open.empty()) {
    const std::string name = open.back();
    open.pop_back();
    if (!found.insert(name).second) continue;
    std::ifstream file(root + "/" + name);
    std::smatch m;
    for (std::string line; std::getline(file, line);)
      if (std::regex_search(line, m, include) && fs::exists(root + "/" + m[1].str())) open.push_back(m[1]);
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
