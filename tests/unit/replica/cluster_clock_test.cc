#include "conclave/replica/cluster_clock.h"

#include <gtest/gtest.h>

namespace conclave::replica {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Instant kStart{std::chrono::hours(5)};

TEST(ClusterClock, StandsStillWhileNobodyLeads) {
  ClusterClock clock(seconds(1));
  clock.observe(5000);
  clock.advance(kStart);
  clock.advance(kStart + seconds(9));
  EXPECT_EQ(clock.now_ms(), 5000);
}

TEST(ClusterClock, GoesOnFromTheLastStampByTheTimeLed) {
  ClusterClock clock(seconds(1));
  clock.observe(5000);
  clock.start_leading(kStart);
  clock.advance(kStart + milliseconds(250));
  clock.advance(kStart + milliseconds(500));
  EXPECT_EQ(clock.now_ms(), 5500);
  clock.stop_leading();
  clock.advance(kStart + seconds(60));
  EXPECT_EQ(clock.now_ms(), 5500);
}

TEST(ClusterClock, CountsNoMoreOfAStallThanItsLimit) {
  ClusterClock clock(seconds(1));
  clock.start_leading(kStart);
  clock.advance(kStart + seconds(30));
  EXPECT_EQ(clock.now_ms(), 1000);
}

TEST(ClusterClock, NeverRunsBackwards) {
  ClusterClock clock(seconds(1));
  clock.observe(5000);
  clock.observe(4000);
  clock.start_leading(kStart);
  clock.advance(kStart - seconds(1));
  EXPECT_EQ(clock.now_ms(), 5000);
}

}  // namespace
}  // namespace conclave::replica
