#include "conclave/raft/config.h"

#include <gtest/gtest.h>

#include "conclave/raft/quorum.h"

namespace conclave::raft {
namespace {

using Kind = ConfigStepKind;

TEST(ConfigChange, SurvivesItsEncoding) {
  ConfigChange change;
  change.transition = ConfigTransition::joint_explicit;
  change.steps = {{Kind::add_voter, 7}, {Kind::remove_node, 0xffff'ffff'ffff'ffff}};
  change.context = std::string("an address\0 with a zero", 23);
  const auto decoded = decode_config_change(encode(change));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(*decoded, change);
}

TEST(ConfigChange, RefusesGarbledBytes) {
  const std::string good =
      encode({.transition = {}, .steps = {{Kind::add_learner, 3}}, .context = ""});
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(decode_config_change(good.substr(0, size))) << size;
  }
  for (const std::size_t at : {0, 1, 6}) {
    std::string bad = good;
    bad[at] = 9;
    EXPECT_FALSE(decode_config_change(bad)) << at;
  }
}

TEST(ConfigState, SimpleChangeTakesOneVoterAtATime) {
  const ConfigState three{.voters = {1, 2, 3}};
  EXPECT_EQ(apply_simple(three, {{Kind::add_voter, 4}})->voters, (std::set<NodeId>{1, 2, 3, 4}));
  EXPECT_FALSE(apply_simple(three, {{Kind::add_voter, 4}, {Kind::remove_node, 1}}));
  EXPECT_FALSE(apply_simple(ConfigState{.voters = {1}}, {{Kind::remove_node, 1}}));
  // Any number of learners.
  EXPECT_TRUE(apply_simple(three, {{Kind::add_learner, 4}, {Kind::add_learner, 5}}));
}

TEST(ConfigState, DemotedVoterKeepsItsVoteUntilTheJointConfigurationIsLeft) {
  const auto joint = enter_joint(ConfigState{.voters = {1, 2, 3}}, {{Kind::add_learner, 3}}, true);
  ASSERT_TRUE(joint);
  EXPECT_TRUE(joint->is_voter(3));
  EXPECT_FALSE(joint->is_learner(3));
  EXPECT_EQ(joint->learners_next, std::set<NodeId>{3});
  const auto left = leave_joint(*joint);
  ASSERT_TRUE(left);
  EXPECT_EQ(*left, (ConfigState{.voters = {1, 2}, .learners = {3}}));
  EXPECT_FALSE(leave_joint(*left));
}

TEST(ConfigState, ChangeChoosesItsTransition) {
  const ConfigState two{.voters = {1, 2}};
  EXPECT_FALSE(apply_change(two, {.steps = {{Kind::add_voter, 3}}})->joint());
  const auto two_steps =
      apply_change(two, {.steps = {{Kind::add_voter, 3}, {Kind::remove_node, 1}}});
  EXPECT_TRUE(two_steps->joint() && two_steps->auto_leave);
  const auto by_hand = apply_change(
      two, {.transition = ConfigTransition::joint_explicit, .steps = {{Kind::add_voter, 3}}});
  EXPECT_TRUE(by_hand->joint() && !by_hand->auto_leave);
  EXPECT_FALSE(apply_change(*by_hand, {.steps = {{Kind::add_voter, 4}}})) << "joint already";
  EXPECT_FALSE(apply_change(*by_hand, {})->joint());
}

TEST(Quorum, JointConfigurationNeedsBothMajorities) {
  const ConfigState joint{.voters = {1, 2, 3}, .voters_outgoing = {3, 4, 5}};
  const auto index_of = [](NodeId id) -> Index { return id * 10; };
  EXPECT_EQ(quorum_index(joint, index_of), 20U);
  EXPECT_EQ(quorum_vote(joint, {{1, true}, {2, true}}), VoteResult::pending);
  EXPECT_EQ(quorum_vote(joint, {{1, true}, {2, true}, {4, false}, {5, false}}), VoteResult::lost);
  EXPECT_EQ(quorum_vote(joint, {{2, true}, {3, true}, {4, true}}), VoteResult::won);
}

}  // namespace
}  // namespace conclave::raft
