#include "conclave/replica/auto_compactor.h"

#include <gtest/gtest.h>

namespace conclave::replica {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

constexpr Instant kStart{std::chrono::hours(5)};

TEST(AutoCompactor, KeepsThePromisedAgeOfHistory) {
  AutoCompactor compactor({.age = minutes(5)});
  // One revision a second, asked every second: what it names must be at least five minutes old.
  std::int64_t compacted = 0;
  int compactions = 0;
  for (int second = 0; second < 3600; ++second) {
    const std::int64_t current = second + 1;
    const auto revision = compactor.due(kStart + seconds(second), current, compacted);
    if (!revision) continue;
    EXPECT_LE(*revision, current - 300);
    EXPECT_GE(*revision, current - 300 - 31) << "history is kept for longer than it need be";
    EXPECT_GT(*revision, compacted);
    compacted = *revision;
    ++compactions;
  }
  EXPECT_GE(compactions, 100);
}

TEST(AutoCompactor, IsSilentWhileNothingIsWritten) {
  AutoCompactor compactor({.age = minutes(5)});
  std::int64_t compacted = 0;
  int compactions = 0;
  for (int second = 0; second < 3600; ++second) {
    if (const auto revision = compactor.due(kStart + seconds(second), 9, compacted)) {
      compacted = *revision;
      ++compactions;
    }
  }
  EXPECT_EQ(compactions, 1);
}

TEST(AutoCompactor, KeepsTheLastRevisionsByCount) {
  AutoCompactor compactor({.revisions = 100});
  EXPECT_EQ(compactor.due(kStart, 90, 0), std::nullopt);
  EXPECT_EQ(compactor.due(kStart + seconds(10), 250, 0), 150);
  EXPECT_EQ(compactor.due(kStart + seconds(11), 900, 150), std::nullopt) << "asked too soon";
}

TEST(AutoCompactor, NeverWhenSwitchedOff) {
  AutoCompactor compactor({});
  for (int hour = 0; hour < 100; ++hour) {
    EXPECT_EQ(compactor.due(kStart + std::chrono::hours(hour), 1000 * hour, 0), std::nullopt);
  }
}

}  // namespace
}  // namespace conclave::replica
