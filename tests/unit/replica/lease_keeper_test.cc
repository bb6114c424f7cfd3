#include "conclave/replica/lease_keeper.h"

#include <gtest/gtest.h>

namespace conclave::replica {
namespace {

using std::chrono::milliseconds;

TEST(LeaseKeeper, ARenewalAloneWaitsForNothingAndTheNextOnesGather) {
  LeaseKeeper keeper;
  const Instant start = Instant{} + std::chrono::hours(1);
  EXPECT_FALSE(keeper.next_renewal());
  keeper.add({.id = 1, .lease = 11});
  ASSERT_TRUE(keeper.next_renewal());
  EXPECT_LE(*keeper.next_renewal(), start);
  ASSERT_TRUE(keeper.begin_renewal(5, start));
  EXPECT_EQ(keeper.finish_renewal(5).size(), 1U);

  keeper.add({.id = 2, .lease = 12});
  keeper.add({.id = 3, .lease = 13});
  EXPECT_FALSE(keeper.begin_renewal(6, start + milliseconds(1)));
  const auto due = keeper.next_renewal();
  ASSERT_TRUE(due);
  EXPECT_GT(*due, start + milliseconds(1));
  EXPECT_LT(*due, start + milliseconds(100)) << "nothing beside the shortest time to live";
  const auto renew = keeper.begin_renewal(6, *due);
  ASSERT_TRUE(renew);
  EXPECT_EQ(renew->ids_size(), 2);
}

TEST(LeaseKeeper, OneEntryIsUnderWayAtATime) {
  LeaseKeeper keeper;
  const Instant start = Instant{} + std::chrono::hours(1);
  keeper.add({.id = 1, .lease = 11});
  ASSERT_TRUE(keeper.begin_renewal(5, start));
  keeper.add({.id = 2, .lease = 12});
  EXPECT_FALSE(keeper.next_renewal());
  EXPECT_FALSE(keeper.begin_renewal(6, start + std::chrono::seconds(1)));
  EXPECT_TRUE(keeper.finish_renewal(4).empty());
  EXPECT_EQ(keeper.finish_renewal(5).size(), 1U);
  EXPECT_TRUE(keeper.begin_renewal(6, start + std::chrono::seconds(1)));
}

}  // namespace
}  // namespace conclave::replica
