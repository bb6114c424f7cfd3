// What the storage port promises, of both of its forms.
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "conclave/base/bytes.h"
#include "conclave/base/random.h"
#include "conclave/lmdb/store.h"

#include "tests/support/fresh_directory.h"
#include "tests/support/memory_storage.h"

namespace conclave::mvcc {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

class MemoryForm {
 public:
  Storage& storage() { return storage_; }

 private:
  test::MemoryStorage storage_;
};

class LmdbForm {
 public:
  LmdbForm() : store_(*lmdb::Store::open(fresh_.path() + "/db", lmdb::Options{})) {}
  Storage& storage() { return *store_; }

 private:
  const test::FreshDirectory fresh_;
  std::unique_ptr<lmdb::Store> store_;
};

Batch batch_of(std::vector<Write> writes) {
  Batch batch;
  for (const Write& write : writes) {
    batch.byte_count += write.key.size() + write.value.value_or("").size();
  }
  batch.writes = std::move(writes);
  return batch;
}

Pairs scan_all(const Storage& storage, Table table, std::string_view begin = {},
               std::string_view end = {}) {
  Pairs found;
  const Result<void> scanned =
      storage.scan(table, begin, end, [&](std::string_view key, std::string_view value) {
        found.emplace_back(key, value);
        return true;
      });
  EXPECT_TRUE(scanned.has_value());
  return found;
}

template <class Form>
class StorageContract : public testing::Test {
 protected:
  Storage& storage() { return form_.storage(); }
  void commit(std::vector<Write> writes) {
    const Result<void> committed = storage().commit(batch_of(std::move(writes)));
    ASSERT_TRUE(committed.has_value()) << committed.error().message;
  }

 private:
  Form form_;
};

using Forms = testing::Types<MemoryForm, LmdbForm>;
TYPED_TEST_SUITE(StorageContract, Forms);

TYPED_TEST(StorageContract, AMissingKeyIsNoError) {
  const auto found = this->storage().get(Table::records, "nothing");
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(*found, std::nullopt);
  EXPECT_TRUE(scan_all(this->storage(), Table::meta).empty());
}

TYPED_TEST(StorageContract, WritesAndErasesAreSeenAfterTheCommit) {
  this->commit({{Table::records, "a", "1"}, {Table::records, "b", "2"}});
  EXPECT_EQ(*this->storage().get(Table::records, "a"), "1");
  this->commit({{Table::records, "a", std::nullopt},
                {Table::records, "b", "3"},
                {Table::records, "never there", std::nullopt}});
  EXPECT_EQ(*this->storage().get(Table::records, "a"), std::nullopt);
  EXPECT_EQ(*this->storage().get(Table::records, "b"), "3");
}

TYPED_TEST(StorageContract, WithinABatchTheLastWriteOfAKeyCounts) {
  this->commit({{Table::meta, "k", "1"},
                {Table::meta, "k", std::nullopt},
                {Table::meta, "k", "2"},
                {Table::records, "r", "1"},
                {Table::records, "r", "2"},
                {Table::records, "gone", "1"},
                {Table::records, "gone", std::nullopt}});
  EXPECT_EQ(*this->storage().get(Table::meta, "k"), "2");
  EXPECT_EQ(scan_all(this->storage(), Table::records), (Pairs{{"r", "2"}}));
}

TYPED_TEST(StorageContract, TablesAreApart) {
  this->commit({{Table::records, "k", "record"}, {Table::leases, "k", "lease"}});
  EXPECT_EQ(*this->storage().get(Table::records, "k"), "record");
  EXPECT_EQ(*this->storage().get(Table::leases, "k"), "lease");
  EXPECT_EQ(*this->storage().get(Table::meta, "k"), std::nullopt);
}

TYPED_TEST(StorageContract, EmptyValuesAndAnyBytesAreKept) {
  const std::string bytes("\0\xff\n\0", 4);
  this->commit({{Table::meta, "empty", ""},
                {Table::meta, bytes, bytes},
                {Table::meta, "large", std::string(3 << 20, 'x')}});
  EXPECT_EQ(*this->storage().get(Table::meta, "empty"), "");
  EXPECT_EQ(*this->storage().get(Table::meta, bytes), bytes);
  EXPECT_EQ((*this->storage().get(Table::meta, "large"))->size(), 3U << 20);
}

TYPED_TEST(StorageContract, ScansARangeInTheOrderOfBytes) {
  this->commit({{Table::records, "b", "2"},
                {Table::records, "\xff", "5"},
                {Table::records, "a", "1"},
                {Table::records, "c", "4"},
                {Table::records, "ba", "3"}});
  EXPECT_EQ(scan_all(this->storage(), Table::records),
            (Pairs{{"a", "1"}, {"b", "2"}, {"ba", "3"}, {"c", "4"}, {"\xff", "5"}}));
  EXPECT_EQ(scan_all(this->storage(), Table::records, "b", "c"), (Pairs{{"b", "2"}, {"ba", "3"}}));
  EXPECT_EQ(scan_all(this->storage(), Table::records, "bb"), (Pairs{{"c", "4"}, {"\xff", "5"}}));
  EXPECT_EQ(scan_all(this->storage(), Table::records, "", "b"), (Pairs{{"a", "1"}}));
  EXPECT_TRUE(scan_all(this->storage(), Table::records, "c", "b").empty());
}

TYPED_TEST(StorageContract, AVisitorStopsTheScanAndMayRead) {
  this->commit({{Table::records, "a", "1"}, {Table::records, "b", "2"}});
  int visited = 0;
  ASSERT_TRUE(this->storage()
                  .scan(Table::records, "", "",
                        [&](std::string_view, std::string_view) {
                          EXPECT_EQ(*this->storage().get(Table::records, "b"), "2");
                          ++visited;
                          return false;
                        })
                  .has_value());
  EXPECT_EQ(visited, 1);
}

TYPED_TEST(StorageContract, AgreesWithAMapOverRandomBatches) {
  std::map<std::string, std::string> expected;
  Random random(11);
  std::uint64_t revision = 0;
  for (int round = 0; round < 60; ++round) {
    std::vector<Write> writes;
    for (std::uint64_t count = random.below(20); count > 0; --count) {
      std::string key;
      const bool append = random.chance(2, 3);
      append_be(key, append ? ++revision : random.below(revision + 1));
      if (!append && random.chance(1, 2)) {
        writes.push_back({Table::records, key, std::nullopt});
        expected.erase(key);
      } else {
        const std::string value(random.below(2000), static_cast<char>('a' + random.below(26)));
        writes.push_back({Table::records, key, value});
        expected[key] = value;
      }
    }
    this->commit(std::move(writes));
    if (round % 10 == 0) {
      ASSERT_TRUE(this->storage().sync().has_value());
    }
  }
  EXPECT_EQ(scan_all(this->storage(), Table::records), Pairs(expected.begin(), expected.end()));
}

TYPED_TEST(StorageContract, SizesGrowWithTheDataAndUseShrinksWithErasing) {
  const std::uint64_t used_empty = this->storage().size_in_use_bytes();
  std::vector<Write> writes;
  std::vector<Write> erases;
  for (int i = 0; i < 200; ++i) {
    writes.push_back({Table::records, "key" + std::to_string(i), std::string(5000, 'x')});
    erases.push_back({Table::records, "key" + std::to_string(i), std::nullopt});
  }
  this->commit(writes);
  const std::uint64_t used_full = this->storage().size_in_use_bytes();
  const std::uint64_t size_full = this->storage().size_bytes();
  EXPECT_GE(used_full, used_empty + 1000000);
  EXPECT_GE(size_full, 1000000U);
  this->commit(erases);
  EXPECT_LT(this->storage().size_in_use_bytes(), used_full / 2);
  EXPECT_GE(this->storage().size_bytes(), size_full);
}

TYPED_TEST(StorageContract, AKeyOfAWrongLengthIsRefusedForGood) {
  for (const std::string& key : {std::string(), std::string(512, 'k')}) {
    TypeParam form;
    const Batch bad = batch_of({{Table::records, "good", "1"}, {Table::records, key, "1"}});
    const Result<void> committed = form.storage().commit(bad);
    ASSERT_FALSE(committed.has_value());
    EXPECT_EQ(committed.error().code, Errc::invalid_argument);
    EXPECT_EQ(form.storage().commit(Batch{}).error(), committed.error());
    EXPECT_EQ(form.storage().sync().error(), committed.error());
    EXPECT_EQ(*form.storage().get(Table::records, "good"), std::nullopt) << "a part was written";
  }
  this->commit({{Table::records, std::string(511, 'k'), "1"}});
  EXPECT_EQ(*this->storage().get(Table::records, std::string(511, 'k')), "1");
}

TYPED_TEST(StorageContract, ReadsBesideCommitsSeeWholeBatches) {
  constexpr int kCommits = 60;
  this->commit({{Table::records, "x", "0"}, {Table::records, "y", "0"}});
  std::atomic<bool> done = false;
  std::atomic<int> torn = 0;
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      do {
        const Pairs seen = scan_all(this->storage(), Table::records);
        if (seen.size() != 2 || seen[0].second != seen[1].second) ++torn;
        static_cast<void>(this->storage().size_in_use_bytes());
      } while (!done);
    });
  }
  for (int i = 1; i <= kCommits; ++i) {
    this->commit(
        {{Table::records, "x", std::to_string(i)}, {Table::records, "y", std::to_string(i)}});
    EXPECT_EQ(*this->storage().get(Table::records, "x"), std::to_string(i));
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(torn, 0);
}

TEST(MemoryStorage, APowerCutTakesBackTheLastCommitAsAWholeAtMost) {
  test::MemoryStorage storage;
  ASSERT_TRUE(storage.commit(batch_of({{Table::meta, "a", "1"}})).has_value());
  ASSERT_TRUE(storage
                  .commit(batch_of(
                      {{Table::meta, "a", "2"}, {Table::meta, "b", "2"}, {Table::meta, "a", "3"}}))
                  .has_value());
  storage.power_cut_dropping_all_unsynced();
  EXPECT_EQ(scan_all(storage, Table::meta), (Pairs{{"a", "1"}}));
  ASSERT_TRUE(storage.commit(batch_of({{Table::meta, "a", std::nullopt}})).has_value());
  ASSERT_TRUE(storage.sync().has_value());
  storage.power_cut_dropping_all_unsynced();
  EXPECT_TRUE(scan_all(storage, Table::meta).empty());
}

TEST(MemoryStorage, AFailureIsFinal) {
  test::MemoryStorage storage;
  storage.fail_next(Error{Errc::io, "broken"});
  EXPECT_FALSE(storage.commit(batch_of({{Table::meta, "a", "1"}})).has_value());
  EXPECT_FALSE(storage.sync().has_value());
  EXPECT_EQ(*storage.get(Table::meta, "a"), std::nullopt);
}

}  // namespace
}  // namespace conclave::mvcc
