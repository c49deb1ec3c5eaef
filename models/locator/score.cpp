#include "models/locator/score.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/check.h"
#include "base/cholesky.h"
#include "kernels/parts/math.h"

namespace telltale {
namespace {

constexpr size_t kTerms = kMapStatistics.size();
using Row = std::array<double, kTerms + 1>;  ///< standardised statistics, then 1 for the bias

double standardised(const Calibration::Term& t, double value) {
  return (std::clamp(value, t.low, t.high) - t.mean) / t.spread;
}

Row row_of(const Calibration& c, const MapStatistics& statistics) {
  Row row;
  for (size_t k = 0; k < kTerms; ++k) row[k] = standardised(c.terms[k], statistics[k]);
  row[kTerms] = 1;
  return row;
}

/// Ranges, means and spreads of the samples.
void measure(std::span<const ScoredMap> samples, Calibration& c) {
  for (size_t k = 0; k < kTerms; ++k) {
    Calibration::Term& t = c.terms[k];
    t.low = std::numeric_limits<double>::infinity();
    t.high = -t.low;
    double sum = 0, squares = 0;
    for (const ScoredMap& s : samples) {
      const double v = s.statistics[k];
      t.low = std::min(t.low, v);
      t.high = std::max(t.high, v);
      sum += v;
    }
    t.mean = sum / double(samples.size());
    for (const ScoredMap& s : samples) squares += (s.statistics[k] - t.mean) * (s.statistics[k] - t.mean);
    const double spread = std::sqrt(squares / double(samples.size()));
    t.spread = spread > 1e-9 ? spread : 1;  // a constant says nothing, and weighs nothing
  }
}

/// −log of the probability that the model gives what is true.
double log_loss(bool fake, double logit) {
  const double z = fake ? -logit : logit;
  return std::max(z, 0.0) + std::log1p(std::exp(-std::abs(z)));
}

/// The logistic model with the least penalised log loss, by Newton's method with halved steps.
Calibration fitted(std::span<const ScoredMap> samples, double penalty) {
  Calibration c;
  c.penalty = penalty;
  measure(samples, c);
  std::vector<Row> rows;
  for (const ScoredMap& s : samples) rows.push_back(row_of(c, s.statistics));
  Row w{};
  const auto loss_at = [&](const Row& at) {
    double loss = 0;
    for (size_t k = 0; k < kTerms; ++k) loss += penalty / 2 * at[k] * at[k];
    for (size_t i = 0; i < rows.size(); ++i)
      loss += log_loss(samples[i].fake, std::inner_product(at.begin(), at.end(), rows[i].begin(), 0.0));
    return loss;
  };
  double loss = loss_at(w);
  for (int step = 0; step < 100; ++step) {
    Row gradient{};
    std::array<double, (kTerms + 1) * (kTerms + 1)> hessian{};
    const auto at = [](size_t k, size_t l) { return k * (kTerms + 1) + l; };
    for (size_t k = 0; k < kTerms; ++k) {
      gradient[k] = penalty * w[k];
      hessian[at(k, k)] = penalty;
    }
    hessian[at(kTerms, kTerms)] = 1e-9;  // of the bias, which has no penalty: keeps a decided model solvable
    for (size_t i = 0; i < rows.size(); ++i) {
      const double p = sigmoid(std::inner_product(w.begin(), w.end(), rows[i].begin(), 0.0));
      for (size_t k = 0; k <= kTerms; ++k) {
        gradient[k] += (p - samples[i].fake) * rows[i][k];
        for (size_t l = 0; l <= kTerms; ++l) hessian[at(k, l)] += p * (1 - p) * rows[i][k] * rows[i][l];
      }
    }
    Row move = gradient;
    solve_positive_definite(hessian, move, kTerms + 1);
    double share = 1, next = loss;
    Row to = w;
    for (; share > 1e-6; share /= 2) {
      for (size_t k = 0; k <= kTerms; ++k) to[k] = w[k] - share * move[k];
      next = loss_at(to);
      if (next <= loss) break;
    }
    const double gained = loss - next;
    if (gained >= 0) w = to;
    if (gained < 1e-10 * (1 + loss)) break;
    loss = next;
  }
  for (size_t k = 0; k < kTerms; ++k) c.terms[k].weight = w[k];
  c.bias = w[kTerms];
  return c;
}

constexpr size_t kFolds = 5;

/// What models fitted on the other folds say of each sample. Folds take turns within each class.
std::vector<double> cross_validated(std::span<const ScoredMap> samples, double penalty) {
  std::vector<size_t> fold(samples.size());
  size_t next[2] = {0, 0};
  for (size_t i = 0; i < samples.size(); ++i) fold[i] = next[samples[i].fake]++ % kFolds;
  std::vector<double> logits(samples.size());
  for (size_t f = 0; f < kFolds; ++f) {
    std::vector<ScoredMap> others;
    for (size_t i = 0; i < samples.size(); ++i)
      if (fold[i] != f) others.push_back(samples[i]);
    const Calibration model = fitted(others, penalty);
    for (size_t i = 0; i < samples.size(); ++i)
      if (fold[i] == f) logits[i] = model.logit(samples[i].statistics);
  }
  return logits;
}

/// A probability that at most `share` of the logits reach, as far from them as can be.
double exceeded_by(std::vector<double> logits, double share) {
  std::sort(logits.begin(), logits.end(), std::greater<>());
  const auto allowed = size_t(share * double(logits.size()));
  const double too_many = logits[allowed], still = allowed > 0 ? logits[allowed - 1] : too_many + 1;
  const double between = std::max((too_many + still) / 2, std::nextafter(too_many, INFINITY));
  return std::clamp(sigmoid(between), 1e-6, 1 - 1e-6);
}

std::vector<Sample> samples_of(std::span<const ScoredMap> maps, const std::vector<double>& logits) {
  std::vector<Sample> samples;
  for (size_t i = 0; i < maps.size(); ++i)
    samples.push_back({.fake = maps[i].fake, .logit = logits[i], .truth = {}, .predicted = {}});
  return samples;
}

}  // namespace

MapStatistics map_statistics(const LogitMap& map) {
  TT_CHECK(!map.logits.empty(), ShapeError, "a map without pixels has no statistics");
  const double top = picture_logit(map);
  return {top, std::max(0.0, top)};
}

double Calibration::logit(const MapStatistics& statistics) const {
  double sum = bias;
  for (size_t k = 0; k < kTerms; ++k) sum += terms[k].weight * standardised(terms[k], statistics[k]);
  return sum;
}

Calibration calibrate(std::span<const ScoredMap> samples, double false_alarms, double misses) {
  TT_CHECK(misses > 0 && misses < 1, UsageError, "misses of ", misses, ": expected a share between 0 and 1");
  TT_CHECK(false_alarms > 0 && false_alarms < 1, UsageError, "false alarms of ", false_alarms,
           ": expected a share between 0 and 1");
  const auto fakes = std::count_if(samples.begin(), samples.end(), [](const ScoredMap& s) { return s.fake; });
  const auto reals = long(samples.size()) - fakes;
  constexpr long kFewest = 20;
  TT_CHECK(fakes >= kFewest && reals >= kFewest, DataError, "a calibration needs at least ", kFewest, " fakes and ",
           kFewest, " reals, and there are ", fakes, " and ", reals);
  double best = 0, least = std::numeric_limits<double>::infinity();
  std::vector<double> held_out;
  for (const double penalty : {0.3, 1.0, 3.0, 10.0, 30.0, 100.0}) {
    std::vector<double> logits = cross_validated(samples, penalty);
    double loss = 0;
    for (size_t i = 0; i < samples.size(); ++i) loss += log_loss(samples[i].fake, logits[i]);
    if (loss >= least) continue;
    least = loss;
    best = penalty;
    held_out = std::move(logits);
  }
  Calibration c = fitted(samples, best);
  c.false_alarms = false_alarms;
  c.fakes = fakes;
  c.reals = reals;
  std::vector<double> of_reals, of_fakes, plain;
  for (size_t i = 0; i < samples.size(); ++i) {
    samples[i].fake ? of_fakes.push_back(-held_out[i]) : of_reals.push_back(held_out[i]);
    plain.push_back(samples[i].plain);
  }
  c.threshold = std::max(0.5, exceeded_by(of_reals, false_alarms));
  c.real_below = std::min(0.5, 1 - exceeded_by(of_fakes, misses));
  c.error_before = calibration_error(samples_of(samples, plain));
  c.error_after = calibration_error(samples_of(samples, held_out));
  return c;
}

Table calibration_table(const Calibration& c) {
  Table table{{"statistic", "from", "to", "weight"}};
  for (size_t k = 0; k < kTerms; ++k) {
    const Calibration::Term& t = c.terms[k];
    table.rows.push_back({kMapStatistics[k], fixed(t.low, 2), fixed(t.high, 2), fixed(t.weight, 3)});
  }
  return table;
}

std::string to_text(const Calibration& c) {
  nlohmann::ordered_json j;
  for (size_t k = 0; k < kTerms; ++k) {
    const Calibration::Term& t = c.terms[k];
    j["terms"][kMapStatistics[k]] = {
        {"low", t.low}, {"high", t.high}, {"mean", t.mean}, {"spread", t.spread}, {"weight", t.weight}};
  }
  j["bias"] = c.bias;
  j["threshold"] = c.threshold;
  j["real_below"] = c.real_below;
  j["false_alarms"] = c.false_alarms;
  j["penalty"] = c.penalty;
  j["fakes"] = c.fakes;
  j["reals"] = c.reals;
  j["error_before"] = c.error_before;
  j["error_after"] = c.error_after;
  j["pixels"] = {{"scale", c.pixels.scale}, {"bias", c.pixels.bias}};
  return j.dump();
}

Calibration calibration_of(const std::string& text) {
  Calibration c;
  try {
    const auto j = nlohmann::json::parse(text);
    TT_CHECK(j.at("terms").size() == kTerms, DataError, "its calibration rests on ", j.at("terms").size(),
             " statistics, not on the ", kTerms, " known here");
    for (size_t k = 0; k < kTerms; ++k) {
      const auto& t = j.at("terms").at(kMapStatistics[k]);
      c.terms[k] = {t.at("low"), t.at("high"), t.at("mean"), t.at("spread"), t.at("weight")};
    }
    c.bias = j.at("bias");
    c.threshold = j.at("threshold");
    c.real_below = j.at("real_below");
    c.false_alarms = j.at("false_alarms");
    c.penalty = j.at("penalty");
    c.fakes = j.at("fakes");
    c.reals = j.at("reals");
    c.error_before = j.at("error_before");
    c.error_after = j.at("error_after");
    c.pixels = {j.at("pixels").at("scale"), j.at("pixels").at("bias")};
  } catch (const nlohmann::json::exception& e) {
    throw DataError(cat("its calibration is damaged: ", e.what()));
  }
  const bool ordered = std::all_of(c.terms.begin(), c.terms.end(),
                                   [](const Calibration::Term& t) { return t.low <= t.high && t.spread > 0; });
  TT_CHECK(ordered && c.threshold > 0 && c.threshold < 1 && c.real_below >= 0 && c.real_below <= c.threshold, DataError,
           "its calibration is damaged: ranges or thresholds are out of order");
  return c;
}

}  // namespace telltale
