#include <gtest/gtest.h>

#include "tests/unit/raft/test_group.h"

namespace conclave::raft {
namespace {

TEST(Election, SingleMemberLeadsAndCommitsByItself) {
  TestGroup group = TestGroup::of(1);
  group.tick_all(2 * kElectionTicks);
  ASSERT_EQ(group.leader(), 1U);
  ASSERT_TRUE(group[1].propose({"a", "b"}));
  group.settle();
  EXPECT_EQ(group.applied(1), (std::vector<std::string>{"", "a", "b"}));
}

TEST(Election, OneOfThreeLeadsAfterATimeout) {
  TestGroup group = TestGroup::of(3);
  group.tick_all(2 * kElectionTicks);
  const NodeId leader = group.leader();
  ASSERT_NE(leader, 0U);
  for (const NodeId id : {1, 2, 3}) {
    EXPECT_EQ(group[id].leader(), leader);
    EXPECT_EQ(group[id].term(), 2U);
  }
}

TEST(Election, TimeoutsAreRandomWithinTheirBounds) {
  std::set<int> seen;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    Node node(test_options(1), first_state({1, 2}), Random(seed));
    int ticks = 0;
    for (; node.role() == Role::follower; ++ticks) node.tick();
    EXPECT_GE(ticks, kElectionTicks);
    EXPECT_LT(ticks, 2 * kElectionTicks);
    seen.insert(ticks);
  }
  EXPECT_EQ(seen.size(), static_cast<std::size_t>(kElectionTicks));
}

TEST(Election, FollowerIsLeftAloneWhileHeartbeatsCome) {
  TestGroup group = TestGroup::of(3);
  group.elect(1);
  group.tick_all(10 * kElectionTicks);
  EXPECT_EQ(group.leader(), 1U);
  EXPECT_EQ(group[2].term(), 2U);
}

TEST(Election, VoteGoesToOneCandidateATerm) {
  auto node = make_node(test_options(1), first_state({1, 2, 3}));
  const auto ask = [&](NodeId from) {
    node->step({.kind = MessageKind::vote,
                .from = from,
                .to = 1,
                .term = 5,
                .log_index = 1,
                .log_term = 1});
    return run_once(*node).at(0).rejected;
  };
  EXPECT_FALSE(ask(2));
  EXPECT_TRUE(ask(3));
  EXPECT_FALSE(ask(2)) << "the same one may ask again: the answer may be lost";
  EXPECT_EQ(node->vote(), 2U);
}

TEST(Election, CandidateWithAnOlderLogGetsNoVote) {
  auto node = make_node(test_options(1), with_log(first_state({1, 2, 3}), {2, 3}));
  const auto ask = [&](Term term, LogPosition last) {
    node->step({.kind = MessageKind::vote,
                .from = 2,
                .to = 1,
                .term = term,
                .log_index = last.index,
                .log_term = last.term});
    return run_once(*node).at(0).rejected;
  };
  EXPECT_TRUE(ask(5, {.term = 2, .index = 9}));
  EXPECT_TRUE(ask(6, {.term = 3, .index = 2}));
  EXPECT_FALSE(ask(7, {.term = 3, .index = 3}));
  EXPECT_FALSE(ask(8, {.term = 4, .index = 2}));
}

TEST(Election, VoteLeavesOnlyAfterItIsOnDisk) {
  auto node = make_node(test_options(1), first_state({1, 2, 3}));
  node->step(
      {.kind = MessageKind::vote, .from = 2, .to = 1, .term = 5, .log_index = 1, .log_term = 1});
  const Ready ready = node->take_ready();
  EXPECT_TRUE(ready.must_sync);
  EXPECT_EQ(ready.hard_state, (HardState{.term = 5, .vote = 2, .commit = 1}));
  EXPECT_TRUE(ready.messages.empty());
  ASSERT_EQ(ready.messages_after_persist.size(), 1U);
  EXPECT_FALSE(ready.messages_after_persist[0].rejected);
}

TEST(Election, CandidateWaitsForItsOwnVoteToBeOnDisk) {
  Options options = test_options(1);
  options.pre_vote = false;
  auto node = make_node(options, first_state({1, 2, 3, 4, 5}));
  node->campaign();
  const Ready ready = node->take_ready();
  for (const NodeId from : {2, 3, 4}) {
    node->step({.kind = MessageKind::vote_response, .from = from, .to = 1, .term = node->term()});
  }
  EXPECT_EQ(node->role(), Role::candidate)
      << "three others would do, but it could vote again after a crash";
  node->persisted(ready.number);
  EXPECT_EQ(node->role(), Role::leader);
}

TEST(Election, NodeThatForgotItsPromisesNeitherVotesNorCampaigns) {
  InitialState state = first_state({1, 2, 3});
  state.voteless = true;
  auto node = make_node(test_options(1), std::move(state));
  for (const MessageKind kind : {MessageKind::pre_vote, MessageKind::vote}) {
    node->step({.kind = kind, .from = 2, .to = 1, .term = 5, .log_index = 9, .log_term = 4});
    EXPECT_TRUE(run_once(*node).empty());
  }
  for (int i = 0; i < 3 * kElectionTicks; ++i) node->tick();
  EXPECT_EQ(node->role(), Role::follower);
}

TEST(Election, VoteOfAnEarlierTermDoesNotCount) {
  Options options = test_options(1);
  options.pre_vote = false;
  auto node = make_node(options, first_state({1, 2, 3}));
  node->campaign();
  const Term earlier = node->term();
  node->campaign();
  run_once(*node);
  ASSERT_GT(node->term(), earlier);
  node->step({.kind = MessageKind::vote_response, .from = 2, .to = 1, .term = earlier});
  EXPECT_EQ(node->role(), Role::candidate);
}

TEST(Election, LostElectionEndsTheCandidacy) {
  Options options = test_options(1);
  options.pre_vote = false;
  auto node = make_node(options, first_state({1, 2, 3}));
  node->campaign();
  for (const NodeId from : {2, 3}) {
    node->step({.kind = MessageKind::vote_response,
                .from = from,
                .to = 1,
                .term = node->term(),
                .rejected = true});
  }
  EXPECT_EQ(node->role(), Role::follower);
}

TEST(PreVote, NodeOutOfTouchKeepsItsTermAndDisturbsNobody) {
  TestGroup group = TestGroup::of(3);
  group.elect(1);
  const Term term = group[1].term();
  group.isolate(3);
  group.tick_all(10 * kElectionTicks);
  EXPECT_EQ(group[3].role(), Role::pre_candidate);
  EXPECT_EQ(group[3].term(), term);
  group.heal();
  group.tick_all(3);
  EXPECT_EQ(group.leader(), 1U);
  EXPECT_EQ(group[1].term(), term);
  EXPECT_EQ(group[3].leader(), 1U);
}

TEST(PreVote, DeadLeaderIsReplaced) {
  TestGroup group = TestGroup::of(3);
  group.elect(1);
  group.isolate(1);
  group.tick_all(4 * kElectionTicks);
  EXPECT_TRUE(group.leader() == 2 || group.leader() == 3);
  EXPECT_EQ(group[1].role() == Role::leader, false) << "it heard from no quorum";
}

TEST(PreVote, ForgottenLeaderIsReplacedBeforeTheTimeout) {
  TestGroup group = TestGroup::of(3);
  group.elect(1);
  group.isolate(1);
  group[2].forget_leader();
  group[2].campaign();
  group.settle();
  EXPECT_EQ(group[2].role(), Role::pre_candidate) << "node 3 still believes in its leader";
  group[3].forget_leader();
  group[2].campaign();
  group.settle();
  EXPECT_EQ(group.leader(), 2U);
}

TEST(PreVote, GrantIsForOneTermOnly) {
  auto node = make_node(test_options(1), first_state({1, 2, 3}));
  node->campaign();
  ASSERT_EQ(node->role(), Role::pre_candidate);
  node->step(
      {.kind = MessageKind::pre_vote_response, .from = 2, .to = 1, .term = node->term() + 5});
  EXPECT_EQ(node->role(), Role::pre_candidate);
  node->step(
      {.kind = MessageKind::pre_vote_response, .from = 2, .to = 1, .term = node->term() + 1});
  EXPECT_EQ(node->role(), Role::candidate);
}

TEST(CheckQuorum, LeaderWithoutAQuorumStepsDown) {
  TestGroup group = TestGroup::of(3);
  group.elect(1);
  group.cut(1, 2);
  group.tick_all(3 * kElectionTicks);
  EXPECT_EQ(group[1].role(), Role::leader) << "one follower makes a quorum";
  group.isolate(1);
  group.tick(1, 2 * kElectionTicks);
  EXPECT_EQ(group[1].role(), Role::follower);
}

TEST(CheckQuorum, FollowersOfALivingLeaderIgnoreVoteRequests) {
  TestGroup group = TestGroup::of(3, [](Options& options) { options.pre_vote = false; });
  group.elect(1);
  const Term term = group[1].term();
  group[2].step({.kind = MessageKind::vote,
                 .from = 3,
                 .to = 2,
                 .term = term + 7,
                 .log_index = 99,
                 .log_term = 99});
  EXPECT_EQ(group[2].term(), term);
  group[2].step({.kind = MessageKind::vote,
                 .from = 3,
                 .to = 2,
                 .term = term + 7,
                 .log_index = 99,
                 .log_term = 99,
                 .leadership_transfer = true});
  EXPECT_EQ(group[2].term(), term + 7) << "unless the leader asked for it";
}

TEST(CheckQuorum, StuckCandidateIsFreedByItsHigherTerm) {
  // Node 3 has a higher term (from before pre-votes were on); nobody would ever vote for it, and it
  // ignores its leader's messages. Its answer tells the leader of the term.
  TestGroup group = TestGroup::of(3);
  group.elect(1);
  InitialState ahead = first_state({1, 2, 3});
  ahead.hard_state.term = 9;
  group.add(test_options(3), ahead);
  group.tick_all(5 * kElectionTicks);
  const NodeId leader = group.leader();
  ASSERT_NE(leader, 0U);
  EXPECT_GT(group[leader].term(), 9U);
  EXPECT_EQ(group[3].leader(), leader);
}

TEST(Transfer, SuccessorTakesOverAtOnce) {
  TestGroup group = TestGroup::of(3);
  group.elect(1);
  ASSERT_TRUE(group[1].transfer_leadership(3));
  EXPECT_EQ(group[1].propose({"x"}).error(), Refusal::transferring);
  group.settle();
  EXPECT_EQ(group.leader(), 3U);
  EXPECT_EQ(group[1].transferring_to(), 0U);
}

TEST(Transfer, WaitsUntilTheSuccessorHasTheLog) {
  TestGroup group = TestGroup::of(3);
  group.elect(1);
  group.cut(1, 3);
  ASSERT_TRUE(group[1].propose({"x"}));
  group.settle();
  ASSERT_TRUE(group[1].transfer_leadership(3));
  group.settle();
  EXPECT_EQ(group.leader(), 1U);
  group.heal();
  group.tick_all(2);
  EXPECT_EQ(group.leader(), 3U);
  EXPECT_EQ(group.applied(3).back(), "");
  EXPECT_EQ(group.applied(3).at(1), "x");
}

TEST(Transfer, DoesNotBeginWhileTheSuccessorIsBehind) {
  TestGroup group = TestGroup::of(3);
  group.elect(1);
  const Term term = group[1].term();
  group.lose(MessageKind::append);
  ASSERT_TRUE(group[1].propose({"x"}));
  group.settle();
  ASSERT_TRUE(group[1].transfer_leadership(3));
  group.settle();
  EXPECT_EQ(group.leader(), 1U);
  EXPECT_EQ(group[3].term(), term);
}

TEST(Transfer, IsGivenUpAfterAnElectionTimeout) {
  TestGroup group = TestGroup::of(3);
  group.elect(1);
  group.isolate(3);
  ASSERT_TRUE(group[1].transfer_leadership(3));
  group.tick_all(kElectionTicks);
  EXPECT_EQ(group.leader(), 1U);
  EXPECT_TRUE(group[1].propose({"x"}));
}

TEST(Transfer, NotToStrangersNorByFollowers) {
  TestGroup group = TestGroup::of(3);
  group.elect(1);
  EXPECT_EQ(group[1].transfer_leadership(7).error(), Refusal::not_a_member);
  EXPECT_EQ(group[2].transfer_leadership(3).error(), Refusal::not_leader);
}

TEST(Step, IgnoresWhatIsNotForIt) {
  auto node = make_node(test_options(1), first_state({1, 2, 3}));
  node->step({.kind = MessageKind::heartbeat, .from = 2, .to = 3, .term = 9});
  node->step({.kind = MessageKind::heartbeat, .from = 1, .to = 1, .term = 9});
  node->step({.kind = MessageKind::heartbeat, .from = 2, .to = 1});
  EXPECT_EQ(node->term(), 1U);
  EXPECT_FALSE(node->has_ready());
}

}  // namespace
}  // namespace conclave::raft
