// Each life of a process counts its proposals from one: what an earlier life has left in the log
// must not pass for what this one waits for.
#include <memory>
#include <optional>
#include <utility>

#include <gtest/gtest.h>

#include "conclave/replica/replica.h"

#include "tests/support/memory_storage.h"

namespace conclave::replica {
namespace {

constexpr Instant kStart{std::chrono::hours(1)};
constexpr std::uint64_t kThisLife = 9;
constexpr std::int64_t kOldPuts = 10;

raft::Entry put_of_earlier_life(std::uint64_t sequence) {
  Proposal proposal;
  proposal.set_version(kProposalVersion);
  proposal.set_member(1);
  proposal.set_incarnation(kThisLife - 1);
  proposal.set_sequence(sequence);
  proposal.mutable_put()->set_key("old");
  return {.term = 2,
          .index = 1 + sequence,
          .kind = raft::EntryKind::normal,
          .payload = proposal.SerializeAsString()};
}

// The last Ready that is to be written.
std::uint64_t process(Replica& replica, std::optional<Answer>& answer) {
  EXPECT_TRUE(replica.process(kStart));
  const Output output = replica.take_output();
  if (!output.answers.empty()) answer = output.answers.front();
  return output.log_writes.empty() ? 0 : output.log_writes.back().ready_number;
}

TEST(EarlierLife, ItsEntriesAnswerNoCallOfThisOne) {
  test::MemoryStorage storage;
  Options options;
  options.self = {1, "alone", {"http://alone"}, {}};
  options.incarnation = kThisLife;
  Replica::Recovered recovered;
  recovered.hard_state = {.term = 2, .vote = 1, .commit = 1};
  recovered.previous = {1, 1};
  for (std::uint64_t sequence = 1; sequence <= kOldPuts; ++sequence) {
    recovered.entries.push_back(put_of_earlier_life(sequence));
  }
  auto replica =
      Replica::create(std::move(options), storage, std::move(recovered), Random(1), kStart);
  ASSERT_TRUE(replica) << replica.error().message;

  // It leads once its vote is on disk. The old entries are not applied yet, since the first one of
  // its own term still waits for the disk.
  std::optional<Answer> answer;
  (*replica)->log_persisted(process(**replica, answer));
  std::uint64_t unwritten = process(**replica, answer);
  ASSERT_EQ((*replica)->raft().role(), raft::Role::leader);
  ASSERT_EQ((*replica)->state().applied_index(), 1U);
  etcdserverpb::PutRequest request;
  request.set_key("new");
  etcdserverpb::PutResponse response;
  (*replica)->submit(5, PutCall{&request, &response}, kStart);
  for (int round = 0; round < 5 && !answer; ++round) {
    if (unwritten != 0) (*replica)->log_persisted(unwritten);
    unwritten = process(**replica, answer);
  }
  ASSERT_TRUE(answer && answer->id == 5 && !answer->refusal);
  EXPECT_EQ(response.header().revision(), 1 + kOldPuts + 1);
}

}  // namespace
}  // namespace conclave::replica
