// A member so far behind that it is sent a snapshot, killed while that comes and takes the place of
// what it had.

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <map>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "conclave/base/random.h"

#include "tests/faults/cluster_rounds.h"

namespace conclave::test {
namespace {

using namespace std::chrono_literals;

constexpr ConclaveCluster::Timers kTimers{50, 500};

class ClusterInstall : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(cluster_.wait_until_ready());
    leader_ = cluster_.wait_for_leader();
    victim_ = (leader_ + 1) % cluster_.size();
  }
  // The victim is away while more is written than a log keeps for members that are behind.
  void leave_behind() {
    constexpr int kWrites = 3000;
    constexpr std::size_t kBytes = 20'000;
    if (cluster_.runs(victim_)) cluster_.kill(victim_);
    const auto told = cluster_.read(leader_, /*serializable=*/false, 5s);
    ASSERT_TRUE(told) << told.error().message;
    ASSERT_EQ(write_many({cluster_.endpoint(leader_)}, kWrites, kBytes), kWrites);
    // A store of one size, however often this happens.
    ASSERT_TRUE(cluster_.client().compact(told->header().revision(), /*physical=*/true));
  }
  bool has(const std::string& name) const {
    return std::filesystem::exists(cluster_.data_dir(victim_) / name);
  }
  // Since it was left behind.
  bool is_installed() const { return cluster_.log(victim_).find(kInstalled, said_) != kNowhere; }
  // If it was killed in the middle, its next start does the rest without a word.
  bool has_begun() const { return is_installed() || has("installing"); }
  // What it was at when it was killed.
  std::string stage() const {
    if (is_installed()) return "after the installation";
    if (has("installing")) return has("replaced") ? "with stores exchanged" : "before the exchange";
    return has("incoming") ? "while it came" : "before it came";
  }
  // wait_until() would miss a step that takes a millisecond; on a busy machine this may, too.
  bool wait_for(const std::string& step) const {
    const auto end = std::chrono::steady_clock::now() + 30s;
    while (!has(step) && !is_installed()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(100us);
    }
    return true;
  }
  void kill_and_note() {
    cluster_.kill(victim_);
    ++stages_[stage()];
  }
  void expect_to_catch_up() {
    ASSERT_TRUE(cluster_.wait_until_ready()) << cluster_.log(victim_);
    EXPECT_TRUE(cluster_.wait_until_equal()) << cluster_.log(victim_);
    for (const char* bad : {"damaged", "without its data", "has acknowledged log entries"}) {
      EXPECT_FALSE(cluster_.says(victim_, bad)) << cluster_.log(victim_);
    }
  }
  void print_stages() const {
    for (const auto& [stage, count] : stages_) {
      std::printf("killed %d times %s\n", count, stage.c_str());
    }
  }

  static constexpr const char* kInstalled = "snapshot of another member was installed";
  static constexpr std::size_t kNowhere = std::string::npos;
  ConclaveCluster cluster_{3, kTimers};
  std::size_t leader_ = 0;
  std::size_t victim_ = 0;
  std::size_t said_ = 0;  // bytes of the victim's log before it was left behind
  std::map<std::string, int> stages_;
};

// Each start goes on from what the one before it has left.
TEST_F(ClusterInstall, AMemberKilledLaterEachTimeCatchesUp) {
  const std::chrono::milliseconds step{rounds(50, 10)};
  for (int cycle = 0; cycle < rounds(1, 5); ++cycle) {
    said_ = cluster_.log(victim_).size();
    ASSERT_NO_FATAL_FAILURE(leave_behind());
    constexpr auto kLatest = 5s;
    for (auto delay = step; !has_begun() && delay < kLatest; delay += step) {
      cluster_.start(victim_);
      std::this_thread::sleep_for(delay);
      kill_and_note();
    }
    EXPECT_TRUE(has_begun()) << cluster_.log(victim_);
    cluster_.start(victim_);
    ASSERT_NO_FATAL_FAILURE(expect_to_catch_up());
  }
  print_stages();
}

// The steps of an installation are short, and each shows in the data directory.
TEST_F(ClusterInstall, AMemberKilledAtEachStepCatchesUp) {
  Random random(3);
  for (int cycle = 0; cycle < rounds(1, 10); ++cycle) {
    for (const char* step : {"incoming", "installing", "replaced"}) {
      SCOPED_TRACE(step);
      said_ = cluster_.log(victim_).size();
      ASSERT_NO_FATAL_FAILURE(leave_behind());
      cluster_.start(victim_);
      ASSERT_TRUE(wait_for(step)) << cluster_.log(victim_);
      std::this_thread::sleep_for(std::chrono::microseconds(random.below(2000)));
      kill_and_note();
      cluster_.start(victim_);
      ASSERT_NO_FATAL_FAILURE(expect_to_catch_up());
    }
  }
  print_stages();
}

}  // namespace
}  // namespace conclave::test
