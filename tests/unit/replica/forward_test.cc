// A follower's writes on their way to the leader.
#include <chrono>
#include <variant>
#include <vector>

#include "tests/unit/replica/one_of_three_fixture.h"

namespace conclave::replica {
namespace {

using std::chrono::milliseconds;

class ForwardTest : public OneOfThreeTest {
 protected:
  // The forwards that leave when so much time has passed, under a leader that is there.
  std::vector<Forward> sent_after(Duration time) {
    std::vector<Forward> sent;
    for (const Instant end = now_ + time; now_ <= end; now_ += milliseconds(100)) {
      receive({.kind = raft::MessageKind::heartbeat, .from = 2, .term = 3}, now_);
      replica_->tick(now_);
      EXPECT_TRUE(replica_->process(now_));
      for (auto& message : replica_->take_output().to_peers) {
        auto* forward = std::get_if<Forward>(&message.content);
        if (forward == nullptr) continue;
        EXPECT_EQ(message.to, 2U);
        sent.push_back(std::move(*forward));
      }
    }
    return sent;
  }

  Instant now_ = kStart;
};

TEST_F(ForwardTest, WhatMayBeLostIsSentAgainUnderTheSameNumber) {
  ASSERT_TRUE(sent_after(milliseconds(2000)).empty());
  etcdserverpb::PutRequest request;
  request.set_key("k");
  etcdserverpb::PutResponse response;
  replica_->submit(5, PutCall{&request, &response}, now_);
  const std::vector<Forward> first = sent_after(milliseconds(500));
  ASSERT_EQ(first.size(), 1U);
  const std::vector<Forward> again = sent_after(milliseconds(2000));
  ASSERT_GE(again.size(), 1U);
  EXPECT_LE(again.size(), 2U);
  EXPECT_EQ(again[0].sequence, first[0].sequence);
  EXPECT_EQ(again[0].term, first[0].term);
  EXPECT_EQ(again[0].proposal, first[0].proposal);
}

}  // namespace
}  // namespace conclave::replica
