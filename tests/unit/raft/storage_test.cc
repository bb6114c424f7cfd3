// What the node does while the disk is slow: Ready's ordering contract, from its side.
#include <gtest/gtest.h>

#include "tests/unit/raft/test_group.h"

namespace conclave::raft {
namespace {

Message append(Term term, LogPosition previous, std::vector<Term> terms, Index commit = 0) {
  Message message{.kind = MessageKind::append,
                  .from = 2,
                  .to = 1,
                  .term = term,
                  .log_index = previous.index,
                  .log_term = previous.term,
                  .commit = commit};
  for (const Term entry_term : terms) {
    Entry entry;
    entry.term = entry_term;
    entry.index = previous.index + message.entries.size() + 1;
    message.entries.push_back(entry);
  }
  return message;
}

TEST(Storage, LeaderSendsBeforeItsOwnDiskIsDone) {
  TestGroup group = TestGroup::of(3);
  group.elect(1);
  ASSERT_TRUE(group[1].propose({"x"}));
  Ready ready = group[1].take_ready();
  EXPECT_EQ(ready.messages.size(), 2U);
  EXPECT_TRUE(ready.must_sync);
  // Both followers have it on disk: committed, but not to be applied here.
  for (const NodeId from : {2, 3}) {
    group[1].step({.kind = MessageKind::append_response,
                   .from = from,
                   .to = 1,
                   .term = group[1].term(),
                   .log_index = 3});
  }
  EXPECT_EQ(group[1].log().committed(), 3U);
  EXPECT_TRUE(group[1].take_ready().committed.empty());
  group[1].persisted(ready.number);
  ASSERT_TRUE(group[1].has_ready());
  EXPECT_EQ(group[1].take_ready().committed.size(), 1U);
}

TEST(Storage, OwnDiskCountsOnlyWhenPersisted) {
  TestGroup group = TestGroup::of(3);
  group.elect(1);
  ASSERT_TRUE(group[1].propose({"x"}));
  const Ready ready = group[1].take_ready();
  group[1].step({.kind = MessageKind::append_response,
                 .from = 2,
                 .to = 1,
                 .term = group[1].term(),
                 .log_index = 3});
  EXPECT_EQ(group[1].log().committed(), 2U) << "one follower of two, and our disk is not done";
  group[1].persisted(ready.number);
  EXPECT_EQ(group[1].log().committed(), 3U);
}

TEST(Storage, SeveralReadiesMayBeOnTheirWay) {
  auto node = make_node(test_options(1), first_state({1, 2, 3}));
  node->step(append(2, {.term = 1, .index = 1}, {2}));
  const Ready first = node->take_ready();
  node->step(append(2, {.term = 2, .index = 2}, {2}, 3));
  const Ready second = node->take_ready();
  EXPECT_EQ(first.entries.size(), 1U);
  EXPECT_EQ(second.entries.size(), 1U);
  EXPECT_EQ(second.entries[0].index, 3U);
  EXPECT_TRUE(second.messages.empty());
  EXPECT_EQ(second.messages_after_persist.at(0).log_index, 3U);
  node->persisted(first.number);
  EXPECT_EQ(node->take_ready().committed.back().index, 2U);
  node->persisted(second.number);
  EXPECT_EQ(node->take_ready().committed.back().index, 3U);
}

// An entry is written, overwritten by another term's, and written again while the first write is
// still on its way: the first write's end says nothing about the third.
TEST(Storage, EntryThatComesBackIsNotTakenForPersisted) {
  auto node = make_node(test_options(1), first_state({1, 2, 3}));
  node->step(append(2, {.term = 1, .index = 1}, {2, 2}));
  const Ready first = node->take_ready();
  node->step(append(3, {.term = 1, .index = 1}, {3}));
  const Ready second = node->take_ready();
  node->step(append(4, {.term = 1, .index = 1}, {2, 2, 4}, 4));
  const Ready third = node->take_ready();
  ASSERT_EQ(third.entries.size(), 3U);
  ASSERT_EQ(node->log().committed(), 4U);
  node->persisted(first.number);
  EXPECT_EQ(node->log().persisted(), 1U);
  EXPECT_FALSE(node->has_ready());
  node->persisted(second.number);
  EXPECT_EQ(node->log().persisted(), 1U);
  node->persisted(third.number);
  EXPECT_EQ(node->log().persisted(), 4U);
  EXPECT_EQ(node->take_ready().committed.size(), 3U);
}

TEST(Storage, NothingIsAppliedWhileASnapshotIsInstalled) {
  auto node = make_node(test_options(1), first_state({1, 2, 3}));
  SnapshotMetadata snapshot{.index = 10, .term = 2, .config = {}};
  snapshot.config.voters = {1, 2, 3, 4};
  node->step({.kind = MessageKind::snapshot, .from = 2, .to = 1, .term = 2, .snapshot = snapshot});
  node->step(append(2, {.term = 2, .index = 10}, {2}, 11));
  const Ready ready = node->take_ready();
  EXPECT_EQ(ready.snapshot, snapshot);
  EXPECT_EQ(ready.entries.at(0).index, 11U);
  EXPECT_TRUE(ready.committed.empty());
  EXPECT_EQ(node->config(), snapshot.config);
  node->campaign();
  EXPECT_EQ(node->role(), Role::follower) << "it has no state to lead with";
  node->persisted(ready.number);
  EXPECT_EQ(node->log().applied(), 10U);
  EXPECT_EQ(node->take_ready().committed.at(0).index, 11U);
}

TEST(Storage, ChangeThatASnapshotOvertookIsIgnored) {
  InitialState state = first_state({1, 2, 3});
  auto node = make_node(test_options(1), state);
  Message with_change = append(2, {.term = 1, .index = 1}, {2}, 2);
  with_change.entries[0].kind = EntryKind::config_change;
  with_change.entries[0].payload =
      encode({.transition = {}, .steps = {{ConfigStepKind::add_learner, 9}}, .context = ""});
  node->step(with_change);
  node->persisted(node->take_ready().number);
  const Ready ready = node->take_ready();
  ASSERT_EQ(ready.committed.size(), 1U);
  SnapshotMetadata snapshot{.index = 10, .term = 2, .config = {}};
  snapshot.config.voters = {1, 2};
  node->step({.kind = MessageKind::snapshot, .from = 2, .to = 1, .term = 2, .snapshot = snapshot});
  EXPECT_EQ(node->apply_config_change(2, *decode_config_change(ready.committed[0].payload)),
            std::nullopt);
  EXPECT_EQ(node->config(), snapshot.config);
}

TEST(Storage, SnapshotOfWhatIsThereOnlyMovesTheCommitIndex) {
  auto node = make_node(test_options(1), with_log(first_state({1, 2, 3}), {1, 1, 1}));
  SnapshotMetadata snapshot{.index = 3, .term = 1, .config = node->config()};
  node->step({.kind = MessageKind::snapshot, .from = 2, .to = 1, .term = 1, .snapshot = snapshot});
  const Ready ready = node->take_ready();
  EXPECT_EQ(ready.snapshot, std::nullopt);
  EXPECT_EQ(ready.committed.size(), 2U);
  EXPECT_EQ(node->log().last_index(), 4U);
}

TEST(Storage, SnapshotOfWhatIsCompactedIsIgnored) {
  auto node = make_node(test_options(1), with_log(first_state({1, 2, 3}), {1, 1, 1}));
  node->step({.kind = MessageKind::heartbeat, .from = 2, .to = 1, .term = 1, .commit = 4});
  run_once(*node);
  node->compact(3);
  SnapshotMetadata snapshot{.index = 2, .term = 1, .config = node->config()};
  node->step({.kind = MessageKind::snapshot, .from = 2, .to = 1, .term = 1, .snapshot = snapshot});
  const Ready ready = node->take_ready();
  EXPECT_EQ(ready.snapshot, std::nullopt);
  EXPECT_EQ(node->log().last_index(), 4U);
}

TEST(Storage, CommitIndexAloneNeedsNoSync) {
  auto node = make_node(test_options(1), with_log(first_state({1, 2, 3}), {1}));
  node->step({.kind = MessageKind::heartbeat, .from = 2, .to = 1, .term = 1, .commit = 2});
  const Ready ready = node->take_ready();
  EXPECT_EQ(ready.hard_state->commit, 2U);
  EXPECT_FALSE(ready.must_sync);
}

TEST(Storage, StartsInTheTermOfItsLastEntry) {
  // The crash came between the entries and the hard state after them.
  InitialState state = with_log(first_state({1, 2, 3}), {4});
  state.hard_state = {.term = 2, .vote = 3, .commit = 1};
  auto node = make_node(test_options(1), state);
  EXPECT_EQ(node->term(), 4U);
  EXPECT_EQ(node->vote(), 0U);
  EXPECT_TRUE(node->take_ready().must_sync);
}

TEST(Storage, CommittedIsCutAtTheByteLimit) {
  Options options = test_options(1);
  options.max_bytes_per_apply = 4;
  InitialState state = with_log(first_state({1, 2, 3}), {1, 1, 1});
  state.hard_state.commit = 4;
  auto node = make_node(options, state);
  EXPECT_EQ(node->take_ready().committed.size(), 2U);
  EXPECT_EQ(node->take_ready().committed.size(), 1U);
  EXPECT_FALSE(node->has_ready());
}

TEST(StorageDeathTest, BrokenContractsEndTheProcess) {
  auto node = make_node(test_options(1), with_log(first_state({1, 2, 3}), {1}));
  EXPECT_DEATH(node->persisted(1), "before it was taken");
  EXPECT_DEATH(node->applied(2), "not handed out");
  InitialState gap = with_log(first_state({1}), {1, 1});
  gap.entries.erase(gap.entries.begin());
  EXPECT_DEATH(make_node(test_options(1), gap), "gap in the stored log");
}

}  // namespace
}  // namespace conclave::raft
