#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "conclave/base/clock.h"

namespace conclave::replica {

// What history goes by itself.
struct HistoryRetention {
  Duration age{};              // older revisions go; zero: not by age
  std::int64_t revisions = 0;  // all but the last so many go; zero: not by count
};

// Decides when the leader proposes a compaction, and up to which revision. By age, it notes the
// revision ten times per retention period and compacts to what it noted a period ago, so that at
// least `age` of history is always there; after a restart or a new leader the period begins again.
class AutoCompactor {
 public:
  explicit AutoCompactor(HistoryRetention retention) : retention_(retention) {}

  // The revision to compact to, at most once per sampling interval. `compacted` is where the store
  // stands.
  std::optional<std::int64_t> due(Instant now, std::int64_t current, std::int64_t compacted);

  void restart() { samples_.clear(); }

 private:
  struct Sample {
    Instant taken;
    std::int64_t revision;
  };

  const HistoryRetention retention_;
  std::deque<Sample> samples_;
  Instant next_{};
};

}  // namespace conclave::replica
