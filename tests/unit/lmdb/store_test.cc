#include "conclave/lmdb/store.h"

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <lmdb.h>
#include <sys/stat.h>

#include "tests/support/fresh_directory.h"

namespace conclave::lmdb {
namespace {

using mvcc::Batch;
using mvcc::Table;

mode_t mode_of(const std::string& path) {
  struct stat status {};
  EXPECT_EQ(::stat(path.c_str(), &status), 0) << path;
  return status.st_mode & 0777;
}

class StoreTest : public testing::Test {
 protected:
  std::unique_ptr<Store> open(const Options& options = {}) {
    Result<std::unique_ptr<Store>> store = Store::open(directory_, options);
    EXPECT_TRUE(store.has_value()) << store.error().message;
    return *std::move(store);
  }
  Error open_error(const Options& options = {}) {
    const Result<std::unique_ptr<Store>> store = Store::open(directory_, options);
    EXPECT_FALSE(store.has_value());
    return store.has_value() ? Error{} : store.error();
  }
  static void put(Store& store, const std::string& key, std::string value) {
    Batch batch;
    batch.writes.push_back({Table::records, key, std::move(value)});
    const Result<void> committed = store.commit(batch);
    ASSERT_TRUE(committed.has_value()) << committed.error().message;
  }
  const test::FreshDirectory fresh_;
  const std::string directory_ = fresh_.path() + "/db";
  const std::string file_ = directory_ + "/data.mdb";
};

TEST_F(StoreTest, KeepsItsDataOverAReopenAndFilesAreTheOwnersAlone) {
  put(*open(), "k", "v");
  EXPECT_EQ(*open()->get(Table::records, "k"), "v");
  EXPECT_EQ(mode_of(directory_), 0700U);
  EXPECT_EQ(mode_of(file_), 0600U);
  EXPECT_EQ(mode_of(file_ + "-lock"), 0600U);
}

TEST_F(StoreTest, ASecondOpenIsRefused) {
  const std::unique_ptr<Store> store = open();
  EXPECT_EQ(open_error().code, Errc::unavailable);
}

TEST_F(StoreTest, AFullMapIsFinalAndTheRestReadable) {
  Options options;
  options.quota_bytes = 1 << 20;
  options.map_size_bytes = 1 << 20;
  {
    const std::unique_ptr<Store> store = open(options);
    put(*store, "k", "v");
    Batch batch;
    for (int i = 0; i < 300; ++i) {
      batch.writes.push_back({Table::records, "l" + std::to_string(i), std::string(5000, 'x')});
    }
    const Result<void> committed = store->commit(batch);
    ASSERT_FALSE(committed.has_value());
    EXPECT_EQ(committed.error().code, Errc::resource_exhausted);
    EXPECT_NE(committed.error().message.find(file_), std::string::npos);
    EXPECT_EQ(store->commit(Batch{}).error(), committed.error());
    EXPECT_EQ(*store->get(Table::records, "k"), "v");
    EXPECT_EQ(*store->get(Table::records, "l0"), std::nullopt);
  }
  options.map_size_bytes = 16 << 20;
  const std::unique_ptr<Store> store = open(options);
  put(*store, "large", std::string(3 << 20, 'x'));
  EXPECT_EQ(*store->get(Table::records, "k"), "v");
}

TEST_F(StoreTest, CompactingLeavesTheDataWithoutItsFreePages) {
  const std::string copy_directory = fresh_.path() + "/copy";
  const std::unique_ptr<Store> store = open();
  Batch erase;
  Batch fill;
  for (int i = 0; i < 500; ++i) {
    fill.writes.push_back({Table::records, "k" + std::to_string(i), std::string(5000, 'x')});
    if (i != 7) erase.writes.push_back({Table::records, "k" + std::to_string(i), std::nullopt});
  }
  ASSERT_TRUE(store->commit(fill).has_value());
  ASSERT_TRUE(store->commit(erase).has_value());
  ASSERT_TRUE(store->compact_to(copy_directory).has_value());
  EXPECT_FALSE(store->compact_to(copy_directory).has_value()) << "a store is there";
  Result<std::unique_ptr<Store>> copy = Store::open(copy_directory, Options{});
  ASSERT_TRUE(copy.has_value()) << copy.error().message;
  EXPECT_EQ(*(*copy)->get(Table::records, "k7"), std::string(5000, 'x'));
  EXPECT_LT((*copy)->size_bytes(), store->size_bytes() / 10);
  EXPECT_EQ((*copy)->size_in_use_bytes(), (*copy)->size_bytes());
  EXPECT_EQ(mode_of(copy_directory + "/data.mdb"), 0600U);
  put(**copy, "k8", "goes on");
}

TEST_F(StoreTest, AMapBelowTheQuotaIsRefused) {
  Options options;
  options.map_size_bytes = options.quota_bytes - 1;
  EXPECT_EQ(open_error(options).code, Errc::invalid_argument);
}

TEST_F(StoreTest, APathThatIsAFileOrCannotBeMadeSaysSo) {
  std::ofstream(directory_) << "x";
  const Error error = open_error();
  EXPECT_EQ(error.code, Errc::io);
  EXPECT_NE(error.message.find(directory_ + ": Not a directory"), std::string::npos)
      << error.message;
  const Result<std::unique_ptr<Store>> below = Store::open(directory_ + "/db", Options{});
  ASSERT_FALSE(below.has_value());
  EXPECT_EQ(below.error().code, Errc::io);
  EXPECT_FALSE(Store::open("/proc/conclave", Options{}).has_value());
}

TEST_F(StoreTest, AFileThatIsNoStoreIsCorruptAndStays) {
  std::filesystem::create_directory(directory_);
  for (const std::string& bytes : {std::string(), std::string("text"), std::string(1 << 16, 'x'),
                                   std::string(1 << 16, '\0')}) {
    std::ofstream(file_, std::ios::trunc | std::ios::binary) << bytes;
    EXPECT_EQ(open_error().code, Errc::corrupt) << bytes.size() << " bytes";
    EXPECT_EQ(std::filesystem::file_size(file_), bytes.size());
  }
}

TEST_F(StoreTest, AFileCutShortIsCorruptAtAnyLength) {
  {
    const std::unique_ptr<Store> store = open();
    for (int i = 0; i < 30; ++i) put(*store, "k" + std::to_string(i), std::string(3000, 'x'));
    put(*store, "large", std::string(50000, 'x'));
    ASSERT_TRUE(store->sync().has_value());
  }
  const std::string kept = fresh_.path() + "/kept.mdb";
  std::filesystem::copy_file(file_, kept);
  const std::uint64_t whole = std::filesystem::file_size(kept);
  int corrupt = 0;
  for (std::uint64_t size = 0; size < whole; size += 4096) {
    std::filesystem::copy_file(kept, file_, std::filesystem::copy_options::overwrite_existing);
    std::filesystem::resize_file(file_, size);
    const Result<std::unique_ptr<Store>> store = Store::open(directory_, Options{});
    if (!store.has_value()) {
      EXPECT_EQ(store.error().code, Errc::corrupt) << store.error().message;
      EXPECT_EQ(std::filesystem::file_size(file_), size) << "it was changed";
      ++corrupt;
      continue;
    }
    // Only pages that nothing uses may be missing.
    for (int i = 0; i < 30; ++i) {
      EXPECT_EQ(*(*store)->get(Table::records, "k" + std::to_string(i)), std::string(3000, 'x'));
    }
    EXPECT_EQ(*(*store)->get(Table::records, "large"), std::string(50000, 'x'));
  }
  EXPECT_GT(corrupt, 20);
}

TEST_F(StoreTest, ADamagedValueIsCorruptNotReturned) {
  put(*open(), "k", std::string(3000, 'x'));
  {
    std::fstream file(file_, std::ios::in | std::ios::out | std::ios::binary);
    std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    const std::size_t at = bytes.find("xxxxxxxx");
    ASSERT_NE(at, std::string::npos);
    file.seekp(static_cast<std::streamoff>(at + 100));
    file.put('y');
  }
  const std::unique_ptr<Store> store = open();
  const auto found = store->get(Table::records, "k");
  ASSERT_FALSE(found.has_value());
  EXPECT_EQ(found.error().code, Errc::corrupt);
  const auto scanned =
      store->scan(Table::records, "", "", [](std::string_view, std::string_view) { return true; });
  ASSERT_FALSE(scanned.has_value());
  EXPECT_EQ(scanned.error().code, Errc::corrupt);
}

// The only page of its kind in a store with few records: it leads to the leaves.
class BranchPage {
 public:
  explicit BranchPage(std::string& file) : file_(&file) {
    constexpr std::size_t kFlagsAt = 10;
    constexpr char kBranch = 1;
    for (std::size_t at = 0; at < file.size(); at += kPageBytes) {
      if (file[at + kFlagsAt] == kBranch) begin_ = at;
    }
  }
  std::size_t children() const { return (number(kEndOfNodesAt) - kNodesAt) / 2; }
  // Where the bytes stand that say which page the child is.
  std::size_t child(std::size_t index) const { return begin_ + number(kNodesAt + 2 * index); }
  void exchange(std::size_t a, std::size_t b) {
    for (std::size_t i = 0; i < kChildBytes; ++i) {
      std::swap((*file_)[child(a) + i], (*file_)[child(b) + i]);
    }
  }
  void copy(std::size_t from, std::size_t to) {
    for (std::size_t i = 0; i < kChildBytes; ++i)
      (*file_)[child(to) + i] = (*file_)[child(from) + i];
  }
  void drop_last() {
    (*file_)[begin_ + kEndOfNodesAt] = static_cast<char>((*file_)[begin_ + kEndOfNodesAt] - 2);
  }

 private:
  static constexpr std::size_t kPageBytes = 4096;
  static constexpr std::size_t kEndOfNodesAt = 12;
  static constexpr std::size_t kNodesAt = 16;
  static constexpr std::size_t kChildBytes = 6;

  std::size_t number(std::size_t at) const {
    const auto byte = [this, at](std::size_t i) {
      return static_cast<std::size_t>(static_cast<unsigned char>((*file_)[begin_ + at + i]));
    };
    return byte(0) | byte(1) << 8;
  }

  std::string* file_;
  std::size_t begin_ = 0;
};

TEST_F(StoreTest, ATreeThatLeadsElsewhereIsCorrupt) {
  {
    Batch batch;
    for (int i = 1000; i < 1400; ++i) {
      batch.writes.push_back({Table::records, std::to_string(i), std::string(100, 'x')});
    }
    ASSERT_TRUE(open()->commit(batch).has_value());
  }
  std::ifstream file(file_, std::ios::binary);
  const std::string whole{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  const auto scanned = [&](const std::string& bytes) -> Result<void> {
    std::ofstream(file_, std::ios::binary | std::ios::trunc) << bytes;
    const Result<std::unique_ptr<Store>> store = Store::open(directory_, Options{});
    if (!store) return store.error();
    return (*store)->scan(Table::records, "", "",
                          [](std::string_view, std::string_view) { return true; });
  };
  ASSERT_TRUE(scanned(whole));
  std::string damaged = whole;
  ASSERT_GT(BranchPage(damaged).children(), 5U);
  BranchPage(damaged).exchange(1, 2);
  EXPECT_EQ(scanned(damaged).error().code, Errc::corrupt);
  damaged = whole;
  BranchPage(damaged).copy(1, 2);
  EXPECT_EQ(scanned(damaged).error().code, Errc::corrupt);
  damaged = whole;
  BranchPage(damaged).drop_last();
  EXPECT_EQ(scanned(damaged).error().code, Errc::corrupt);
}

// Changes the store's version by LMDB itself.
void write_version(const std::string& file, const std::string& version) {
  MDB_env* environment = nullptr;
  MDB_txn* transaction = nullptr;
  MDB_dbi table = 0;
  MDB_val key{7, const_cast<char*>("version")};
  MDB_val value{version.size(), const_cast<char*>(version.data())};
  ASSERT_EQ(mdb_env_create(&environment), 0);
  ASSERT_EQ(mdb_env_set_maxdbs(environment, 8), 0);
  ASSERT_EQ(mdb_env_open(environment, file.c_str(), MDB_NOSUBDIR, 0600), 0);
  ASSERT_EQ(mdb_txn_begin(environment, nullptr, 0, &transaction), 0);
  ASSERT_EQ(mdb_dbi_open(transaction, "format", MDB_CREATE, &table), 0);
  ASSERT_EQ(mdb_put(transaction, table, &key, &value, 0), 0);
  ASSERT_EQ(mdb_txn_commit(transaction), 0);
  mdb_env_close(environment);
}

TEST_F(StoreTest, AnotherVersionIsRefused) {
  open();
  write_version(file_, std::string("\x02\0\0\0", 4));
  const Error error = open_error();
  EXPECT_EQ(error.code, Errc::refused);
  EXPECT_NE(error.message.find("version 2"), std::string::npos) << error.message;
}

TEST_F(StoreTest, AnotherProgramsLmdbFileIsCorrupt) {
  std::filesystem::create_directory(directory_);
  MDB_env* environment = nullptr;
  ASSERT_EQ(mdb_env_create(&environment), 0);
  ASSERT_EQ(mdb_env_open(environment, file_.c_str(), MDB_NOSUBDIR, 0600), 0);
  mdb_env_close(environment);
  const Error error = open_error();
  EXPECT_EQ(error.code, Errc::corrupt);
  EXPECT_NE(error.message.find("not one of this program's"), std::string::npos);
}

}  // namespace
}  // namespace conclave::lmdb
