#include "conclave/master_slave/verdict.h"

#include <algorithm>
#include <map>

namespace master_slave {
namespace {

std::string described(const Attempt& attempt) {
  return "write " + std::to_string(attempt.number) + " of " + attempt.master + " under fence " +
         std::to_string(attempt.fence);
}

}  // namespace

Verdict judge(std::span<const Attempt> journal) {
  Verdict verdict;
  std::map<std::int64_t, std::string> owner_of_fence;
  std::int64_t highest = 0;
  for (const Attempt& attempt : journal) {
    const auto [owner, is_new] = owner_of_fence.try_emplace(attempt.fence, attempt.master);
    if (!is_new && owner->second != attempt.master) {
      verdict.violations.push_back(described(attempt) + ": the fence is " + owner->second + "'s");
    }
    const bool stale = attempt.fence < highest;
    if (attempt.accepted && stale) {
      verdict.violations.push_back(described(attempt) + " was accepted after fence " +
                                   std::to_string(highest));
    }
    if (!attempt.accepted && !stale) {
      verdict.violations.push_back(described(attempt) + " was refused, though nothing newer wrote");
    }
    (attempt.accepted ? verdict.accepted : verdict.refused) += 1;
    if (attempt.accepted) highest = std::max(highest, attempt.fence);
  }
  return verdict;
}

}  // namespace master_slave
