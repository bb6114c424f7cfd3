// A leader that is of no use though it lives, and a member that hears of none.
#include <string>
#include <variant>
#include <vector>

#include "tests/unit/replica/one_of_three_fixture.h"

namespace conclave::replica {
namespace {

using raft::MessageKind;

class LeaderLossTest : public OneOfThreeTest {
 protected:
  // What it says to the others. The disk does everything at once, unless it hangs.
  std::vector<raft::Message> process() {
    std::vector<raft::Message> said;
    for (bool writes = true; writes;) {
      EXPECT_TRUE(replica_->process(now_));
      const Output output = replica_->take_output();
      for (const auto& message : output.to_peers) {
        const auto* content = std::get_if<raft::Message>(&message.content);
        if (content != nullptr) said.push_back(*content);
      }
      writes = !output.log_writes.empty() && !disk_hangs_;
      if (disk_hangs_) continue;
      for (const auto& write : output.log_writes) replica_->log_persisted(write.ready_number);
    }
    return said;
  }
  void hear(raft::Message message) {
    receive(std::move(message), now_);
    process();
  }
  void follow(raft::NodeId leader, raft::Term term) {
    hear({.kind = MessageKind::heartbeat, .from = leader, .term = term});
  }
  void lead() {
    follow(2, 2);
    hear({.kind = MessageKind::timeout_now, .from = 2, .term = 2});
    hear({.kind = MessageKind::vote_response, .from = 3, .term = 3});
    ASSERT_EQ(replica_->raft().role(), raft::Role::leader);
    acknowledge_all();
  }
  // By the others, whose disks are well.
  void acknowledge_all() {
    for (const raft::NodeId from : {2, 3}) {
      hear({.kind = MessageKind::append_response,
            .from = from,
            .term = replica_->raft().term(),
            .log_index = replica_->raft().log().last_index()});
    }
  }
  // Ticks later, whether it told another to lead meanwhile.
  bool hands_over_within(int ticks) {
    bool handed_over = false;
    for (int i = 0; i < ticks; ++i) {
      now_ += std::chrono::milliseconds(100);
      replica_->tick(now_);
      for (const raft::Message& message : process()) {
        handed_over = handed_over || message.kind == MessageKind::timeout_now;
      }
      acknowledge_all();
    }
    return handed_over;
  }
  void put() {
    replica_->submit(5, PutCall{&request_, &response_}, now_);
    process();
  }

  Instant now_ = kStart;
  bool disk_hangs_ = false;
  etcdserverpb::PutRequest request_;
  etcdserverpb::PutResponse response_;
};

TEST_F(LeaderLossTest, ALeaderWhoseDiskHangsLetsAnotherLead) {
  lead();
  request_.set_key("k");
  put();
  EXPECT_FALSE(hands_over_within(50));
  disk_hangs_ = true;
  put();
  acknowledge_all();
  EXPECT_FALSE(hands_over_within(29)) << "it may yet be done";
  EXPECT_TRUE(hands_over_within(4));
}

TEST_F(LeaderLossTest, AMemberIsCutOffOnceAnElectionWouldBeOver) {
  follow(2, 2);
  replica_->tick(now_);
  EXPECT_TRUE(replica_->has_leader());
  const auto ticks_until_cut_off = [this] {
    int ticks = 0;
    for (; ticks < 100 && !replica_->is_cut_off(now_); ++ticks) {
      now_ += std::chrono::milliseconds(100);
      replica_->tick(now_);
      process();
    }
    return ticks;
  };
  const int ticks = ticks_until_cut_off();
  EXPECT_FALSE(replica_->has_leader());
  // It notices within two election timeouts that the leader is gone.
  EXPECT_GT(ticks, 30);
  EXPECT_LE(ticks, 51);
  follow(3, 9);
  EXPECT_FALSE(replica_->is_cut_off(now_));
}

TEST_F(LeaderLossTest, ALeaderIsNotCutOff) {
  lead();
  for (int i = 0; i < 50; ++i) {
    hands_over_within(1);
    EXPECT_FALSE(replica_->is_cut_off(now_));
  }
}

}  // namespace
}  // namespace conclave::replica
