#include <gtest/gtest.h>

#include "tests/unit/raft/test_group.h"

namespace conclave::raft {
namespace {

using Kind = ConfigStepKind;

ConfigChange change(std::vector<ConfigStep> steps, ConfigTransition transition = {}) {
  ConfigChange made;
  made.steps = std::move(steps);
  made.transition = transition;
  return made;
}

TEST(Membership, NewNodeGetsEverythingAndCounts) {
  TestGroup group = TestGroup::of(1);
  group.elect(1);
  ASSERT_TRUE(group[1].propose({"a"}));
  group.settle();
  group.add(test_options(2), InitialState{});
  ASSERT_TRUE(group[1].propose_config_change(change({{Kind::add_voter, 2}})));
  group.tick_all(3);
  EXPECT_EQ(group[2].config(), (ConfigState{.voters = {1, 2}}));
  EXPECT_EQ(group[2].log().committed(), group[1].log().committed());
  group.isolate(2);
  ASSERT_TRUE(group[1].propose({"b"}));
  group.settle();
  EXPECT_NE(group.applied(1).back(), "b") << "two of two are needed now";
}

TEST(Membership, LearnerFollowsButDoesNotCountNorCampaign) {
  const std::set<NodeId> voters{1};
  TestGroup group(
      {{test_options(1), first_state(voters, {2})}, {test_options(2), first_state(voters, {2})}});
  group.elect(1);
  group.isolate(2);
  ASSERT_TRUE(group[1].propose({"a"}));
  group.settle();
  EXPECT_EQ(group.applied(1).back(), "a");
  group.tick(2, 5 * kElectionTicks);
  EXPECT_EQ(group[2].role(), Role::follower);
  group.heal();
  group.tick_all(2);
  EXPECT_EQ(group.applied(2).back(), "a");
  EXPECT_TRUE(group[1].progress().at(2).learner);
  ASSERT_TRUE(group[1].propose_config_change(change({{Kind::add_voter, 2}})));
  group.settle();
  EXPECT_TRUE(group[2].config().is_voter(2));
}

TEST(Membership, OneChangeAtATime) {
  TestGroup group = TestGroup::of(3);
  group.elect(1);
  ASSERT_TRUE(group[1].propose_config_change(change({{Kind::add_learner, 4}})));
  EXPECT_EQ(group[1].propose_config_change(change({{Kind::add_learner, 5}})).error(),
            Refusal::change_in_progress);
  group.settle();
  EXPECT_TRUE(group[1].propose_config_change(change({{Kind::add_learner, 5}})));
}

TEST(Membership, NewLeaderFirstAppliesWhatItInherits) {
  TestGroup group = TestGroup::of(3);
  // The last leader left a change on a minority, and the next one inherits it.
  group.elect(1);
  group.lose(MessageKind::append_response);
  ASSERT_TRUE(group[1].propose_config_change(change({{Kind::add_learner, 4}})));
  group.settle();
  group.isolate(1);
  group[2].forget_leader();
  group[3].forget_leader();
  group[2].campaign();
  group.settle();
  ASSERT_EQ(group.leader(), 2U);
  EXPECT_EQ(group[2].propose_config_change(change({{Kind::add_learner, 5}})).error(),
            Refusal::change_in_progress);
  group.lose(std::nullopt);
  group.tick_all(2);
  EXPECT_TRUE(group[2].config().is_learner(4));
  EXPECT_TRUE(group[2].propose_config_change(change({{Kind::add_learner, 5}})));
}

TEST(Membership, ImpossibleChangesAreRefused) {
  TestGroup group = TestGroup::of(1);
  group.elect(1);
  EXPECT_EQ(group[1].propose_config_change(change({{Kind::remove_node, 1}})).error(),
            Refusal::impossible_change);
  EXPECT_EQ(group[1].propose_config_change({}).error(), Refusal::impossible_change)
      << "nothing to leave";
}

TEST(Membership, RemovedLeaderStepsDownAndTheOthersGoOn) {
  TestGroup group = TestGroup::of(3);
  group.elect(1);
  ASSERT_TRUE(group[1].propose_config_change(change({{Kind::remove_node, 1}})));
  group.settle();
  EXPECT_EQ(group[1].role(), Role::follower);
  group.tick_all(4 * kElectionTicks);
  EXPECT_TRUE(group.leader() == 2 || group.leader() == 3);
  EXPECT_EQ(group[group.leader()].config().voters, (std::set<NodeId>{2, 3}));
}

TEST(Membership, RefusedVoteTellsOfACommittedRemoval) {
  // Node 1 led, applied its own removal and has a longer log; node 2 has not heard that it
  // committed.
  const auto removal = [](InitialState state) {
    state = with_log(std::move(state), {1});
    state.entries[0].kind = EntryKind::config_change;
    state.entries[0].payload = encode(change({{Kind::remove_node, 1}}));
    return state;
  };
  InitialState removed = with_log(removal(first_state({1, 2})), {1, 1});
  removed.applied = removed.hard_state.commit = 2;
  removed.config.voters = {2};
  TestGroup group({{test_options(1), removed}, {test_options(2), removal(first_state({1, 2}))}});
  group.tick_all(5 * kElectionTicks);
  EXPECT_EQ(group.leader(), 2U);
}

TEST(Membership, JointChangeIsLeftByItself) {
  TestGroup group = TestGroup::of(3);
  for (const NodeId id : {4, 5}) group.add(test_options(id), InitialState{});
  group.elect(1);
  ASSERT_TRUE(group[1].propose_config_change(change({{Kind::add_voter, 4},
                                                     {Kind::add_voter, 5},
                                                     {Kind::remove_node, 2},
                                                     {Kind::remove_node, 3}})));
  group.tick_all(3);
  for (const NodeId id : {1, 4, 5}) {
    EXPECT_EQ(group[id].config(), (ConfigState{.voters = {1, 4, 5}})) << id;
  }
}

TEST(Membership, JointConfigurationNeedsBothHalvesToCommit) {
  TestGroup group = TestGroup::of(3);
  for (const NodeId id : {4, 5}) group.add(test_options(id), InitialState{});
  group.elect(1);
  ASSERT_TRUE(group[1].propose_config_change(change(
      {{Kind::add_voter, 4}, {Kind::add_voter, 5}, {Kind::remove_node, 2}, {Kind::remove_node, 3}},
      ConfigTransition::joint_explicit)));
  group.tick_all(3);
  ASSERT_TRUE(group[1].config().joint());
  for (const NodeId id : {2, 3}) group.isolate(id);
  ASSERT_TRUE(group[1].propose({"x"}));
  group.settle();
  EXPECT_NE(group.applied(1).back(), "x") << "the new half alone must not do";
  group.heal();
  group.tick_all(2);
  EXPECT_EQ(group.applied(1).back(), "x");
  ASSERT_TRUE(group[1].propose_config_change({}));
  group.settle();
  EXPECT_FALSE(group[1].config().joint());
}

TEST(Membership, NextLeaderLeavesTheJointConfiguration) {
  InitialState joint = first_state({1, 2, 3});
  joint.config.voters_outgoing = {1, 2};
  joint.config.auto_leave = true;
  TestGroup group({{test_options(1), joint}, {test_options(2), joint}, {test_options(3), joint}});
  group.elect(2);
  group.settle();
  EXPECT_EQ(group[3].config(), (ConfigState{.voters = {1, 2, 3}}));
}

TEST(Membership, NoCampaignWithAnUnappliedChange) {
  InitialState state = first_state({1, 2, 3});
  Entry entry;
  entry.term = 1;
  entry.index = 2;
  entry.kind = EntryKind::config_change;
  entry.payload = encode(change({{Kind::remove_node, 1}}));
  state.entries = {entry};
  state.hard_state.commit = 2;
  auto node = make_node(test_options(1), state);
  node->campaign();
  EXPECT_EQ(node->role(), Role::follower);
}

}  // namespace
}  // namespace conclave::raft
