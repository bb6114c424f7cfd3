// A follower's reads, whose question to the leader was answered late.
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "conclave/replica/replica.h"

#include "tests/support/memory_storage.h"

namespace conclave::replica {
namespace {

constexpr Instant kStart{std::chrono::hours(1)};
constexpr raft::Term kTerm = 3;

Member member(std::uint64_t id) {
  return {id, "n" + std::to_string(id), {"http://n" + std::to_string(id)}, {}, false, 100 + id};
}

class ReadRoundTest : public testing::Test {
 protected:
  void SetUp() override {
    Options options;
    options.self = member(1);
    options.initial_members = {member(1), member(2), member(3)};
    options.incarnation = 9;
    Replica::Recovered recovered;
    recovered.previous = {1, 1};
    auto replica = Replica::create(options, storage_, std::move(recovered), Random(1), kStart);
    ASSERT_TRUE(replica) << replica.error().message;
    replica_ = *std::move(replica);
  }

  void hear(raft::Message message) {
    message.from = 2;
    message.to = 1;
    message.term = kTerm;
    replica_->receive(2, 102, std::move(message), now_);
  }
  // The leader's sign of life; the question that is put to it then, if there is one.
  std::optional<std::string> question() {
    hear({.kind = raft::MessageKind::heartbeat});
    EXPECT_TRUE(replica_->process(now_));
    for (const auto& message : replica_->take_output().to_peers) {
      const auto* content = std::get_if<raft::Message>(&message.content);
      if (content == nullptr || content->kind != raft::MessageKind::read_index) continue;
      return content->context;
    }
    return std::nullopt;
  }
  // How many reads are answered once the leader says this.
  std::size_t answered_by(const std::string& context) {
    hear({.kind = raft::MessageKind::read_index_response, .log_index = 1, .context = context});
    EXPECT_TRUE(replica_->process(now_));
    return replica_->take_output().answers.size();
  }

  test::MemoryStorage storage_;
  std::unique_ptr<Replica> replica_;
  Instant now_ = kStart;
};

TEST_F(ReadRoundTest, AnAnswerToAnEarlierQuestionIsNone) {
  etcdserverpb::RangeRequest request;
  request.set_key("k");
  etcdserverpb::RangeResponse response;
  ASSERT_EQ(question(), std::nullopt);
  replica_->submit(5, RangeCall{&request, &response}, now_);
  const std::optional<std::string> first = question();
  ASSERT_TRUE(first);
  now_ += std::chrono::seconds(2);
  const std::optional<std::string> second = question();
  ASSERT_TRUE(second);
  EXPECT_EQ(answered_by(*first), 0U);
  EXPECT_EQ(answered_by(*second), 1U);
}

}  // namespace
}  // namespace conclave::replica
