#include "conclave/transport/lane_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace conclave::transport {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

bool push(LaneQueue& queue, std::string packet) {
  return queue.push(packet);
}

TEST(LaneQueue, TakesInOrderAsMuchAsABatchHolds) {
  LaneQueue queue(10'000);
  for (const char* packet : {"a", "b", "c"}) EXPECT_TRUE(push(queue, packet));
  EXPECT_THAT(queue.take(150), ElementsAre("a", "b"));
  EXPECT_FALSE(queue.empty());
  EXPECT_THAT(queue.take(150), ElementsAre("c"));
  EXPECT_TRUE(queue.empty());
  EXPECT_THAT(queue.take(150), IsEmpty());
}

TEST(LaneQueue, APacketLargerThanABatchGoesAlone) {
  LaneQueue queue(10'000);
  const std::string large(1000, 'x');
  EXPECT_TRUE(push(queue, large));
  EXPECT_TRUE(push(queue, "b"));
  EXPECT_THAT(queue.take(100), ElementsAre(large));
  EXPECT_THAT(queue.take(100), ElementsAre("b"));
}

TEST(LaneQueue, WhatWaitsAndWhatIsBeingWrittenIsBounded) {
  LaneQueue queue(1000);
  const std::string packet(400, 'x');
  EXPECT_TRUE(push(queue, packet));
  EXPECT_TRUE(push(queue, packet));
  EXPECT_FALSE(push(queue, packet));
  queue.take(400);
  EXPECT_FALSE(push(queue, packet)) << "one is being written, one waits";
  queue.take(400);
  EXPECT_TRUE(push(queue, packet)) << "the first is written";
}

TEST(LaneQueue, EmptyPacketsCostSomethingToo) {
  LaneQueue queue(1000);
  int taken = 0;
  while (taken < 1000 && push(queue, "")) ++taken;
  EXPECT_LT(taken, 100);
}

TEST(LaneQueue, ClearForgetsWhatIsBeingWritten) {
  LaneQueue queue(1000);
  EXPECT_TRUE(push(queue, std::string(900, 'x')));
  queue.take(1);
  queue.clear();
  EXPECT_TRUE(push(queue, std::string(900, 'x')));
}

TEST(LaneQueue, ARefusedPacketIsLeftAlone) {
  LaneQueue queue(10);
  std::string packet = "too large";
  EXPECT_FALSE(queue.push(packet));
  EXPECT_EQ(packet, "too large");
}

}  // namespace
}  // namespace conclave::transport
