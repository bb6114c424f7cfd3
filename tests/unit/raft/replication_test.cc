#include <gtest/gtest.h>

#include "tests/unit/raft/test_group.h"

namespace conclave::raft {
namespace {

// The paper's figure 7: the leader's log and each of the followers', with indexes one higher (index
// 1 is the snapshot that a group begins with).
const std::vector<Term> kLeaderLog{1, 1, 1, 4, 4, 5, 5, 6, 6, 6};

class Figure7 : public ::testing::TestWithParam<std::vector<Term>> {};

TEST_P(Figure7, FollowerEndsUpWithTheLeadersLog) {
  const std::set<NodeId> voters{1, 2, 3};
  InitialState leader = with_log(first_state(voters), kLeaderLog);
  leader.hard_state.term = 7;
  TestGroup group({{test_options(1), leader},
                   {test_options(2), with_log(first_state(voters), GetParam())},
                   {test_options(3), first_state(voters)}});
  group[1].campaign();
  group.settle();
  // Whoever has term 7 entries makes the first try fail.
  if (group.leader() == 0) group.elect(1);
  ASSERT_EQ(group.leader(), 1U);
  std::vector<Term> expected = kLeaderLog;
  expected.push_back(group[1].term());
  EXPECT_EQ(terms_of(group[2].log()), expected);
  EXPECT_EQ(terms_of(group[3].log()), expected);
  EXPECT_EQ(group[2].log().committed(), 12U);
}

INSTANTIATE_TEST_SUITE_P(Followers, Figure7,
                         ::testing::Values(std::vector<Term>{1, 1, 1, 4, 4, 5, 5, 6, 6},
                                           std::vector<Term>{1, 1, 1, 4},
                                           std::vector<Term>{1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6},
                                           std::vector<Term>{1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7},
                                           std::vector<Term>{1, 1, 1, 4, 4, 4, 4},
                                           std::vector<Term>{1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3}));

// Elected by member 2.
std::unique_ptr<Node> make_leader(std::set<NodeId> voters) {
  auto node = make_node(test_options(1), first_state(std::move(voters)));
  node->campaign();
  run_once(*node);
  const Term term = node->term() + 1;
  node->step({.kind = MessageKind::pre_vote_response, .from = 2, .to = 1, .term = term});
  run_once(*node);
  node->step({.kind = MessageKind::vote_response, .from = 2, .to = 1, .term = term});
  EXPECT_EQ(node->role(), Role::leader);
  run_once(*node);
  return node;
}

TEST(Replication, ProposalReachesEveryone) {
  TestGroup group = TestGroup::of(5);
  group.elect(2);
  const auto position = group[2].propose({"a", "b"});
  ASSERT_TRUE(position);
  EXPECT_EQ(*position, (LogPosition{2, 3}));
  group.settle();
  for (const NodeId id : {1, 2, 3, 4, 5}) {
    EXPECT_EQ(group.applied(id), (std::vector<std::string>{"", "a", "b"})) << id;
  }
}

TEST(Replication, OnlyALeaderTakesProposals) {
  TestGroup group = TestGroup::of(3);
  EXPECT_EQ(group[1].propose({"x"}).error(), Refusal::not_leader);
}

TEST(Replication, MinorityCommitsNothing) {
  TestGroup group = TestGroup::of(5);
  group.elect(1);
  for (const NodeId id : {3, 4, 5}) group.isolate(id);
  ASSERT_TRUE(group[1].propose({"x"}));
  group.settle();
  EXPECT_EQ(group.applied(1), std::vector<std::string>{""});
  group.heal();
  group.tick_all(2);
  EXPECT_EQ(group.applied(5), (std::vector<std::string>{"", "x"}));
}

// The paper's figure 8: an entry of an earlier term is on a majority and still may be overwritten,
// so counting must not commit it.
TEST(Replication, EntryOfAnEarlierTermIsNotCommittedByCounting) {
  const std::set<NodeId> voters{1, 2, 3, 4, 5};
  auto leader = make_node(test_options(1), with_log(first_state(voters), {2, 4}));
  leader->campaign();
  run_once(*leader);
  for (const NodeId from : {2, 3}) {
    leader->step({.kind = MessageKind::pre_vote_response, .from = from, .to = 1, .term = 5});
  }
  run_once(*leader);
  for (const NodeId from : {2, 3}) {
    leader->step({.kind = MessageKind::vote_response, .from = from, .to = 1, .term = 5});
  }
  ASSERT_EQ(leader->role(), Role::leader);
  run_once(*leader);
  for (const NodeId from : {2, 3}) {
    leader->step(
        {.kind = MessageKind::append_response, .from = from, .to = 1, .term = 5, .log_index = 3});
  }
  EXPECT_EQ(leader->log().committed(), 1U) << "term 4 at index 3 is on three of five";
  for (const NodeId from : {2, 3}) {
    leader->step(
        {.kind = MessageKind::append_response, .from = from, .to = 1, .term = 5, .log_index = 4});
  }
  EXPECT_EQ(leader->log().committed(), 4U);
}

// A leader that others have replaced with the help of a member that has lost its memory since, must
// not take that member's word for a majority's.
TEST(Replication, MemberThatForgotItsPromisesIsNoPartOfAMajority) {
  for (const bool damaged : {false, true}) {
    auto leader = make_leader({1, 2, 3});
    const Index last = leader->log().last_index();
    ASSERT_TRUE(leader->read_index("r"));
    run_once(*leader);
    leader->step({.kind = MessageKind::append_response,
                  .from = 2,
                  .to = 1,
                  .term = leader->term(),
                  .log_index = last,
                  .voteless = damaged});
    EXPECT_EQ(leader->log().committed() == last, !damaged);
    for (int i = 0; i < 3 * kElectionTicks; ++i) {
      leader->tick();
      for (const Message& message : run_once(*leader)) {
        if (message.kind != MessageKind::heartbeat || message.to != 2) continue;
        leader->step({.kind = MessageKind::heartbeat_response,
                      .from = 2,
                      .to = 1,
                      .term = leader->term(),
                      .voteless = damaged,
                      .round = message.round});
      }
    }
    EXPECT_EQ(leader->role() == Role::leader, !damaged) << "only the damaged one hears it";
  }
}

// Of two, every majority has both: nothing can be committed that the other has not.
TEST(Replication, TheOnlyOtherMemberIsNeededEvenIfItForgot) {
  auto leader = make_leader({1, 2});
  const Index last = leader->log().last_index();
  leader->step({.kind = MessageKind::append_response,
                .from = 2,
                .to = 1,
                .term = leader->term(),
                .log_index = last,
                .voteless = true});
  EXPECT_EQ(leader->log().committed(), last);
}

TEST(Replication, OldAppendDoesNotCutTheLog) {
  auto node = make_node(test_options(2), with_log(first_state({1, 2, 3}), {1, 1, 1}));
  Message message{
      .kind = MessageKind::append, .from = 1, .to = 2, .term = 1, .log_index = 1, .log_term = 1};
  message.entries = node->log().slice(2, 2, 100);
  node->step(message);
  EXPECT_EQ(node->log().last_index(), 4U);
  EXPECT_EQ(run_once(*node).at(0).log_index, 2U) << "it vouches for no more than it was shown";
}

TEST(Replication, CommitIndexStaysWithinWhatIsKnownToMatch) {
  auto node = make_node(test_options(2), with_log(first_state({1, 2, 3}), {1, 1, 1}));
  node->step({.kind = MessageKind::append,
              .from = 1,
              .to = 2,
              .term = 2,
              .log_index = 2,
              .log_term = 1,
              .commit = 4});
  EXPECT_EQ(node->log().committed(), 2U) << "entries 3 and 4 may be others than the leader's";
}

TEST(Replication, MalformedAppendIsIgnored) {
  auto node = make_node(test_options(2), first_state({1, 2, 3}));
  Message message{
      .kind = MessageKind::append, .from = 1, .to = 2, .term = 2, .log_index = 1, .log_term = 1};
  message.entries.resize(1);
  message.entries[0] = {.term = 2, .index = 5, .kind = {}, .payload = "gap"};
  node->step(message);
  message.entries[0] = {.term = 3, .index = 2, .kind = {}, .payload = "from the future"};
  node->step(message);
  EXPECT_EQ(node->log().last_index(), 1U);
}

TEST(Replication, WindowBoundsWhatIsOnItsWay) {
  TestGroup group = TestGroup::of(2, [](Options& options) { options.max_inflight_messages = 2; });
  group.elect(1);
  std::size_t with_entries = 0;
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(group[1].propose({"x"}));
    for (const Message& message : run_once(group[1]))
      with_entries += message.entries.empty() ? 0 : 1;
  }
  EXPECT_EQ(with_entries, 2U);
  EXPECT_TRUE(group[1].progress().at(2).paused);
  // All of them are lost; heartbeats find out.
  group.tick_all(3);
  EXPECT_EQ(group.applied(2).size(), 6U);
}

TEST(Replication, AppendsAreCutAtTheByteLimit) {
  TestGroup group = TestGroup::of(2, [](Options& options) { options.max_bytes_per_append = 10; });
  group.elect(1);
  ASSERT_TRUE(group[1].propose({"12345", "12345", "123456789012345", "1"}));
  std::vector<std::size_t> sizes;
  for (const Message& message : run_once(group[1])) {
    if (!message.entries.empty()) sizes.push_back(message.entries.size());
  }
  EXPECT_EQ(sizes, std::vector<std::size_t>{2});
  group.tick_all(2);
  EXPECT_EQ(group.applied(2).size(), 5U);
}

TEST(Replication, UncommittedBytesStopProposals) {
  TestGroup group = TestGroup::of(3, [](Options& options) { options.max_uncommitted_bytes = 10; });
  group.elect(1);
  group.isolate(1);
  EXPECT_TRUE(group[1].propose({std::string(20, 'x')})) << "one always passes";
  EXPECT_EQ(group[1].uncommitted_bytes(), 20U);
  EXPECT_EQ(group[1].propose({"y"}).error(), Refusal::too_many_uncommitted);
  group.heal();
  group.tick_all(2);
  EXPECT_EQ(group[1].uncommitted_bytes(), 0U);
  EXPECT_TRUE(group[1].propose({"y"}));
}

TEST(Replication, FollowerBelowTheLogGetsASnapshot) {
  TestGroup group = TestGroup::of(3);
  group.elect(1);
  group.isolate(3);
  ASSERT_TRUE(group[1].propose({"a", "b", "c"}));
  group.settle();
  group[1].compact(group[1].log().applied() - 1);
  group.heal();
  group.tick_all(2);
  EXPECT_EQ(group[3].log().compacted().index, 5U);
  EXPECT_EQ(group[3].log().applied(), 5U);
  EXPECT_EQ(group[1].progress().at(3).state, ProgressState::replicate);
}

TEST(Replication, FailedSnapshotIsSentAgain) {
  TestGroup group = TestGroup::of(3);
  group.elect(1);
  group.isolate(3);
  ASSERT_TRUE(group[1].propose({"a"}));
  group.settle();
  group[1].compact(group[1].log().applied());
  group.heal();
  group.lose(MessageKind::snapshot);
  group.tick_all(10);
  ASSERT_EQ(group[1].progress().at(3).state, ProgressState::snapshot) << "nobody reported its loss";
  group.lose(std::nullopt);
  group.tick_all(3);
  EXPECT_NE(group[3].log().applied(), group[1].log().applied());
  group[1].report_snapshot(3, false);
  group.tick_all(3);
  EXPECT_EQ(group[3].log().applied(), group[1].log().applied());
}

TEST(Replication, UnreachableFollowerIsProbedAgain) {
  TestGroup group = TestGroup::of(3);
  group.elect(1);
  group[1].report_unreachable(2);
  EXPECT_EQ(group[1].progress().at(2).state, ProgressState::probe);
  group.tick_all(2);
  EXPECT_EQ(group[1].progress().at(2).state, ProgressState::replicate);
}

}  // namespace
}  // namespace conclave::raft
