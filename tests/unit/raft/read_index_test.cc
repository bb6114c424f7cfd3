#include <gtest/gtest.h>

#include "tests/unit/raft/test_group.h"

namespace conclave::raft {
namespace {

TEST(ReadIndex, LeaderAnswersWithItsCommitIndex) {
  TestGroup group = TestGroup::of(3);
  group.elect(1);
  ASSERT_TRUE(group[1].propose({"x"}));
  group.settle();
  ASSERT_TRUE(group[1].read_index("r"));
  EXPECT_TRUE(group.reads(1).empty()) << "not before a quorum has confirmed it";
  group.settle();
  EXPECT_EQ(group.reads(1), (std::vector<ReadState>{{"r", 3}}));
}

TEST(ReadIndex, FollowerAsksItsLeader) {
  TestGroup group = TestGroup::of(3);
  EXPECT_EQ(group[2].read_index("r").error(), Refusal::no_leader);
  group.elect(1);
  ASSERT_TRUE(group[2].read_index("r"));
  group.settle();
  EXPECT_EQ(group.reads(2), (std::vector<ReadState>{{"r", 2}}));
}

TEST(ReadIndex, SingleMemberAnswersAtOnceAfterItsFirstCommit) {
  auto node = make_node(test_options(1), first_state({1}));
  node->campaign();
  const Ready vote = node->take_ready();
  node->persisted(vote.number);
  ASSERT_EQ(node->role(), Role::leader);
  ASSERT_TRUE(node->read_index("early"));
  const Ready first = node->take_ready();
  EXPECT_TRUE(first.read_states.empty()) << "nothing of its own term is committed";
  node->persisted(first.number);
  ASSERT_TRUE(node->read_index("late"));
  EXPECT_EQ(node->take_ready().read_states, (std::vector<ReadState>{{"early", 2}, {"late", 2}}));
}

TEST(ReadIndex, DeposedLeaderNeverAnswers) {
  TestGroup group = TestGroup::of(3, [](Options& options) { options.check_quorum = false; });
  group.elect(1);
  group.isolate(1);
  group[2].forget_leader();
  group[3].forget_leader();
  group[2].campaign();
  group.settle();
  ASSERT_EQ(group.leader(), 2U);
  ASSERT_TRUE(group[2].propose({"x"}));
  group.settle();
  ASSERT_EQ(group[1].role(), Role::leader) << "it knows nothing of the other";
  ASSERT_TRUE(group[1].read_index("stale"));
  group.tick_all(3);
  group.heal();
  group.tick_all(3);
  EXPECT_TRUE(group.reads(1).empty());
}

TEST(ReadIndex, AnswersToAnEarlierRoundDoNotCount) {
  auto leader = make_node(test_options(1), first_state({1, 2, 3}));
  leader->campaign();
  run_once(*leader);
  leader->step({.kind = MessageKind::pre_vote_response, .from = 2, .to = 1, .term = 2});
  run_once(*leader);
  leader->step({.kind = MessageKind::vote_response, .from = 2, .to = 1, .term = 2});
  run_once(*leader);
  leader->step(
      {.kind = MessageKind::append_response, .from = 2, .to = 1, .term = 2, .log_index = 2});
  run_once(*leader);
  ASSERT_TRUE(leader->read_index("first"));
  std::uint64_t round = 0;
  for (const Message& message : run_once(*leader)) round = std::max(round, message.round);
  // Comes while the round is on its way: it shares the next one.
  ASSERT_TRUE(leader->read_index("second"));
  EXPECT_TRUE(run_once(*leader).empty());
  const auto answer = [&](std::uint64_t to) {
    leader->step(
        {.kind = MessageKind::heartbeat_response, .from = 2, .to = 1, .term = 2, .round = to});
    std::vector<ReadState> answered;
    if (leader->has_ready()) answered = leader->take_ready().read_states;
    return answered;
  };
  EXPECT_TRUE(answer(round - 1).empty());
  EXPECT_EQ(answer(round), (std::vector<ReadState>{{"first", 2}}));
  EXPECT_TRUE(answer(round).empty()) << "the second was asked after that round began";
  EXPECT_EQ(answer(round + 1), (std::vector<ReadState>{{"second", 2}}));
}

TEST(ReadIndex, LostRoundIsRepeatedWithTheNextHeartbeat) {
  TestGroup group = TestGroup::of(3);
  group.elect(1);
  ASSERT_TRUE(group[1].read_index("r"));
  run_once(group[1]);  // its messages are lost
  group.settle();
  EXPECT_TRUE(group.reads(1).empty());
  group.tick_all(1);
  EXPECT_EQ(group.reads(1).size(), 1U);
}

}  // namespace
}  // namespace conclave::raft
