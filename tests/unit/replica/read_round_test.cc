// A follower's reads, whose question to the leader was answered late.
#include <chrono>
#include <optional>
#include <string>
#include <variant>

#include "tests/unit/replica/one_of_three_fixture.h"

namespace conclave::replica {
namespace {

class ReadRoundTest : public OneOfThreeTest {
 protected:
  void hear(raft::Message message) {
    message.from = 2;
    message.term = 3;
    receive(std::move(message), now_);
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
