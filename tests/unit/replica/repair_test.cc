#include <memory>
#include <utility>

#include <gtest/gtest.h>

#include "conclave/replica/replica.h"

#include "tests/support/memory_storage.h"

namespace conclave::replica {
namespace {

constexpr Instant kStart{std::chrono::hours(1)};

Member member(std::uint64_t id) {
  return {id, "n" + std::to_string(id), {"http://n" + std::to_string(id)}, {}, false, 100 + id};
}

enum class Past { none, repairs, has_committed };

std::unique_ptr<Replica> start(const test::MemoryStorage& storage, Past past) {
  Options options;
  options.self = member(1);
  options.initial_members = {member(1), member(2), member(3)};
  options.incarnation = 9;
  options.repairs = past == Past::repairs;
  Replica::Recovered recovered;
  if (past != Past::repairs) recovered.previous = {1, 1};
  if (past == Past::has_committed) {
    recovered.entries = {{.term = 1, .index = 2, .payload = {}}};
    recovered.hard_state = {.term = 1, .commit = 2};
  }
  auto replica =
      Replica::create(std::move(options), storage, std::move(recovered), Random(1), kStart);
  return std::move(*replica);
}

// As the leader sends it that knows an acknowledgement of this member up to `commit`.
raft::Message heartbeat(raft::Index commit) {
  return {.kind = raft::MessageKind::heartbeat, .from = 2, .to = 1, .term = 3, .commit = commit};
}

TEST(RepairTest, MemberThatRepairsItselfTellsWhoCountsOnItsLog) {
  test::MemoryStorage storage;
  const auto replica = start(storage, Past::repairs);
  replica->receive(2, 102, heartbeat(50), kStart);
  ASSERT_TRUE(replica->process(kStart));
  EXPECT_EQ(replica->raft().log().committed(), 0U);
  int told = 0;
  for (const auto& message : replica->take_output().to_peers) {
    told += message.to == 2 && std::holds_alternative<LogLost>(message.content) ? 1 : 0;
  }
  EXPECT_EQ(told, 1);
}

TEST(RepairTest, MemberThatLostItsLogUnnoticedStops) {
  test::MemoryStorage storage;
  const auto replica = start(storage, Past::none);
  ASSERT_TRUE(replica->process(kStart));
  replica->receive(2, 102, heartbeat(50), kStart);
  const Result<void> processed = replica->process(kStart);
  ASSERT_FALSE(processed);
  EXPECT_EQ(processed.error().code, Errc::corrupt);
}

// One may be left of a former cluster with the same ids; all others may not.
TEST(RepairTest, MemberThatMostOthersDismissStops) {
  test::MemoryStorage storage;
  const auto replica = start(storage, Past::has_committed);
  replica->dismiss(2, "two says so");
  replica->dismiss(2, "two says so");
  replica->dismiss(7, "a stranger says so");
  replica->accept(2);
  replica->dismiss(3, "three says so");
  replica->accept(3);
  replica->dismiss(2, "two says so again");
  EXPECT_TRUE(replica->process(kStart));
  replica->dismiss(3, "three says so");
  const Result<void> processed = replica->process(kStart);
  ASSERT_FALSE(processed);
  EXPECT_EQ(processed.error(), (Error{Errc::refused, "three says so"}));
}

// Two that have lost everything are not a new cluster while the third of the old one is there.
TEST(RepairTest, FounderThatHasFoundedNothingStopsWhenOneDismissesIt) {
  test::MemoryStorage storage;
  const auto replica = start(storage, Past::none);
  replica->dismiss(7, "a stranger says so");
  EXPECT_TRUE(replica->process(kStart));
  replica->dismiss(2, "two says so");
  EXPECT_FALSE(replica->process(kStart));
}

// Its members are unknown to it.
TEST(RepairTest, MemberThatHasNothingYetStopsWhenOneDismissesIt) {
  test::MemoryStorage storage;
  const auto replica = start(storage, Past::repairs);
  replica->dismiss(2, "two says so");
  EXPECT_FALSE(replica->process(kStart));
}

}  // namespace
}  // namespace conclave::replica
