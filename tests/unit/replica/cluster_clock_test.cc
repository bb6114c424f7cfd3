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
  clock.start_leading(5000, kStart);
  clock.advance(kStart + milliseconds(250));
  clock.advance(kStart + milliseconds(500));
  EXPECT_EQ(clock.now_ms(), 5500);
  clock.stop_leading();
  clock.advance(kStart + seconds(60));
  EXPECT_EQ(clock.now_ms(), 5500);
}

TEST(ClusterClock, CountsNoMoreOfAStallThanItsLimit) {
  ClusterClock clock(seconds(1));
  clock.start_leading(0, kStart);
  clock.advance(kStart + seconds(30));
  EXPECT_EQ(clock.now_ms(), 1000);
}

TEST(ClusterClock, NeverRunsBackwards) {
  ClusterClock clock(seconds(1));
  clock.observe(5000);
  clock.observe(4000);
  clock.start_leading(5000, kStart);
  clock.advance(kStart - seconds(1));
  EXPECT_EQ(clock.now_ms(), 5000);
}

// Another led meanwhile, from an older stamp: a lease that it renewed must not lose the difference.
TEST(ClusterClock, ForgetsWhatNoStampEverSaid) {
  ClusterClock clock(seconds(1));
  clock.start_leading(0, kStart);
  for (int tick = 1; tick <= 40; ++tick) clock.advance(kStart + tick * milliseconds(100));
  clock.stop_leading();
  clock.observe(1000);
  clock.start_leading(1000, kStart + seconds(5));
  EXPECT_EQ(clock.now_ms(), 1000);
}

}  // namespace
}  // namespace conclave::replica
