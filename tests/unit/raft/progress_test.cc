#include "conclave/raft/progress.h"

#include <gtest/gtest.h>

namespace conclave::raft {
namespace {

Progress progress(Index next, std::size_t messages = 3, std::uint64_t bytes = 0) {
  return Progress(next, InflightWindow(messages, bytes));
}

TEST(InflightWindow, IsBoundInCountAndBytes) {
  InflightWindow by_count(2, 0);
  by_count.add(5, 1000);
  EXPECT_FALSE(by_count.full());
  by_count.add(9, 1000);
  EXPECT_TRUE(by_count.full());
  by_count.free_up_to(8);
  EXPECT_EQ(by_count.size(), 1U);
  EXPECT_FALSE(by_count.full());

  InflightWindow by_bytes(100, 10);
  by_bytes.add(1, 9);
  EXPECT_FALSE(by_bytes.full());
  by_bytes.add(2, 1);
  EXPECT_TRUE(by_bytes.full());
  by_bytes.free_up_to(1);
  EXPECT_FALSE(by_bytes.full());
}

TEST(Progress, ProbeSendsOneAndWaits) {
  Progress probing = progress(10);
  probing.sent_append(3, 30);
  EXPECT_TRUE(probing.paused());
  EXPECT_EQ(probing.next(), 10U) << "nothing is presumed to arrive";
  EXPECT_FALSE(probing.rejected(8, 3)) << "an answer to something older";
  EXPECT_TRUE(probing.paused());
  EXPECT_TRUE(probing.rejected(9, 3));
  EXPECT_EQ(probing.next(), 4U);
  EXPECT_FALSE(probing.paused());
}

TEST(Progress, WhoRefusesWhatHadMatchedIsNotAskedAgainAtOnce) {
  Progress lost = progress(10);
  lost.accepted(9);
  lost.become_probe();
  lost.sent_append(1, 10);
  EXPECT_FALSE(lost.rejected(9, 0));
  EXPECT_TRUE(lost.paused());
  EXPECT_EQ(lost.next(), 10U);
  lost.resume();
  EXPECT_FALSE(lost.paused());
}

TEST(Progress, ReplicationRunsAheadUpToTheWindow) {
  Progress replicating = progress(10);
  replicating.accepted(9);
  replicating.become_replicate();
  for (int i = 0; i < 3; ++i) replicating.sent_append(2, 20);
  EXPECT_EQ(replicating.next(), 16U);
  EXPECT_TRUE(replicating.paused());
  EXPECT_TRUE(replicating.accepted(11));
  replicating.free_window(11);
  EXPECT_FALSE(replicating.paused());
  EXPECT_FALSE(replicating.accepted(11)) << "doubled";
  EXPECT_FALSE(replicating.rejected(11, 5)) << "it was accepted since";
  EXPECT_TRUE(replicating.rejected(15, 12));
  EXPECT_EQ(replicating.next(), 12U);
}

TEST(Progress, SnapshotPausesAndProbesAfterItsEnd) {
  Progress waiting = progress(10);
  waiting.become_snapshot(20);
  EXPECT_TRUE(waiting.paused());
  waiting.become_probe();
  EXPECT_EQ(waiting.next(), 21U);
  waiting.become_snapshot(30);
  waiting.drop_pending_snapshot();
  waiting.become_probe();
  EXPECT_EQ(waiting.next(), 1U) << "it failed: nothing is known";
}

}  // namespace
}  // namespace conclave::raft
