#include "models/audit/audit.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "base/check.h"
#include "base/hash.h"
#include "data/codec.h"
#include "models/audit/logistic.h"

namespace telltale {
namespace {

constexpr int kFolds = 5;
constexpr int64_t kLeast = 20;  // of each class

int fold_of(const Label& label) { return int(fnv1a(label.id) % kFolds); }

/// Of `right` in `all`, at 99 %.
std::pair<double, double> wilson(double right, double all) {
  constexpr double z = 2.5758293035489;
  const double share = right / all, wide = z * z / all;
  const double middle = (share + wide / 2) / (1 + wide);
  const double half = z / (1 + wide) * std::sqrt(share * (1 - share) / all + wide / (4 * all));
  return {middle - half, middle + half};
}

}  // namespace

AuditFinding audit_facts(const std::string& view, const std::vector<Facts>& facts, const std::vector<Label>& labels) {
  AuditFinding found{.view = view, .telling = {}};
  std::vector<size_t> rows;
  int64_t fakes = 0;
  for (size_t i = 0; i < facts.size(); ++i) {
    if (facts[i].values.empty()) {
      ++found.skipped;
      continue;
    }
    rows.push_back(i);
    fakes += labels[i].fake;
  }
  found.pictures = int64_t(rows.size());
  TT_CHECK(std::min(fakes, found.pictures - fakes) >= kLeast, DataError, "an audit needs ", kLeast,
           " pictures of each class, and of ", found.pictures, " with ", view, " ", fakes, " are fake");
  int64_t right = 0;
  for (int fold = 0; fold < kFolds; ++fold) {
    std::vector<std::span<const double>> x;
    std::vector<bool> y;
    for (const size_t i : rows) {
      if (fold_of(labels[i]) == fold) continue;
      x.emplace_back(facts[i].values);
      y.push_back(labels[i].fake);
    }
    const LogisticModel model = fit_logistic(x, y, /*ridge=*/1);
    for (const size_t i : rows)
      if (fold_of(labels[i]) == fold) right += (model.logit(facts[i].values) >= 0) == labels[i].fake;
    if (fold == 0 && model.strongest() >= 0) found.telling = facts[rows[0]].names[size_t(model.strongest())];
  }
  const auto all = double(found.pictures);
  found.accuracy = double(right) / all;
  std::tie(found.low, found.high) = wilson(double(right), all);
  found.chance = double(std::max(fakes, found.pictures - fakes)) / all;
  return found;
}

std::vector<AuditFinding> audit_dataset(const Dataset& dataset, const std::vector<int>& rows,
                                        const std::function<void()>& after_each) {
  std::vector<int> fakes;
  for (const int row : rows)
    if (dataset.labels()[size_t(row)].fake) fakes.push_back(row);
  TT_CHECK(!fakes.empty(), DataError, dataset.dir(), ": holds no fakes, so that there is nothing to tell");
  std::vector<Facts> files, transforms, borders;
  std::vector<Label> labels;
  size_t lent = 0;
  for (const int row : rows) {
    const Label& label = dataset.labels()[size_t(row)];
    const std::string path = dataset.image_path(row);
    const std::vector<uint8_t> bytes = read_file(path);
    const Image image = decode_image(bytes, path);
    const Grey mask = read_grey(dataset.mask_path(label.fake ? row : fakes[lent++ % fakes.size()]));
    labels.push_back(label);
    files.push_back(file_facts(bytes, path));
    transforms.push_back(dct_facts(image, mask));
    borders.push_back(border_facts(image, mask));
    if (after_each) after_each();
  }
  return {audit_facts("file facts", files, labels), audit_facts("DCT outside the mask", transforms, labels),
          audit_facts("border strips", borders, labels)};
}

Table audit_table(const std::vector<AuditFinding>& findings) {
  Table table{{"seen", "pictures", "classes told", "99 % interval", "chance", "by", "verdict"}};
  for (const AuditFinding& f : findings)
    table.rows.push_back({f.view, cat(f.pictures), fixed(f.accuracy, 3), fixed(f.low, 3) + " to " + fixed(f.high, 3),
                          fixed(f.chance, 3), f.leaks() ? f.telling : "", f.leaks() ? "FAIL: it leaks" : "pass"});
  return table;
}

nlohmann::ordered_json to_json(const std::vector<AuditFinding>& findings) {
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  for (const AuditFinding& f : findings)
    all.push_back({{"seen", f.view},
                   {"pictures", f.pictures},
                   {"skipped", f.skipped},
                   {"accuracy", f.accuracy},
                   {"interval_99", {f.low, f.high}},
                   {"chance", f.chance},
                   {"telling", f.telling},
                   {"leaks", f.leaks()}});
  return all;
}

}  // namespace telltale
