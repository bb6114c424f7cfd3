#include "conclave/base/result.h"

#include <memory>

#include <gtest/gtest.h>

namespace conclave {
namespace {

Result<int> half(int number) {
  if (number % 2 != 0) return Error{Errc::invalid_argument, "number: must be even"};
  return number / 2;
}

TEST(Result, HoldsAValueOrAnError) {
  EXPECT_EQ(*half(4), 2);
  ASSERT_FALSE(half(3));
  EXPECT_EQ(half(3).error().code, Errc::invalid_argument);
}

TEST(Result, ValueThrowsTheErrorWithItsName) {
  EXPECT_EQ(half(6).value(), 3);
  try {
    (void)half(5).value();
    FAIL() << "value() of an error returned";
  } catch (const Failure& failure) {
    EXPECT_STREQ(failure.what(), "invalid_argument: number: must be even");
  }
}

TEST(Result, MovesOnlyWhatCanOnlyMove) {
  Result<std::unique_ptr<int>> held(std::make_unique<int>(7));
  const std::unique_ptr<int> taken = *std::move(held);
  EXPECT_EQ(*taken, 7);
}

TEST(ResultDeathTest, TheWrongSideEndsTheProcess) {
  EXPECT_DEATH((void)*half(3), "value of a Result that holds an error");
}

}  // namespace
}  // namespace conclave
