#include "base/outcome.h"

#include "base/check.h"

namespace telltale {
namespace {
constexpr char kDone = 'd', kUsage = 'u', kData = 'f', kFailed = 'e';
}  // namespace

std::string outcome_of(const std::function<std::string()>& work) {
  try {
    return kDone + work();
  } catch (const UsageError& e) {
    return kUsage + std::string(e.what());
  } catch (const DataError& e) {
    return kData + std::string(e.what());
  } catch (const std::exception& e) {
    return kFailed + std::string(e.what());
  }
}

bool failed(const std::string& outcome) { return outcome.at(0) != kDone; }

std::string text_of(const std::string& outcome) {
  std::string text = outcome.substr(1);
  if (outcome[0] == kUsage) throw UsageError(text);
  if (outcome[0] == kData) throw DataError(text);
  if (outcome[0] == kFailed) throw Error(text);
  return text;
}

}  // namespace telltale
