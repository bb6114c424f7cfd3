#include "conclave/lmdb/page_check.h"

#include <fstream>
#include <iterator>
#include <map>
#include <string>

#include <gtest/gtest.h>

#include "conclave/base/random.h"
#include "conclave/lmdb/store.h"

#include "tests/support/fresh_directory.h"

namespace conclave::lmdb {
namespace {

using mvcc::Batch;
using mvcc::Table;
using Content = std::map<std::pair<Table, std::string>, std::string>;

class PageCheckTest : public ::testing::Test {
 protected:
  // Some history: pages that were left, large values, several tables, trees of two levels.
  void SetUp() override {
    auto store = Store::open(directory_.path(), {});
    ASSERT_TRUE(store) << store.error().message;
    for (int round = 0; round < 6; ++round) {
      Batch batch;
      for (int i = 0; i < 150; ++i) {
        const std::string key = "r" + std::to_string(1000 * round + i);
        const std::size_t size = i % 50 == 0 ? 9000 : 120;
        batch.writes.push_back({Table::records, key, std::string(size, 'x')});
        content_[{Table::records, key}] = std::string(size, 'x');
        if (round < 2 || i % 2 == 0) continue;
        const std::string old = "r" + std::to_string(1000 * (round - 2) + i);
        batch.writes.push_back({Table::records, old, std::nullopt});
        content_.erase({Table::records, old});
      }
      const std::string lease = "lease" + std::to_string(round);
      batch.writes.push_back({Table::leases, lease, "l"});
      content_[{Table::leases, lease}] = "l";
      ASSERT_TRUE((*store)->commit(batch));
    }
    store->reset();
    std::ifstream file(path(), std::ios::binary);
    whole_.assign(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }

  std::string path() const { return directory_.path() + "/data.mdb"; }
  void write(const std::string& bytes) const {
    std::ofstream(path(), std::ios::binary | std::ios::trunc) << bytes;
  }
  // Everything in the store, unless that is found to be damaged.
  Result<Content> read() const {
    auto store = Store::open(directory_.path(), {});
    if (!store) return store.error();
    Content content;
    for (const Table table : {Table::records, Table::leases}) {
      const Result<void> scanned =
          (*store)->scan(table, "", "", [&](std::string_view key, std::string_view value) {
            content[{table, std::string(key)}] = value;
            return true;
          });
      if (!scanned) return scanned.error();
    }
    return content;
  }

  // Whether the store is sound after all that it holds has been erased, which frees each page.
  bool empties(const Content& content) const {
    auto store = Store::open(directory_.path(), {});
    if (!store) return false;
    Batch batch;
    for (const auto& [key, value] : content) {
      batch.writes.push_back({key.first, key.second, std::nullopt});
    }
    if (!(*store)->commit(batch)) return false;
    store->reset();
    const Result<Content> left = read();
    return left && left->empty();
  }

  test::FreshDirectory directory_ = test::FreshDirectory::in_memory();
  Content content_;
  std::string whole_;
};

TEST_F(PageCheckTest, ASoundStoreIsSound) {
  EXPECT_TRUE(check_pages(path()));
  const Result<Content> content = read();
  ASSERT_TRUE(content);
  EXPECT_EQ(*content, content_);
}

// It is found, or it changes nothing, neither what is read nor what comes of going on with the
// store; it never ends the process.
TEST_F(PageCheckTest, AnyFlippedBitIsFoundOrWithoutEffect) {
  constexpr std::size_t kPageBytes = 4096;
  Random random(7);
  int found = 0;
  for (int i = 0; i < 3000; ++i) {
    std::string damaged = whole_;
    // Half of them where pages say what they are, and where their nodes lie.
    const std::size_t page = random.below(whole_.size() / kPageBytes);
    const std::size_t within = random.below(i % 2 == 0 ? 48 : kPageBytes);
    const std::size_t at = page * kPageBytes + within;
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << random.below(8)));
    write(damaged);
    const Result<Content> content = read();
    if (!content) {
      EXPECT_TRUE(content.error().code == Errc::corrupt || content.error().code == Errc::refused)
          << content.error().message;
      ++found;
      continue;
    }
    // The last commit may go with the page that makes it count, as in a power cut.
    if (page >= 2) {
      EXPECT_EQ(*content, content_) << "byte " << at;
    }
    if (i % 4 < 2) {
      EXPECT_TRUE(empties(*content)) << "byte " << at;
    }
  }
  EXPECT_GT(found, 800);
}

// A list of free pages that becomes shorter while LMDB writes it keeps the pages that it had.
TEST_F(PageCheckTest, AStoreWithManyFreePagesIsSoundAfterEachCommit) {
  const test::FreshDirectory directory = test::FreshDirectory::in_memory();
  auto store = Store::open(directory.path(), {});
  ASSERT_TRUE(store) << store.error().message;
  Batch many;
  Batch fewer;
  for (int i = 0; i < 2000; ++i) {
    const std::string key = "r" + std::to_string(10000 + i);
    many.writes.push_back({Table::records, key, std::string(15000, 'x')});
    if (i < 1950) fewer.writes.push_back({Table::records, key, std::nullopt});
  }
  ASSERT_TRUE((*store)->commit(many));
  ASSERT_TRUE((*store)->commit(fewer));
  for (int i = 0; i < 200; ++i) {
    Batch batch;
    batch.writes.push_back({Table::records, "s" + std::to_string(1000 + i), "small"});
    batch.writes.push_back({Table::leases, "applied", std::to_string(i)});
    ASSERT_TRUE((*store)->commit(batch));
    const Result<void> sound = check_pages(directory.path() + "/data.mdb");
    ASSERT_TRUE(sound) << "commit " << i << ": " << sound.error().message;
  }
}

TEST_F(PageCheckTest, AnotherFormatIsRefusedAndNotCalledDamage) {
  constexpr std::size_t kPageBytes = 4096;
  constexpr std::size_t kVersionAt = 16 + 4;
  std::string other = whole_;
  for (const std::size_t page : {0, 1}) other[page * kPageBytes + kVersionAt] = 2;
  write(other);
  const Result<void> refused = check_pages(path());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::refused);
  other[kVersionAt] = 1;
  write(other);
  EXPECT_EQ(check_pages(path()).error().code, Errc::corrupt);
}

// Of the pages that say where everything begins, each bit by itself.
TEST_F(PageCheckTest, AnyFlippedBitOfTheFirstPagesIsFoundOrWithoutEffect) {
  constexpr std::size_t kPageBytes = 4096;
  constexpr std::size_t kBytesOfMeta = 16 + 136;
  for (std::size_t bit = 0; bit < 2 * kBytesOfMeta * 8; ++bit) {
    const std::size_t byte = bit / 8;
    const std::size_t at = byte < kBytesOfMeta ? byte : byte - kBytesOfMeta + kPageBytes;
    std::string damaged = whole_;
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << (bit % 8)));
    write(damaged);
    const Result<Content> content = read();
    if (content) continue;
    EXPECT_TRUE(content.error().code == Errc::corrupt || content.error().code == Errc::refused)
        << "byte " << at << ": " << content.error().message;
  }
}

}  // namespace
}  // namespace conclave::lmdb
