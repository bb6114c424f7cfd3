#include "conclave/mvcc/key_index.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace conclave::mvcc {
namespace {

KeyVersion put_at(std::int64_t main, std::int64_t created, std::int64_t version,
                  std::int64_t sub = 0) {
  return {{main, sub}, created, version};
}
KeyVersion deleted_at(std::int64_t main, std::int64_t sub = 0) {
  return {{main, sub}, 0, 0};
}

std::vector<std::int64_t> removed_mains(KeyIndex& index, std::int64_t compacted) {
  std::vector<std::int64_t> mains;
  for (const auto& removed : index.remove_compacted(compacted, 1000)) {
    mains.push_back(removed.revision.main);
  }
  std::sort(mains.begin(), mains.end());
  return mains;
}

TEST(RecordKey, IsEtcds) {
  const std::string put = record_key({0x0102030405060708, 0x1112131415161718}, false);
  EXPECT_EQ(put, std::string("\x01\x02\x03\x04\x05\x06\x07\x08_\x11\x12\x13\x14\x15\x16\x17\x18"));
  EXPECT_EQ(record_key({0x0102030405060708, 0x1112131415161718}, true), put + "t");
}

TEST(RecordKey, ReadsWhatItWrote) {
  for (const bool deletion : {false, true}) {
    const auto parsed = parse_record_key(record_key({7, 3}, deletion));
    ASSERT_TRUE(parsed);
    EXPECT_EQ(parsed->revision, (Revision{7, 3}));
    EXPECT_EQ(parsed->deletion, deletion);
  }
  EXPECT_FALSE(parse_record_key(""));
  EXPECT_FALSE(parse_record_key("0123456789abcdefg"));
  EXPECT_FALSE(parse_record_key(record_key({7, 3}, false) + "x"));
  EXPECT_FALSE(parse_record_key(record_key({7, 3}, true) + "t"));
}

TEST(KeyRange, FollowsTheWire) {
  const std::string no_end(1, '\0');
  EXPECT_TRUE(KeyRange("b", "").contains("b"));
  EXPECT_FALSE(KeyRange("b", "").contains("ba"));
  EXPECT_TRUE(KeyRange("b", "d").contains("c"));
  EXPECT_FALSE(KeyRange("b", "d").contains("d"));
  EXPECT_FALSE(KeyRange("b", "d").contains("a"));
  EXPECT_TRUE(KeyRange("b", no_end).contains("zzz"));
  EXPECT_FALSE(KeyRange("b", no_end).contains("a"));
  EXPECT_TRUE(KeyRange("b", "b").is_empty());
  EXPECT_TRUE(KeyRange("b", "a").is_empty());
  EXPECT_FALSE(KeyRange("b", no_end).is_empty());
  EXPECT_FALSE(KeyRange("b", "").is_empty());
}

TEST(KeyIndex, KnowsEveryRevision) {
  KeyIndex index;
  index.add("k", put_at(2, 2, 1), 0);
  index.add("k", put_at(4, 2, 2), 0);
  index.add("k", deleted_at(6), 0);
  index.add("k", put_at(8, 8, 1), 5);
  EXPECT_EQ(index.find("k", 1), std::nullopt);
  EXPECT_EQ(index.find("k", 3)->modified.main, 2);
  EXPECT_EQ(index.find("k", 5)->version, 2);
  EXPECT_EQ(index.find("k", 6), std::nullopt);
  EXPECT_EQ(index.find("k", 7), std::nullopt);
  EXPECT_EQ(index.find("k", 100)->create_revision, 8);
  EXPECT_EQ(index.find_live("k")->lease(), 5);
  EXPECT_EQ(index.find("absent", 100), std::nullopt);
}

TEST(KeyIndex, RemovesWhatNobodyCanRead) {
  KeyIndex index;
  index.add("k", put_at(2, 2, 1), 0);
  index.add("k", put_at(4, 2, 2), 0);
  index.add("k", deleted_at(6), 0);
  index.add("k", put_at(8, 8, 1), 0);
  EXPECT_FALSE(index.removal_pending(3));
  EXPECT_TRUE(index.removal_pending(4));
  EXPECT_EQ(removed_mains(index, 4), (std::vector<std::int64_t>{2}));
  EXPECT_EQ(index.find("k", 5)->modified.main, 4);
  // The deletion at the compact revision stays for a watch that starts there.
  EXPECT_EQ(removed_mains(index, 6), (std::vector<std::int64_t>{4}));
  EXPECT_EQ(removed_mains(index, 7), (std::vector<std::int64_t>{6}));
  EXPECT_FALSE(index.removal_pending(1000));
  EXPECT_EQ(index.find("k", 8)->modified.main, 8);
}

TEST(KeyIndex, ForgetsDeletedKeys) {
  KeyIndex index;
  for (int i = 0; i < 10; ++i) {
    index.add("k" + std::to_string(i), put_at(2, 2, 1, i), 0);
    index.add("k" + std::to_string(i), deleted_at(3, i), 0);
  }
  EXPECT_EQ(index.size(), 10U);
  std::size_t removed = 0;
  while (index.removal_pending(4)) removed += index.remove_compacted(4, 3).size();
  EXPECT_EQ(removed, 20U);
  EXPECT_EQ(index.size(), 0U);
}

TEST(KeyIndex, RemovesALongHistoryInSmallSteps) {
  constexpr std::int64_t kVersions = 20000;
  constexpr std::size_t kStep = 50;
  KeyIndex index;
  for (std::int64_t i = 1; i <= kVersions; ++i) index.add("hot", put_at(1 + i, 2, i), 0);
  std::size_t removed = 0;
  int steps = 0;
  while (index.removal_pending(kVersions + 1)) {
    const std::size_t count = index.remove_compacted(kVersions + 1, kStep).size();
    ASSERT_LE(count, kStep);
    removed += count;
    ASSERT_LT(++steps, 1000);
    // What can still be read is there at every step.
    ASSERT_EQ(index.find("hot", kVersions + 1)->version, kVersions);
  }
  EXPECT_EQ(removed, static_cast<std::size_t>(kVersions) - 1);
}

// Nested transactions can touch a key more than once in a revision.
TEST(KeyIndex, SurvivesSeveralChangesInOneRevision) {
  KeyIndex index;
  index.add("k", put_at(2, 2, 1), 0);
  index.add("k", deleted_at(5, 0), 0);
  index.add("k", put_at(5, 5, 1, 1), 0);
  index.add("k", deleted_at(5, 2), 0);
  EXPECT_EQ(index.find("k", 5), std::nullopt);
  EXPECT_EQ(index.find("k", 4)->modified.main, 2);
  while (index.removal_pending(5)) index.remove_compacted(5, 1);
  while (index.removal_pending(6)) index.remove_compacted(6, 1);
  EXPECT_EQ(index.size(), 0U);
}

}  // namespace
}  // namespace conclave::mvcc
