#include "conclave/master_slave/story.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace master_slave {
namespace {

using testing::Eq;
using testing::HasSubstr;
using testing::Optional;

class StoryTest : public testing::Test {
 protected:
  std::optional<std::string> hear(const std::string& source, const std::string& line) {
    at_ += StoryTime(10);
    return story_.hear(at_, source, line);
  }

  Story story_{2};
  StoryTime at_{0};
};

TEST_F(StoryTest, KnowsWhereProcessesListen) {
  EXPECT_EQ(story_.address_of("resource"), "");
  EXPECT_EQ(hear("resource", "listens 127.0.0.1:4711"), std::nullopt);
  EXPECT_EQ(story_.address_of("resource"), "127.0.0.1:4711");
}

TEST_F(StoryTest, TheHighestFenceLeads) {
  EXPECT_EQ(story_.latest_fence(), 0);
  hear("master-1", "leads 5");
  hear("master-2", "leads 8");
  EXPECT_EQ(story_.latest_fence(), 8);
  EXPECT_EQ(story_.term_of(8).master, "master-2");
  EXPECT_EQ(story_.term_of(8).since, StoryTime(20));
  EXPECT_EQ(story_.term_of(5).master, "master-1");
  EXPECT_EQ(story_.term_of(6).master, "");
}

TEST_F(StoryTest, TellsTheFirstAcceptedWriteOfATermAndEveryRefusal) {
  hear("master-1", "leads 5");
  EXPECT_THAT(hear("resource", "attempt master-1 5 1 accepted"), Optional(HasSubstr("first")));
  EXPECT_EQ(hear("resource", "attempt master-1 5 2 accepted"), std::nullopt);
  hear("resource", "attempt master-2 8 1 accepted");
  EXPECT_THAT(hear("resource", "attempt master-1 5 3 refused"),
              Optional(HasSubstr("REFUSES write 3 of master-1")));
  EXPECT_EQ(story_.accepted(), 3);
  EXPECT_EQ(story_.refused(), 1);
  EXPECT_EQ(story_.term_of(5).accepted, 2);
  EXPECT_EQ(story_.term_of(5).refused, 1);
  EXPECT_EQ(story_.journal().size(), 4u);
}

TEST_F(StoryTest, AWriteThatIsReadBeforeItsTermCounts) {
  hear("resource", "attempt master-1 5 1 accepted");
  hear("master-1", "leads 5");
  EXPECT_EQ(story_.term_of(5).accepted, 1);
  EXPECT_EQ(story_.terms().size(), 1u);
}

TEST_F(StoryTest, AWriteIsPendingUntilTheResourceHasSeenIt) {
  EXPECT_FALSE(story_.has_write_pending("master-1"));
  hear("master-1", "prepares 5 1");
  EXPECT_TRUE(story_.has_write_pending("master-1"));
  hear("resource", "attempt master-1 5 1 accepted");
  EXPECT_FALSE(story_.has_write_pending("master-1"));
  hear("resource", "attempt master-1 5 2 accepted");
  hear("master-1", "prepares 5 2");
  EXPECT_FALSE(story_.has_write_pending("master-1"));
}

TEST_F(StoryTest, SlavesFollowWhenAllOfThemGetAnswers) {
  hear("master-1", "leads 5");
  EXPECT_EQ(hear("slave-1", "hears 5 0"), std::nullopt);
  EXPECT_THAT(hear("slave-2", "hears 5 0"), Optional(Eq("all 2 follow master-1")));
  EXPECT_EQ(story_.followers_of(5), 2);
  EXPECT_EQ(hear("slave-1", "silence"), std::nullopt);
  EXPECT_THAT(hear("slave-2", "silence"), Optional(HasSubstr("none of them")));
  EXPECT_EQ(story_.followers_of(5), 0);
}

TEST_F(StoryTest, TheLongestWaitOfASlaveCounts) {
  hear("master-2", "leads 8");
  hear("slave-1", "hears 8 2310");
  EXPECT_THAT(hear("slave-2", "hears 8 2290"), Optional(HasSubstr("2.31 s")));
  EXPECT_EQ(story_.term_of(8).longest_gap(), StoryTime(2310));
}

TEST_F(StoryTest, OnlyTheFirstWaitForATermCounts) {
  hear("master-2", "leads 8");
  hear("slave-1", "hears 8 2310");
  hear("slave-1", "silence");
  hear("slave-1", "hears 8 400");
  EXPECT_EQ(story_.term_of(8).longest_gap(), StoryTime(2310));
}

TEST_F(StoryTest, CampaignsAreToldFromTheSecondOn) {
  EXPECT_EQ(hear("master-1", "campaigns"), std::nullopt);
  EXPECT_THAT(hear("master-1", "campaigns"), Optional(Eq("campaigns again")));
  EXPECT_EQ(story_.campaigns_of("master-1"), 2);
  EXPECT_EQ(story_.campaigns_of("master-2"), 0);
}

TEST_F(StoryTest, ReasonsAndErrorsAreTold) {
  EXPECT_THAT(hear("master-1", "steps_down 5 a newer leader has written"),
              Optional(Eq("steps down: a newer leader has written")));
  EXPECT_THAT(hear("master-1", "error nobody listens"), Optional(Eq("error nobody listens")));
}

}  // namespace
}  // namespace master_slave
