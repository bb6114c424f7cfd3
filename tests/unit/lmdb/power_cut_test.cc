// Records what LMDB really writes and syncs, and opens the store as power cuts would leave it.
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "conclave/base/bytes.h"
#include "conclave/base/random.h"
#include "conclave/lmdb/store.h"

#include "tests/support/disk_model.h"
#include "tests/support/disk_recorder.h"
#include "tests/support/fresh_directory.h"

namespace conclave::lmdb {
namespace {

using mvcc::Batch;
using mvcc::Table;
using test::DiskModel;
using test::DiskRecorder;
using test::FreshDirectory;

constexpr std::uint64_t kPageBytes = 4096;
constexpr std::uint64_t kSyncedFlag = 1ULL << 32;  // of a note: up to this commit all is sure

using Contents = std::map<std::string, std::string>;

// Every commit's contents, the empty store's first; what was recorded, with a note after each
// commit.
struct History {
  std::vector<Contents> states = {Contents{}};
  std::vector<DiskRecorder::Operation> operations;
};

void commit_and_note(Store& store, Random& random, DiskRecorder& recorder, History& history) {
  const std::uint64_t number = history.states.size();
  Contents contents = history.states.back();
  Batch batch;
  for (std::uint64_t i = 0; i < 1 + random.below(8); ++i) {
    std::string key;
    append_be(key, number * 100 + i);
    contents[key] = std::string(random.below(random.chance(1, 10) ? 20000 : 600), 'v');
    batch.writes.push_back({Table::records, key, contents[key]});
  }
  // Compaction removes old records; LMDB then uses their pages again.
  while (contents.size() > 60) {
    batch.writes.push_back({Table::records, contents.begin()->first, std::nullopt});
    contents.erase(contents.begin());
  }
  batch.writes.push_back({Table::meta, "applied", std::to_string(number)});
  ASSERT_TRUE(store.commit(batch).has_value());
  history.states.push_back(std::move(contents));
  recorder.note(number);
}

History record_history(const std::string& directory, std::uint64_t seed, int commits) {
  History history;
  Random random(seed);
  DiskRecorder recorder(directory);
  {
    Result<std::unique_ptr<Store>> store = Store::open(directory, Options{});
    EXPECT_TRUE(store.has_value());
    for (int i = 0; i < commits && !testing::Test::HasFatalFailure(); ++i) {
      commit_and_note(**store, random, recorder, history);
      const bool defragments = random.chance(1, 12);
      if (defragments || random.chance(1, 10)) {
        EXPECT_TRUE((defragments ? (*store)->defragment() : (*store)->sync()).has_value());
        recorder.note((history.states.size() - 1) | kSyncedFlag);
      }
    }
  }
  history.operations = recorder.operations();
  return history;
}

class Checker {
 public:
  Checker(std::string directory, const History& history)
      : directory_(std::move(directory)), history_(history) {}

  // Opens the image of a cut: it must hold commit `low` at least and `high` at most, as a whole.
  void check(const DiskModel& model, std::uint64_t low, std::uint64_t high) {
    ++images;
    const FreshDirectory fresh = FreshDirectory::in_memory();
    test::write_image(model, directory_, fresh.path());
    Result<std::unique_ptr<Store>> store = Store::open(fresh.path(), Options{});
    ASSERT_TRUE(store.has_value()) << store.error().message;
    const auto applied = (*store)->get(Table::meta, "applied");
    ASSERT_TRUE(applied.has_value()) << applied.error().message;
    const std::uint64_t number = applied->has_value() ? std::stoull(**applied) : 0;
    ASSERT_GE(number, low);
    ASSERT_LE(number, high);
    if (number < high) ++behind;
    Contents found;
    const auto scanned =
        (*store)->scan(Table::records, "", "", [&](std::string_view key, std::string_view value) {
          found.emplace(key, value);
          return true;
        });
    ASSERT_TRUE(scanned.has_value()) << scanned.error().message;
    ASSERT_EQ(found, history_.states[number]);
    Batch batch;
    batch.writes.push_back({Table::meta, "after", "the cut"});
    ASSERT_TRUE((*store)->commit(batch).has_value());
    ASSERT_TRUE((*store)->size_in_use_bytes() <= (*store)->size_bytes());
  }

  std::uint64_t images = 0;
  std::uint64_t behind = 0;

 private:
  const std::string directory_;
  const History& history_;
};

TEST(LmdbPowerCut, AtEachWriteAtMostTheLastCommitIsLost) {
  std::uint64_t images = 0;
  std::uint64_t behind = 0;
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    const FreshDirectory fresh = FreshDirectory::in_memory();
    const History history = record_history(fresh.path(), seed, 50);
    ASSERT_FALSE(HasFatalFailure());
    Random random(seed);
    DiskModel model;
    Checker checker(fresh.path(), history);
    std::uint64_t committed = 0;
    std::uint64_t sure = 0;
    for (const DiskRecorder::Operation& operation : history.operations) {
      if (operation.kind == DiskRecorder::Operation::Kind::note) {
        committed = operation.offset & ~kSyncedFlag;
        sure = std::max(sure, (operation.offset & kSyncedFlag) != 0 ? committed : committed - 1);
      }
      DiskRecorder::replay(operation, model);
      if (!model.has_unsynced()) continue;
      for (int cut = 0; cut < 6; ++cut) {
        DiskModel image = model;
        if (cut == 0) {
          image.power_cut_dropping_all_unsynced();
        } else {
          image.power_cut(random, cut < 4 ? kPageBytes : 512);
        }
        SCOPED_TRACE("seed " + std::to_string(seed) + ", after commit " +
                     std::to_string(committed) + ", cut " + std::to_string(cut));
        ASSERT_NO_FATAL_FAILURE(checker.check(image, sure, committed + 1));
      }
    }
    EXPECT_EQ(committed, 50U);
    images += checker.images;
    behind += checker.behind;
  }
  EXPECT_GT(images, 2000U);
  EXPECT_GT(behind, 100U) << "the cuts lost nothing: is the recorder in place?";
}

TEST(LmdbPowerCut, AfterASyncNothingIsLost) {
  const FreshDirectory fresh = FreshDirectory::in_memory();
  const History history = record_history(fresh.path(), 9, 10);
  DiskModel model;
  Checker checker(fresh.path(), history);
  std::uint64_t synced = 0;
  for (const DiskRecorder::Operation& operation : history.operations) {
    DiskRecorder::replay(operation, model);
    if (operation.kind != DiskRecorder::Operation::Kind::note) continue;
    if ((operation.offset & kSyncedFlag) == 0) continue;
    ++synced;
    const std::uint64_t number = operation.offset & ~kSyncedFlag;
    DiskModel image = model;
    image.power_cut_dropping_all_unsynced();
    ASSERT_NO_FATAL_FAILURE(checker.check(image, number, number));
  }
  EXPECT_GT(synced, 0U);
}

}  // namespace
}  // namespace conclave::lmdb
