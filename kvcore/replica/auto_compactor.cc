#include "conclave/replica/auto_compactor.h"

#include <algorithm>
#include <chrono>

namespace conclave::replica {
namespace {

constexpr int kSamplesPerAge = 10;
constexpr Duration kCountInterval = std::chrono::seconds(10);

}  // namespace

std::optional<std::int64_t> AutoCompactor::due(Instant now, std::int64_t current,
                                               std::int64_t compacted) {
  if (now < next_) return std::nullopt;
  std::int64_t target = 0;
  if (retention_.revisions > 0) {
    next_ = now + kCountInterval;
    target = current - retention_.revisions;
  }
  if (retention_.age > Duration::zero()) {
    next_ = now + retention_.age / kSamplesPerAge;
    while (!samples_.empty() && samples_.front().taken <= now - retention_.age) {
      target = std::max(target, samples_.front().revision);
      samples_.pop_front();
    }
    samples_.push_back({now, current});
  }
  if (target <= compacted || target <= 1) return std::nullopt;
  return target;
}

}  // namespace conclave::replica
