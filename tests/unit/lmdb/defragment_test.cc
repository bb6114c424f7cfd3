#include <atomic>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "conclave/lmdb/store.h"

#include "tests/support/fresh_directory.h"

namespace conclave::lmdb {
namespace {

using mvcc::Batch;
using mvcc::Table;

class Defragment : public testing::Test {
 protected:
  void SetUp() override { reopen(); }
  void reopen() {
    store_.reset();
    Result<std::unique_ptr<Store>> opened = Store::open(directory_, {});
    ASSERT_TRUE(opened) << opened.error().message;
    store_ = *std::move(opened);
  }
  static std::string key_of(int number) { return "key" + std::to_string(100000 + number); }
  // Puts or erases [from, to).
  void change(int from, int to, bool erase = false) {
    Batch batch;
    for (int i = from; i < to; ++i) {
      std::optional<std::string> value;
      if (!erase) value = std::string(500, 'v') + std::to_string(i);
      batch.writes.push_back({Table::records, key_of(i), std::move(value)});
    }
    ASSERT_TRUE(store_->commit(batch));
  }
  int count() const {
    int found = 0;
    EXPECT_TRUE(store_->scan(Table::records, "", "", [&](std::string_view, std::string_view) {
      ++found;
      return true;
    }));
    return found;
  }

  const test::FreshDirectory fresh_ = test::FreshDirectory::in_memory();
  const std::string directory_ = fresh_.path() + "/db";
  std::unique_ptr<Store> store_;
};

TEST_F(Defragment, GivesSpaceBackAndLosesNothing) {
  change(0, 4000);
  change(0, 3900, true);
  const std::uint64_t before = store_->size_bytes();
  ASSERT_TRUE(store_->defragment());
  EXPECT_LT(store_->size_bytes(), before / 10);
  EXPECT_EQ(count(), 100);
  change(5000, 5010);
  ASSERT_TRUE(store_->defragment());  // the copy is a store like any other
  EXPECT_EQ(count(), 110);
  EXPECT_FALSE(std::filesystem::exists(directory_ + "/data.mdb.new"));
  reopen();
  EXPECT_EQ(count(), 110);
  EXPECT_TRUE((*store_->get(Table::records, key_of(5009))).has_value());
}

// As a snapshot's store is that takes the place of another one.
TEST_F(Defragment, GoesOnWhereTheDirectoryWasMovedTo) {
  change(0, 4000);
  change(0, 3900, true);
  const std::uint64_t before = store_->size_bytes();
  const std::string moved = fresh_.path() + "/moved";
  std::filesystem::rename(directory_, moved);
  store_->moved_to(moved);
  EXPECT_EQ(store_->size_bytes(), before);
  ASSERT_TRUE(store_->defragment());
  EXPECT_LT(store_->size_bytes(), before / 10);
  change(5000, 5010);
  store_.reset();
  std::filesystem::rename(moved, directory_);
  reopen();
  EXPECT_EQ(count(), 110);
}

TEST_F(Defragment, AReadThatRunsMeanwhileSeesOneState) {
  change(0, 1000);
  int seen = 0;
  ASSERT_TRUE(store_->scan(Table::records, "", "", [&](std::string_view, std::string_view value) {
    if (++seen == 10) {
      EXPECT_TRUE(store_->defragment());
      change(0, 1000, true);
    }
    return value.size() > 500;
  }));
  EXPECT_EQ(seen, 1000);
  EXPECT_EQ(count(), 0);
}

TEST_F(Defragment, ReadsGoOnFromOtherThreads) {
  change(0, 500);
  std::atomic<bool> stop = false;
  std::atomic<int> reads = 0;
  std::thread reader([&] {
    while (!stop) {
      const auto value = store_->get(Table::records, key_of(7));
      ASSERT_TRUE(value) << value.error().message;
      ASSERT_TRUE(value->has_value());
      ++reads;
    }
  });
  for (int i = 0; i < 20 || reads < 100; ++i) {
    ASSERT_TRUE(store_->defragment());
    change(500 + i, 501 + i);
  }
  stop = true;
  reader.join();
}

TEST_F(Defragment, ACopyThatCannotBeMadeChangesNothing) {
  change(0, 10);
  std::filesystem::create_directory(directory_ + "/data.mdb.new");
  EXPECT_FALSE(store_->defragment());
  EXPECT_FALSE(store_->failed());
  change(10, 20);
  EXPECT_EQ(count(), 20);
}

TEST_F(Defragment, WhatACrashLeftOfACopyGoesAtTheNextStart) {
  change(0, 10);
  store_.reset();
  std::filesystem::copy_file(directory_ + "/data.mdb", directory_ + "/data.mdb.new");
  std::filesystem::resize_file(directory_ + "/data.mdb.new", 5000);
  reopen();
  EXPECT_EQ(count(), 10);
  EXPECT_FALSE(std::filesystem::exists(directory_ + "/data.mdb.new"));
}

// What overwriting and compaction do all day: free pages are used again, without defragmentation.
TEST_F(Defragment, ASteadyLoadKeepsTheFileFlat) {
  constexpr int kLive = 500;
  constexpr int kStep = 100;
  int next = 0;
  const auto run = [&](int batches) {
    for (int i = 0; i < batches; ++i, next += kStep) {
      change(next, next + kStep);
      if (next >= kLive) change(next - kLive, next - kLive + kStep, true);
    }
  };
  run(30);
  const std::uint64_t settled = store_->size_bytes();
  run(300);
  EXPECT_LE(store_->size_bytes(), settled + settled / 4);
}

}  // namespace
}  // namespace conclave::lmdb
