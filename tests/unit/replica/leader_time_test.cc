// From which cluster time a new leader goes on: leases live on it.
#include <optional>
#include <string>
#include <vector>

#include "tests/unit/replica/one_of_three_fixture.h"

namespace conclave::replica {
namespace {

using raft::MessageKind;

constexpr std::int64_t kToldMs = 9000;

class LeaderTimeTest : public OneOfThreeTest {
 protected:
  void hear(raft::Message message) {
    receive(std::move(message), kStart);
    process();
  }
  // Leader `from` of this term appends its first entry.
  void follow(raft::NodeId from, raft::Term term) {
    const raft::Entry first{
        .term = term, .index = 2, .kind = raft::EntryKind::normal, .payload = {}};
    hear({.kind = MessageKind::append,
          .from = from,
          .term = term,
          .log_index = 1,
          .log_term = 1,
          .entries = {first}});
  }
  void be_told_time(raft::NodeId from, raft::Term term) {
    hear({.kind = MessageKind::heartbeat,
          .from = from,
          .term = term,
          .context = std::to_string(kToldMs)});
  }
  // Takes over from leader `from`; the stamp of the first request's entry, which comes after a step
  // of the new leader or in the moment in which it is elected.
  std::optional<std::int64_t> first_stamp_after(raft::NodeId from, raft::Term term,
                                                bool in_that_moment = false) {
    hear({.kind = MessageKind::timeout_now, .from = from, .term = term});
    receive({.kind = MessageKind::vote_response, .from = 3, .term = term + 1}, kStart);
    if (!in_that_moment) process();
    if (replica_->raft().role() != raft::Role::leader) return std::nullopt;
    etcdserverpb::PutRequest request;
    request.set_key("k");
    etcdserverpb::PutResponse response;
    replica_->submit(5, PutCall{&request, &response}, kStart);
    process();
    for (const raft::Entry& entry : written_) {
      Proposal proposal;
      if (parse_proposal(entry.payload, proposal) && proposal.has_put()) {
        return proposal.cluster_time_ms();
      }
    }
    return std::nullopt;
  }

 private:
  // The disk does everything at once.
  void process() {
    for (bool writes = true; writes;) {
      ASSERT_TRUE(replica_->process(kStart));
      const Output output = replica_->take_output();
      writes = !output.log_writes.empty();
      for (const auto& write : output.log_writes) {
        written_.insert(written_.end(), write.entries.begin(), write.entries.end());
        replica_->log_persisted(write.ready_number);
      }
    }
  }

  std::vector<raft::Entry> written_;
};

TEST_F(LeaderTimeTest, GoesOnFromWhatTheLastLeaderTold) {
  follow(2, 2);
  be_told_time(2, 2);
  EXPECT_EQ(first_stamp_after(2, 2), kToldMs);
}

TEST_F(LeaderTimeTest, GoesOnFromThereInTheMomentOfTheElection) {
  follow(2, 2);
  be_told_time(2, 2);
  EXPECT_EQ(first_stamp_after(2, 2, /*in_that_moment=*/true), kToldMs);
}

TEST_F(LeaderTimeTest, DoesNotCountWhatALeaderToldThatOthersHaveReplaced) {
  be_told_time(2, 2);
  follow(3, 3);
  EXPECT_EQ(first_stamp_after(3, 3), 0);
}

}  // namespace
}  // namespace conclave::replica
