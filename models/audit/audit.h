#pragma once
// Whether a dataset gives its classes away: could a detector do well without looking at what was painted?
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/table.h"
#include "data/dataset.h"
#include "models/audit/facts.h"

namespace telltale {

/// What a small classifier makes of one kind of facts.
struct AuditFinding {
  std::string view;                   ///< which facts
  int64_t pictures = 0, skipped = 0;  ///< judged; and those without anything to look at
  double accuracy = 0;                ///< of classes told, each picture by a classifier that was not fitted on it
  double low = 0, high = 0;           ///< its 99 % interval (Wilson 1927)
  double chance = 0;                  ///< what always saying the larger class gets right
  std::string telling;                ///< the fact that it goes by most; empty when nothing differs
  /// The classes can be told from these facts.
  bool leaks() const { return low > chance; }
};

/// A logistic regression with a ridge of 1 on standardised facts, in five folds by a hash of the ids, each judged by
/// the fit of the other four. DataError when there are fewer than 20 pictures of either class.
AuditFinding audit_facts(const std::string& view, const std::vector<Facts>& facts, const std::vector<Label>& labels);

/// File facts, DCT statistics and border strips of the rows. A real picture is given the mask of a fake, so that both
/// classes lose the same kind of area. `after_each` is called after each picture; what it throws ends the audit.
std::vector<AuditFinding> audit_dataset(const Dataset&, const std::vector<int>& rows,
                                        const std::function<void()>& after_each = {});

Table audit_table(const std::vector<AuditFinding>&);
nlohmann::ordered_json to_json(const std::vector<AuditFinding>&);

}  // namespace telltale
