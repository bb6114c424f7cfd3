#include <cstdint>
#include <optional>
#include <string>

#include <gtest/gtest.h>

#include "conclave/base/random.h"
#include "conclave/wal/log.h"
#include "conclave/wal/recovery.h"

#include "tests/support/simulated_disk.h"
#include "tests/unit/wal/workload.h"

namespace conclave::wal {
namespace {

using test::DiskModel;
using test::SimulatedDisk;

Options options_at(std::optional<raft::Index> must_reach) {
  Options options = Workload::options();
  options.must_reach = must_reach;
  return options;
}

std::string describe(const Recovered& recovered, const Workload& workload) {
  const auto line = [](raft::Index previous, raft::Term term, std::size_t count,
                       const raft::HardState& hard_state) {
    return "after (" + std::to_string(previous) + ", term " + std::to_string(term) + ") " +
           std::to_string(count) + " entries; term " + std::to_string(hard_state.term) + ", vote " +
           std::to_string(hard_state.vote) + ", commit " + std::to_string(hard_state.commit) + "\n";
  };
  std::string text = "found " + line(recovered.previous_index, recovered.previous_term,
                                     recovered.entries.size(), recovered.hard_state);
  for (const LogState& state : workload.possible()) {
    text += "possible " +
            line(state.previous_index, state.previous_term, state.entries.size(), state.hard_state);
  }
  return text;
}

// What a node does after a cut: opens, goes on, and loses power again. What it was given must stay.
void reopen_and_go_on(SimulatedDisk& image, const Workload& workload) {
  LogState state;
  {
    Result<Recovered> recovered = Log::open(image, "/log", options_at(workload.must_reach()));
    ASSERT_TRUE(recovered.has_value()) << recovered.error().message;
    ASSERT_TRUE(workload.is_possible(*recovered)) << describe(*recovered, workload);
    state = {recovered->previous_index, recovered->previous_term, recovered->entries,
             recovered->hard_state};
    image.power_cut_dropping_all_unsynced();
  }
  {
    Result<Recovered> recovered = Log::open(image, "/log", options_at(workload.must_reach()));
    ASSERT_TRUE(recovered.has_value()) << recovered.error().message;
    ASSERT_TRUE(state.matches(*recovered)) << "what was handed out was not durable";
    const raft::Entry entry{.term = state.hard_state.term,
                            .index = state.last_index() + 1,
                            .kind = raft::EntryKind::normal,
                            .payload = "after"};
    ASSERT_TRUE(recovered->log->append({&entry, 1}, std::nullopt).has_value());
    ASSERT_TRUE(recovered->log->sync().has_value());
    state.entries.push_back(entry);
    image.power_cut_dropping_all_unsynced();
  }
  Result<Recovered> recovered = Log::open(image, "/log", options_at(workload.must_reach()));
  ASSERT_TRUE(recovered.has_value()) << recovered.error().message;
  ASSERT_TRUE(state.matches(*recovered)) << "records of an earlier life came back";
}

TEST(PowerCut, AtEachWriteAndSyncInTurn) {
  std::uint64_t images = 0;
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    SimulatedDisk disk;
    Workload workload(disk, seed);
    Random random(seed * 1000);
    disk.on_operation([&](const SimulatedDisk::Operation& operation) {
      if (!disk.model().has_unsynced() || testing::Test::HasFatalFailure()) return;
      for (int cut = 0; cut < 6; ++cut) {
        SimulatedDisk image(disk.model());
        if (cut == 0) {
          image.power_cut_dropping_all_unsynced();
        } else {
          image.power_cut(random);
        }
        ++images;
        SCOPED_TRACE("seed " + std::to_string(seed) + ", before call " +
                     std::to_string(disk.operations().size()) + " on " + operation.path + ", cut " +
                     std::to_string(cut));
        reopen_and_go_on(image, workload);
      }
    });
    const Result<void> run = workload.run(150);
    ASSERT_TRUE(run.has_value()) << run.error().message;
    ASSERT_FALSE(HasFatalFailure());
  }
  EXPECT_GT(images, 5000U);
}

TEST(PowerCut, WhileOpeningAfterACut) {
  std::uint64_t images = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SimulatedDisk disk;
    Workload workload(disk, seed);
    Random random(seed);
    ASSERT_TRUE(workload.run(40 + static_cast<int>(random.below(40))).has_value());
    // Leave a batch in the air: written, not synced.
    SimulatedDisk cut(disk.model());
    disk.on_operation([&](const SimulatedDisk::Operation& operation) {
      if (operation.kind == SimulatedDisk::Operation::Kind::sync) {
        cut = SimulatedDisk(disk.model());
      }
    });
    ASSERT_TRUE(workload.log()->sync().has_value());
    cut.power_cut(random);
    cut.on_operation([&](const SimulatedDisk::Operation&) {
      if (!cut.model().has_unsynced() || testing::Test::HasFatalFailure()) return;
      for (int again = 0; again < 3; ++again) {
        SimulatedDisk image(cut.model());
        image.power_cut(random);
        ++images;
        reopen_and_go_on(image, workload);
      }
    });
    Result<Recovered> recovered = Log::open(cut, "/log", options_at(workload.must_reach()));
    ASSERT_TRUE(recovered.has_value()) << recovered.error().message;
    ASSERT_FALSE(HasFatalFailure()) << "seed " << seed;
  }
  EXPECT_GT(images, 200U);
}

TEST(DiskFault, EachCallInTurnStopsTheLogAndLosesNothing) {
  using Fault = SimulatedDisk::Fault;
  std::uint64_t faults = 0;
  for (const Fault fault : {Fault::io_error, Fault::no_space, Fault::short_write}) {
    for (std::uint64_t call = 0;; ++call) {
      SimulatedDisk disk;
      Workload workload(disk, 77);
      disk.fail_call(call, fault);
      const Result<void> run = workload.run(150);
      if (!disk.fault_happened()) break;
      ++faults;
      SCOPED_TRACE("call " + std::to_string(call) + " on " + disk.operations()[call].path);
      if (disk.operations()[call].kind == SimulatedDisk::Operation::Kind::reserve) {
        // Only an advance that the log can do without.
        ASSERT_TRUE(run.has_value());
        continue;
      }
      ASSERT_FALSE(run.has_value());
      ASSERT_EQ(run.error().code, Errc::io);
      if (Log* log = workload.log()) {
        const std::size_t calls = disk.operations().size();
        EXPECT_EQ(log->sync().error(), run.error());
        EXPECT_EQ(log->append({}, raft::HardState{}).error(), run.error());
        EXPECT_EQ(log->release(0).error(), run.error());
        EXPECT_EQ(log->prepare_next_segment().error(), run.error());
        EXPECT_EQ(log->restart_after(1, 1).error(), run.error());
        EXPECT_EQ(log->close().error(), run.error());
        EXPECT_EQ(disk.operations().size(), calls) << "the disk was touched after a failure";
      }
      // The process ends and starts anew on the same cache.
      disk.kill_process();
      ASSERT_NO_FATAL_FAILURE(reopen_and_go_on(disk, workload));
    }
  }
  EXPECT_GT(faults, 500U);
}

TEST(DiskFault, AFullDiskIsAnErrorAndAllSyncedIsThereAfterMoreSpace) {
  for (std::uint64_t limit = 256; limit < 12000; limit += 97) {
    SimulatedDisk disk;
    Workload workload(disk, 5);
    disk.limit_size(limit);
    const Result<void> run = workload.run(2000);
    ASSERT_FALSE(run.has_value());
    EXPECT_NE(run.error().message.find("No space left"), std::string::npos);
    disk.limit_size(1 << 20);
    disk.kill_process();
    SCOPED_TRACE("limit " + std::to_string(limit));
    ASSERT_NO_FATAL_FAILURE(reopen_and_go_on(disk, workload));
  }
}

// Every bit of what surely was synced, flipped in turn.
void expect_each_flip_is_corrupt(const SimulatedDisk& disk, std::uint64_t last_end) {
  const Result<Recovery> found = [&] {
    SimulatedDisk copy(disk.model());
    return read_log(copy, "/log", std::nullopt);
  }();
  ASSERT_TRUE(found.has_value());
  ASSERT_GE(found->segments.size(), 3U);
  std::uint64_t flips = 0;
  for (const Recovery::Segment& segment : found->segments) {
    const std::string path = "/log/" + segment_name(segment.id);
    std::uint64_t bytes = last_end;
    if (segment.id != found->end.segment) {
      const std::string next = "/log/" + segment_name(segment.id + 1);
      bytes = decode_header(disk.model().contents(*disk.model().find(next))).header.previous_end;
    }
    for (std::uint64_t bit = 0; bit < bytes * 8; ++bit) {
      SimulatedDisk image(disk.model());
      image.flip_bit(path, bit);
      const DiskModel before = image.model();
      const Result<Recovered> recovered = Log::open(image, "/log", Workload::options());
      ASSERT_FALSE(recovered.has_value()) << path << " bit " << bit;
      ASSERT_EQ(recovered.error().code, Errc::corrupt) << recovered.error().message;
      ASSERT_NE(recovered.error().message.find("/log/0"), std::string::npos);
      for (const auto& [name, file] : before.names()) {
        ASSERT_EQ(before.contents(file), image.model().contents(*image.model().find(name)));
      }
      ++flips;
    }
  }
  EXPECT_GT(flips, 10000U);
}

TEST(BitRot, BelowTheLastMarkIsAlwaysDetected) {
  SimulatedDisk disk;
  Workload workload(disk, 3);
  ASSERT_TRUE(workload.run(55).has_value());
  ASSERT_TRUE(workload.log()->append({}, raft::HardState{.term = 90, .vote = 1}).has_value());
  ASSERT_TRUE(workload.log()->sync().has_value());
  disk.kill_process();
  const Result<Recovery> found = read_log(disk, "/log", std::nullopt);
  ASSERT_TRUE(found.has_value());
  expect_each_flip_is_corrupt(disk, found->last_batch);
}

TEST(BitRot, AfterAnOrderlyCloseTheLastBatchIsCoveredToo) {
  SimulatedDisk disk;
  Workload workload(disk, 4);
  ASSERT_TRUE(workload.run(55).has_value());
  ASSERT_TRUE(workload.log()->close().has_value());
  const Result<Recovery> found = read_log(disk, "/log", std::nullopt);
  ASSERT_TRUE(found.has_value());
  ASSERT_TRUE(found->closed);
  expect_each_flip_is_corrupt(disk, found->end.offset - kMarkBytes);
}

}  // namespace
}  // namespace conclave::wal
