#include "conclave/master_slave/verdict.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace master_slave {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Verdict verdict_on(std::vector<Attempt> journal) {
  return judge(journal);
}

TEST(Verdict, AnEmptyJournalIsSafe) {
  const Verdict verdict = verdict_on({});
  EXPECT_TRUE(verdict.safe());
  EXPECT_EQ(verdict.accepted, 0);
}

TEST(Verdict, OneLeaderAfterAnotherIsSafe) {
  const Verdict verdict = verdict_on({{"a", 5, 1, true},
                                      {"a", 5, 2, true},
                                      {"b", 8, 1, true},
                                      {"a", 5, 3, false},
                                      {"a", 11, 4, true}});
  EXPECT_TRUE(verdict.safe());
  EXPECT_EQ(verdict.accepted, 4);
  EXPECT_EQ(verdict.refused, 1);
}

// Nobody had written under a newer fence yet: an old leader's last write, in order.
TEST(Verdict, ALateWriteBeforeTheSuccessorsFirstIsSafe) {
  EXPECT_TRUE(verdict_on({{"a", 5, 1, true}, {"a", 5, 2, true}, {"b", 8, 1, true}}).safe());
}

TEST(Verdict, AnOldFenceAcceptedAfterANewerOneIsNot) {
  const Verdict verdict =
      verdict_on({{"a", 5, 1, true}, {"b", 8, 1, true}, {"a", 5, 2, true}, {"b", 8, 2, true}});
  EXPECT_THAT(verdict.violations,
              ElementsAre(HasSubstr("write 2 of a under fence 5 was accepted after fence 8")));
}

TEST(Verdict, AnAcceptedOldFenceDoesNotLowerTheMark) {
  const Verdict verdict = verdict_on({{"b", 8, 1, true}, {"a", 5, 1, true}, {"c", 6, 1, true}});
  EXPECT_EQ(verdict.violations.size(), 2u);
}

TEST(Verdict, TwoMastersUnderOneFenceAreNot) {
  const Verdict verdict = verdict_on({{"a", 5, 1, true}, {"b", 5, 1, true}});
  EXPECT_THAT(verdict.violations, ElementsAre(HasSubstr("the fence is a's")));
}

TEST(Verdict, AFenceBelongsToOneMasterEvenIfItsWritesAreRefused) {
  const Verdict verdict = verdict_on({{"c", 9, 1, true}, {"a", 5, 1, false}, {"b", 5, 1, false}});
  EXPECT_THAT(verdict.violations, ElementsAre(HasSubstr("the fence is a's")));
}

TEST(Verdict, ALeaderThatIsRefusedIsNot) {
  const Verdict verdict = verdict_on({{"a", 5, 1, true}, {"b", 8, 1, false}});
  EXPECT_THAT(verdict.violations, ElementsAre(HasSubstr("nothing newer wrote")));
}

}  // namespace
}  // namespace master_slave
