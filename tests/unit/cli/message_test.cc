#include "conclave/cli/guardian/message.h"

#include <gtest/gtest.h>

namespace conclave::cli {
namespace {

TEST(GuardianMessage, StartSurvivesTheWay) {
  ToGuardian start;
  start.kind = ToGuardian::Kind::start;
  start.ttl = std::chrono::seconds(10);
  start.valid_until = Instant(std::chrono::seconds(77));
  start.environment = {{"A", ""}, {"B", std::string("x\0y", 3)}};
  const auto read = decode_to_guardian(encode(start));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->kind, ToGuardian::Kind::start);
  EXPECT_EQ(read->ttl, start.ttl);
  EXPECT_EQ(read->valid_until, start.valid_until);
  EXPECT_EQ(read->environment, start.environment);
}

TEST(GuardianMessage, EndSurvivesTheWay) {
  const CommandEnd end{
      .started = true, .error_number = 2, .wait_status = 256, .cause = EndCause::leftovers};
  const auto read = decode_command_end(encode(end));
  ASSERT_TRUE(read);
  EXPECT_TRUE(read->started);
  EXPECT_EQ(read->error_number, 2);
  EXPECT_EQ(read->wait_status, 256);
  EXPECT_EQ(read->cause, EndCause::leftovers);
}

TEST(GuardianMessage, CutMessagesAreRefused) {
  ToGuardian message;
  message.environment = {{"NAME", "value"}};
  const std::string whole = encode(message);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(decode_to_guardian(whole.substr(0, size))) << size;
  }
  const std::string end = encode(CommandEnd{});
  for (std::size_t size = 0; size < end.size(); ++size) {
    EXPECT_FALSE(decode_command_end(end.substr(0, size))) << size;
  }
}

}  // namespace
}  // namespace conclave::cli
