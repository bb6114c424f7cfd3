// Bits that are another than they were: in the store of a member that stands still, and in a saved
// snapshot.
//
// What is promised. Each value of the store has a checksum over its key and itself, and a member
// reads all of them when it starts. LMDB's own pages, which say where the values are, have none;
// but the records are in order and counted, so a tree that leads elsewhere is found out as well. A
// member of a cluster is then repaired from the others. What has no remedy is a bit of a page by
// which LMDB itself reads where nothing is: that ends the process, at each start, but serves nobody
// anything wrong.

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "conclave/base/random.h"

#include "tests/faults/cluster_rounds.h"
#include "tests/faults/command.h"

namespace conclave::test {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr ConclaveCluster::Timers kTimers{50, 500};
constexpr std::size_t kPageBytes = 4096;

std::string content_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void write(const fs::path& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << bytes;
  CONCLAVE_CHECK(file.flush().good(), "a file cannot be written");
}

class ClusterDamage : public ::testing::Test {
 protected:
  Ended conclave(std::vector<std::string> words) { return command_.run(std::move(words)); }

  TempDir scratch_;
  Command command_;
};

enum class Outcome { unaffected, repaired, refused, crashed, differs };

std::string name_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::unaffected:
      return "unaffected";
    case Outcome::repaired:
      return "repaired from the others";
    case Outcome::refused:
      return "refused";
    case Outcome::crashed:
      return "crashed";
    case Outcome::differs:
      return "different from the others";
  }
  return "";
}

// A bit of LMDB's file, and what kind of page it is in.
struct Place {
  std::string kind;
  std::size_t offset = 0;
  int bit = 0;

  std::string text() const {
    return kind + " page, byte " + std::to_string(offset % kPageBytes) + " of page " +
           std::to_string(offset / kPageBytes) + ", bit " + std::to_string(bit);
  }
};

// LMDB says it in each page but those in which a long value goes on.
std::string kind_of_page(const std::string& file, std::size_t page) {
  constexpr std::size_t kNumberBytes = 8;
  constexpr std::size_t kFlagsAt = 10;
  const std::size_t at = page * kPageBytes;
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < kNumberBytes; ++i) {
    number |= std::uint64_t{static_cast<unsigned char>(file[at + i])} << (8 * i);
  }
  if (number != page) return "long value's";
  switch (file[at + kFlagsAt] & 0x0f) {
    case 1:
      return "branch";
    case 2:
      return "leaf";
    case 4:
      return "long value's";
    case 8:
      return "meta";
    default:
      return "unused";
  }
}

// Some of each kind.
std::vector<Place> places_in(const std::string& file, std::size_t of_each, Random& random) {
  std::map<std::string, std::vector<std::size_t>> pages;
  for (std::size_t page = 0; page < file.size() / kPageBytes; ++page) {
    pages[kind_of_page(file, page)].push_back(page);
  }
  std::vector<Place> places;
  for (const auto& [kind, all] : pages) {
    for (std::size_t i = 0; i < of_each; ++i) {
      // Of a meta page only the beginning means something.
      const std::size_t meaning = kind == "meta" ? 168 : kPageBytes;
      places.push_back({kind, all[random.below(all.size())] * kPageBytes + random.below(meaning),
                        static_cast<int>(random.below(8))});
    }
  }
  return places;
}

class DamagedStore : public ClusterDamage {
 protected:
  void SetUp() override {
    ASSERT_TRUE(cluster_.wait_until_ready());
    ASSERT_EQ(write_many(cluster_.endpoints(), 6000, 300), 6000);
    ASSERT_EQ(write_many(cluster_.endpoints(), 20, 50'000), 20);
    victim_ = cluster_.wait_for_follower();
    ASSERT_EQ(cluster_.terminate(victim_), 0);
    fs::copy(cluster_.data_dir(victim_), whole_, fs::copy_options::recursive);
  }
  // What becomes of a member whose store has this bit flipped.
  Outcome start_with(const std::string& store, const Place& place) {
    cluster_.wipe(victim_);
    fs::copy(whole_, cluster_.data_dir(victim_), fs::copy_options::recursive);
    std::string damaged = store;
    damaged[place.offset] = static_cast<char>(damaged[place.offset] ^ (1 << place.bit));
    write(cluster_.data_dir(victim_) / "store" / "data.mdb", damaged);
    const std::size_t said_before = cluster_.log(victim_).size();
    cluster_.start(victim_);
    const bool decided = wait_until([&] {
      return !cluster_.runs(victim_) || cluster_.read(victim_, /*serializable=*/false, 1s);
    });
    said_ = cluster_.log(victim_).substr(said_before);
    EXPECT_TRUE(decided) << place.text() << "\n" << said_;
    const Outcome outcome = outcome_of_start();
    cluster_.kill(victim_);
    return outcome;
  }
  Outcome outcome_of_start() {
    if (!cluster_.runs(victim_)) {
      return WIFEXITED(*cluster_.ended(victim_)) ? Outcome::refused : Outcome::crashed;
    }
    const bool equal = cluster_.wait_until_equal(5s);
    if (!cluster_.runs(victim_)) return outcome_of_start();
    if (!equal) return Outcome::differs;
    const bool repaired = said_.find("this member is damaged") != std::string::npos;
    return repaired ? Outcome::repaired : Outcome::unaffected;
  }

  ConclaveCluster cluster_{3, kTimers};
  const fs::path whole_ = scratch_.path() / "whole";
  std::size_t victim_ = 0;
  std::string said_;  // by the member since it was started
};

TEST_F(DamagedStore, IsFoundOrChangesNothing) {
  const std::string store = content_of(whole_ / "store" / "data.mdb");
  Random random(7);
  std::map<std::string, std::map<std::string, int>> counts;
  for (const Place& place : places_in(store, static_cast<std::size_t>(rounds(3, 60)), random)) {
    SCOPED_TRACE(place.text());
    const Outcome outcome = start_with(store, place);
    ++counts[place.kind][name_of(outcome)];
    if (outcome == Outcome::refused || outcome == Outcome::crashed) {
      std::printf("%s: %s %s\n", place.text().c_str(), name_of(outcome).c_str(), said_.c_str());
    }
    EXPECT_NE(outcome, Outcome::differs) << said_;
    EXPECT_TRUE(place.kind != "long value's" || outcome == Outcome::repaired ||
                outcome == Outcome::unaffected)
        << said_;
  }
  for (const auto& [kind, outcomes] : counts) {
    for (const auto& [outcome, count] : outcomes) {
      std::printf("%s page: %d times %s\n", kind.c_str(), count, outcome.c_str());
    }
  }
}

class DamagedSnapshot : public ClusterDamage {
 protected:
  void SetUp() override {
    ConclaveCluster cluster(1, kTimers);
    ASSERT_TRUE(cluster.wait_until_ready());
    ASSERT_EQ(write_many(cluster.endpoints(), 2000, 100), 2000);
    ASSERT_TRUE(cluster.client().grant(1h));
    const Ended saved =
        conclave({"--endpoints", cluster.endpoint(0), "snapshot", "save", snapshot_.string()});
    ASSERT_EQ(saved.status, 0) << saved.output;
  }
  void expect_refused(const std::string& bytes, const std::string& what) {
    SCOPED_TRACE(what);
    const fs::path damaged = scratch_.path() / "damaged.snapshot";
    write(damaged, bytes);
    expect_one_error(conclave({"snapshot", "status", damaged.string()}));
    expect_one_error(restore(damaged));
    EXPECT_FALSE(fs::exists(restored_));
  }
  Ended restore(const fs::path& snapshot) {
    return conclave({"snapshot", "restore", snapshot.string(), "--name", "a", "--data-dir",
                     restored_.string()});
  }
  static void expect_one_error(const Ended& ended) {
    EXPECT_GT(ended.status, 0);
    EXPECT_LT(ended.status, 128) << "it died of a signal";
    EXPECT_EQ(std::ranges::count(ended.output, '\n'), 1) << ended.output;
    EXPECT_NE(ended.output.find("damaged"), std::string::npos) << ended.output;
  }

  const fs::path snapshot_ = scratch_.path() / "whole.snapshot";
  const fs::path restored_ = scratch_.path() / "restored";
};

TEST_F(DamagedSnapshot, IsRefusedWhereverABitIsFlipped) {
  const std::string whole = content_of(snapshot_);
  const std::size_t count = static_cast<std::size_t>(rounds(16, 400));
  for (std::size_t i = 0; i < count; ++i) {
    // The first and the last byte, and between them.
    const std::size_t offset = i * (whole.size() - 1) / (count - 1);
    std::string damaged = whole;
    damaged[offset] = static_cast<char>(damaged[offset] ^ (1 << (i % 8)));
    expect_refused(damaged,
                   "byte " + std::to_string(offset) + " of " + std::to_string(whole.size()));
  }
  EXPECT_EQ(conclave({"snapshot", "status", snapshot_.string()}).status, 0);
  EXPECT_EQ(restore(snapshot_).status, 0);
}

TEST_F(DamagedSnapshot, IsRefusedWhereverItIsCut) {
  const std::string whole = content_of(snapshot_);
  for (const std::size_t length : {std::size_t{0}, std::size_t{1}, std::size_t{20},
                                   whole.size() / 2, whole.size() - 40, whole.size() - 1}) {
    expect_refused(whole.substr(0, length), "cut to " + std::to_string(length) + " bytes");
  }
  expect_refused(whole + whole.substr(0, 1), "one byte more");
}

}  // namespace
}  // namespace conclave::test
