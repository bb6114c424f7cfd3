#include "conclave/raft/log.h"

#include <gtest/gtest.h>

namespace conclave::raft {
namespace {

Entry entry(Term term, Index index, std::string payload = "") {
  Entry made;
  made.term = term;
  made.index = index;
  made.payload = std::move(payload);
  return made;
}

// Indexes 6 to 10 with terms 2 2 3 3 5 after a compaction point at 5, term 1.
Log example() {
  return Log({.term = 1, .index = 5},
             {entry(2, 6, "aaaa"), entry(2, 7, "bb"), entry(3, 8), entry(3, 9), entry(5, 10)}, 7,
             6);
}

TEST(Log, KnowsTermsDownToTheCompactionPoint) {
  const Log log = example();
  EXPECT_EQ(log.term_at(4), std::nullopt);
  EXPECT_EQ(log.term_at(5), 1U);
  EXPECT_EQ(log.term_at(8), 3U);
  EXPECT_EQ(log.term_at(11), std::nullopt);
  EXPECT_EQ(log.first_index(), 6U);
  EXPECT_EQ(log.last_index(), 10U);
  EXPECT_EQ(log.persisted(), 10U);
}

TEST(Log, UpToDateComparesTermsBeforeLengths) {
  const Log log = example();
  EXPECT_TRUE(log.up_to_date({.term = 6, .index = 1}));
  EXPECT_TRUE(log.up_to_date({.term = 5, .index = 10}));
  EXPECT_FALSE(log.up_to_date({.term = 5, .index = 9}));
  EXPECT_FALSE(log.up_to_date({.term = 4, .index = 100}));
}

TEST(Log, SliceStopsAtTheByteLimitButGivesOne) {
  const Log log = example();
  EXPECT_EQ(log.slice(6, 10, 6).size(), 5U);
  EXPECT_EQ(log.slice(6, 10, 5).size(), 1U);
  EXPECT_EQ(log.slice(6, 10, 0).size(), 1U);
  EXPECT_TRUE(log.slice(11, 10, 100).empty());
  EXPECT_EQ(log.payload_bytes(6, 7), 6U);
}

TEST(Log, FindsWhereTermsCanStillMatch) {
  const Log log = example();
  EXPECT_EQ(log.last_not_above(10, 4), (LogPosition{3, 9}));
  EXPECT_EQ(log.last_not_above(9, 2), (LogPosition{2, 7}));
  EXPECT_EQ(log.last_not_above(9, 1), (LogPosition{1, 5}));
  EXPECT_EQ(log.last_not_above(4, 7), (LogPosition{0, 4})) << "compacted away";
}

TEST(Log, TruncationTakesBackWhatWasOnDisk) {
  Log log = example();
  log.truncate(9);
  EXPECT_EQ(log.last_index(), 8U);
  EXPECT_EQ(log.persisted(), 8U);
  log.append(entry(6, 9));
  EXPECT_EQ(log.persisted(), 8U);
  log.persisted_to(9);
  EXPECT_EQ(log.persisted(), 9U);
}

TEST(LogDeathTest, CommittedEntriesAreNeverOverwritten) {
  Log log = example();
  EXPECT_DEATH(log.truncate(7), "committed entry would be overwritten");
  EXPECT_DEATH(log.commit_to(11), "commit beyond the log");
  EXPECT_DEATH(log.compact(7), "cut beyond what is applied");
  EXPECT_DEATH(log.append(entry(5, 12)), "gap");
  EXPECT_DEATH(log.append(entry(4, 11)), "lower term");
}

TEST(Log, CompactionKeepsThePosition) {
  Log log = example();
  log.compact(6);
  EXPECT_EQ(log.compacted(), (LogPosition{2, 6}));
  EXPECT_EQ(log.term_at(6), 2U);
  EXPECT_EQ(log.term_at(5), std::nullopt);
  EXPECT_EQ(log.last_index(), 10U);
  log.compact(3);
  EXPECT_EQ(log.compacted().index, 6U);
}

}  // namespace
}  // namespace conclave::raft
