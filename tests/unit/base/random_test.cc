#include "conclave/base/random.h"

#include <gtest/gtest.h>

namespace conclave {
namespace {

TEST(Random, SameSeedGivesTheSameNumbers) {
  Random first(42);
  Random second(42);
  Random other(43);
  bool differs = false;
  for (int i = 0; i < 100; ++i) {
    const std::uint64_t number = first.next();
    EXPECT_EQ(number, second.next());
    differs = differs || number != other.next();
  }
  EXPECT_TRUE(differs);
}

TEST(Random, BelowStaysBelowAndReachesEveryValue) {
  Random random(1);
  int seen[7] = {};
  for (int i = 0; i < 7000; ++i) {
    const std::uint64_t number = random.below(7);
    ASSERT_LT(number, 7U);
    ++seen[number];
  }
  for (const int count : seen) EXPECT_GT(count, 800);
}

}  // namespace
}  // namespace conclave
