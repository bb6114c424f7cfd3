#include "conclave/master_slave/fenced_resource.h"

#include <gtest/gtest.h>

namespace master_slave {
namespace {

TEST(FencedResource, AdmitsTheSameFenceAgain) {
  FencedResource resource;
  EXPECT_TRUE(resource.admit(7));
  EXPECT_TRUE(resource.admit(7));
}

TEST(FencedResource, RefusesWhatIsOlderThanTheHighest) {
  FencedResource resource;
  EXPECT_TRUE(resource.admit(7));
  EXPECT_TRUE(resource.admit(9));
  EXPECT_FALSE(resource.admit(7));
  EXPECT_FALSE(resource.admit(8));
  EXPECT_EQ(resource.highest(), 9);
}

TEST(FencedResource, ARefusedWriteDoesNotMoveTheFenceBack) {
  FencedResource resource;
  EXPECT_TRUE(resource.admit(9));
  EXPECT_FALSE(resource.admit(7));
  EXPECT_FALSE(resource.admit(8));
  EXPECT_TRUE(resource.admit(9));
}

}  // namespace
}  // namespace master_slave
