#include "conclave/wal/log.h"

#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "conclave/base/crc32c.h"
#include "conclave/wal/recovery.h"

#include "tests/support/simulated_disk.h"

namespace conclave::wal {
namespace {

using test::SimulatedDisk;
using Kind = SimulatedDisk::Operation::Kind;

Options small_segments() {
  Options options;
  options.segment_bytes = 1024;
  options.zero_ahead_bytes = 256;
  options.metadata = "member 7";
  return options;
}

raft::Entry entry_at(raft::Index index, raft::Term term, std::string payload = "value") {
  return {
      .term = term, .index = index, .kind = raft::EntryKind::normal, .payload = std::move(payload)};
}

std::vector<raft::Entry> entries_between(raft::Index first, raft::Index last, raft::Term term) {
  std::vector<raft::Entry> entries;
  for (raft::Index index = first; index <= last; ++index) entries.push_back(entry_at(index, term));
  return entries;
}

class LogTest : public testing::Test {
 protected:
  Recovered open(const Options& options = small_segments()) {
    Result<Recovered> recovered = Log::open(disk_, "/log", options);
    EXPECT_TRUE(recovered.has_value()) << recovered.error().message;
    return *std::move(recovered);
  }
  void append_and_sync(Log& log, const std::vector<raft::Entry>& entries) {
    ASSERT_TRUE(log.append(entries, std::nullopt).has_value());
    const Result<raft::Index> synced = log.sync();
    ASSERT_TRUE(synced.has_value());
    EXPECT_EQ(*synced, log.last_index());
  }
  SimulatedDisk disk_;
};

TEST_F(LogTest, ANewLogIsEmptyAndKeepsItsMetadata) {
  {
    const Recovered recovered = open();
    EXPECT_TRUE(recovered.created);
    EXPECT_EQ(recovered.metadata, "member 7");
    EXPECT_TRUE(recovered.entries.empty());
    EXPECT_EQ(recovered.hard_state, raft::HardState{});
  }
  Options other = small_segments();
  other.metadata = "somebody else";
  const Recovered recovered = open(other);
  EXPECT_FALSE(recovered.created);
  EXPECT_EQ(recovered.metadata, "member 7");
}

TEST_F(LogTest, EntriesAndHardStateComeBackOverManySegments) {
  const raft::HardState hard_state{.term = 3, .vote = 2, .commit = 90};
  {
    Recovered recovered = open();
    append_and_sync(*recovered.log, entries_between(1, 50, 2));
    ASSERT_TRUE(recovered.log->append(entries_between(51, 100, 3), hard_state).has_value());
    ASSERT_TRUE(recovered.log->sync().has_value());
    EXPECT_GT(recovered.log->segment_count(), 3U);
  }
  const Recovered recovered = open();
  std::vector<raft::Entry> expected = entries_between(1, 50, 2);
  for (const raft::Entry& entry : entries_between(51, 100, 3)) expected.push_back(entry);
  EXPECT_EQ(recovered.entries, expected);
  EXPECT_EQ(recovered.hard_state, hard_state);
  EXPECT_EQ(recovered.log->last_index(), 100U);
}

TEST_F(LogTest, AnEntryReplacesAllFromItsIndexOn) {
  {
    Recovered recovered = open();
    append_and_sync(*recovered.log, entries_between(1, 60, 1));
    append_and_sync(*recovered.log, {entry_at(20, 2, "new")});
    EXPECT_EQ(recovered.log->last_index(), 20U);
  }
  const Recovered recovered = open();
  ASSERT_EQ(recovered.entries.size(), 20U);
  EXPECT_EQ(recovered.entries.back(), entry_at(20, 2, "new"));
  EXPECT_EQ(recovered.entries[18], entry_at(19, 1));
}

TEST_F(LogTest, NothingIsWrittenBeforeSyncAndOneBatchIsOneWriteAndOneSync) {
  Options options = small_segments();
  options.segment_bytes = 1 << 16;
  options.zero_ahead_bytes = 1 << 16;
  Recovered recovered = open(options);
  append_and_sync(*recovered.log, entries_between(1, 2, 1));
  const std::size_t before = disk_.operations().size();
  ASSERT_TRUE(recovered.log->append(entries_between(3, 10, 1), std::nullopt).has_value());
  ASSERT_TRUE(
      recovered.log
          ->append(entries_between(11, 20, 1), raft::HardState{.term = 1, .vote = 1, .commit = 5})
          .has_value());
  EXPECT_EQ(disk_.operations().size(), before);
  EXPECT_GT(recovered.log->pending_bytes(), 0U);
  ASSERT_TRUE(recovered.log->sync().has_value());
  EXPECT_EQ(recovered.log->pending_bytes(), 0U);
  ASSERT_EQ(disk_.operations().size(), before + 2);
  EXPECT_EQ(disk_.operations()[before].kind, Kind::write);
  EXPECT_EQ(disk_.operations()[before + 1].kind, Kind::sync);
  ASSERT_TRUE(recovered.log->sync().has_value());
  EXPECT_EQ(disk_.operations().size(), before + 2) << "an empty batch costs nothing";
}

TEST_F(LogTest, AnEntryLargerThanASegmentGetsItsOwn) {
  const std::string large(5000, 'x');
  {
    Recovered recovered = open();
    append_and_sync(*recovered.log, {entry_at(1, 1), entry_at(2, 1, large), entry_at(3, 1)});
  }
  const Recovered recovered = open();
  ASSERT_EQ(recovered.entries.size(), 3U);
  EXPECT_EQ(recovered.entries[1].payload, large);
}

TEST_F(LogTest, ReleasedSegmentsAreUsedAgainAndTheRestStays) {
  {
    Recovered recovered = open();
    Log& log = *recovered.log;
    append_and_sync(log, entries_between(1, 100, 1));
    const std::size_t files = disk_.model().list("/log").size();
    const std::size_t segments = log.segment_count();
    ASSERT_TRUE(log.release(80).has_value());
    EXPECT_LT(log.segment_count(), segments);
    EXPECT_LT(disk_.model().list("/log").size(), files);
    EXPECT_EQ(disk_.model().list("/log").size(), log.segment_count() + 2) << "two spares";
    const std::size_t before = disk_.operations().size();
    append_and_sync(log, entries_between(101, 125, 1));
    for (std::size_t i = before; i < disk_.operations().size(); ++i) {
      EXPECT_NE(disk_.operations()[i].kind, Kind::create);
    }
  }
  Options options = small_segments();
  options.must_reach = 80;
  const Recovered recovered = open(options);
  EXPECT_GT(recovered.previous_index, 50U);
  EXPECT_LE(recovered.previous_index, 80U);
  EXPECT_EQ(recovered.previous_term, 1U);
  EXPECT_EQ(recovered.entries, entries_between(recovered.previous_index + 1, 125, 1));
}

TEST_F(LogTest, APreparedSegmentSparesTheSyncItsCreation) {
  Recovered recovered = open();
  ASSERT_TRUE(recovered.log->prepare_next_segment().has_value());
  const std::size_t before = disk_.operations().size();
  ASSERT_TRUE(recovered.log->prepare_next_segment().has_value());
  EXPECT_EQ(disk_.operations().size(), before) << "one is enough";
  append_and_sync(*recovered.log, entries_between(1, 25, 1));
  EXPECT_EQ(recovered.log->segment_count(), 2U);
  for (std::size_t i = before; i < disk_.operations().size(); ++i) {
    EXPECT_NE(disk_.operations()[i].kind, Kind::create);
    EXPECT_NE(disk_.operations()[i].kind, Kind::sync_directory);
  }
}

TEST_F(LogTest, RestartsAfterASnapshot) {
  {
    Recovered recovered = open();
    append_and_sync(*recovered.log, entries_between(1, 30, 1));
    ASSERT_TRUE(recovered.log->restart_after(1000, 4).has_value());
    append_and_sync(*recovered.log, {entry_at(1001, 5)});
    ASSERT_TRUE(recovered.log->release(1000).has_value());
    EXPECT_EQ(recovered.log->segment_count(), 1U);
  }
  const Recovered recovered = open();
  EXPECT_EQ(recovered.previous_index, 1000U);
  EXPECT_EQ(recovered.previous_term, 4U);
  EXPECT_EQ(recovered.entries, std::vector{entry_at(1001, 5)});
}

TEST_F(LogTest, ASecondOpenIsRefused) {
  const Recovered recovered = open();
  const Result<Recovered> second = Log::open(disk_, "/log", small_segments());
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, Errc::unavailable);
}

// Of its closing mark, too, a failed sync may have left only what the cache shows.
TEST_F(LogTest, AClosedLogRefusesAllAndIsSurelySyncedWhenItOpens) {
  {
    Recovered recovered = open();
    append_and_sync(*recovered.log, entries_between(1, 5, 1));
    ASSERT_TRUE(recovered.log->close().has_value());
    EXPECT_FALSE(recovered.log->append({}, std::nullopt).has_value());
    EXPECT_FALSE(recovered.log->sync().has_value());
  }
  const std::size_t before = disk_.operations().size();
  const Recovered recovered = open();
  EXPECT_EQ(recovered.entries.size(), 5U);
  std::vector<Kind> done;
  for (std::size_t i = before; i < disk_.operations().size(); ++i) {
    done.push_back(disk_.operations()[i].kind);
  }
  EXPECT_EQ(std::ranges::count(done, Kind::write), 1) << "the mark, once more";
  ASSERT_FALSE(done.empty());
  EXPECT_EQ(done.back(), Kind::sync);
}

class DamagedLogTest : public LogTest {
 protected:
  void expect_corrupt(const Options& options, const std::string& words) {
    const Result<Recovered> recovered = Log::open(disk_, "/log", options);
    ASSERT_FALSE(recovered.has_value());
    EXPECT_EQ(recovered.error().code, Errc::corrupt);
    EXPECT_NE(recovered.error().message.find(words), std::string::npos)
        << recovered.error().message;
  }
  // Appends a record to the first segment that a log would not write.
  template <class Encode>
  void forge(Encode encode) {
    const Result<Recovery> found = read_log(disk_, "/log", std::nullopt);
    ASSERT_TRUE(found.has_value());
    std::string record;
    encode(record, found->chain);
    Result<std::unique_ptr<File>> file = disk_.open("/log/" + segment_name(1));
    ASSERT_TRUE(file.has_value() && (*file)->write(found->end.offset, record).has_value());
  }
};

TEST_F(DamagedLogTest, ALogThatEndsBeforeTheStoreIsCorrupt) {
  {
    Recovered recovered = open();
    append_and_sync(*recovered.log, entries_between(1, 5, 1));
  }
  Options options = small_segments();
  options.must_reach = 5;
  open(options);
  options.must_reach = 6;
  expect_corrupt(options, "ends at index 5");
}

TEST_F(DamagedLogTest, ALogThatBeginsAfterTheStoreIsCorrupt) {
  {
    Recovered recovered = open();
    append_and_sync(*recovered.log, entries_between(1, 100, 1));
    ASSERT_TRUE(recovered.log->release(80).has_value());
  }
  Options options = small_segments();
  options.must_reach = 20;
  expect_corrupt(options, "begins after index");
}

TEST_F(DamagedLogTest, AMissingLogOrSegmentIsCorrupt) {
  {
    Recovered recovered = open();
    append_and_sync(*recovered.log, entries_between(1, 60, 1));
    ASSERT_GE(recovered.log->segment_count(), 3U);
  }
  ASSERT_TRUE(disk_.remove("/log/" + segment_name(2)).has_value());
  expect_corrupt(small_segments(), "the segment before it is missing");
  for (const std::string& name : disk_.model().list("/log")) {
    ASSERT_TRUE(disk_.remove("/log/" + name).has_value());
  }
  Options options = small_segments();
  options.must_reach = 1;
  expect_corrupt(options, "there is no log");
}

TEST_F(DamagedLogTest, ARecordOfAnUnknownTypeIsRefusedNotCut) {
  {
    Recovered recovered = open();
    append_and_sync(*recovered.log, entries_between(1, 3, 1));
  }
  forge([](std::string& out, std::uint32_t chain) {
    encode_place(out, 1, chain, static_cast<RecordType>(77), 1, 1);
  });
  const Result<Recovered> recovered = Log::open(disk_, "/log", small_segments());
  ASSERT_FALSE(recovered.has_value());
  EXPECT_EQ(recovered.error().code, Errc::refused);
  EXPECT_NE(recovered.error().message.find("type 77"), std::string::npos);
}

TEST_F(DamagedLogTest, AnEntryOfAnUnknownKindIsRefusedNotTakenForAnother) {
  {
    Recovered recovered = open();
    raft::Entry later{
        .term = 1, .index = 1, .kind = static_cast<raft::EntryKind>(2), .payload = {}};
    append_and_sync(*recovered.log, {later});
  }
  const Result<Recovered> recovered = Log::open(disk_, "/log", small_segments());
  ASSERT_FALSE(recovered.has_value());
  EXPECT_EQ(recovered.error().code, Errc::refused);
}

TEST_F(DamagedLogTest, ALogThatEndsBeforeItsCommitIndexIsCorrupt) {
  {
    Recovered recovered = open();
    append_and_sync(*recovered.log, entries_between(1, 3, 1));
  }
  forge([](std::string& out, std::uint32_t chain) {
    encode_hard_state(out, 1, chain, {.term = 1, .vote = 1, .commit = 4});
  });
  expect_corrupt(small_segments(), "index 4 was committed");
}

TEST_F(DamagedLogTest, ATornTailIsCutAndOverwritten) {
  {
    Recovered recovered = open();
    append_and_sync(*recovered.log, entries_between(1, 3, 1));
    append_and_sync(*recovered.log, entries_between(4, 6, 1));
  }
  const Result<Recovery> found = read_log(disk_, "/log", std::nullopt);
  ASSERT_TRUE(found.has_value());
  // The first record of the last batch, behind its mark.
  disk_.flip_bit("/log/" + segment_name(1), (found->last_batch + kMarkBytes + 20) * 8);
  {
    Recovered recovered = open();
    EXPECT_EQ(recovered.entries, entries_between(1, 3, 1));
    append_and_sync(*recovered.log, {entry_at(4, 2)});
  }
  EXPECT_EQ(open().entries.back(), entry_at(4, 2));
}

// The sector of the batch's mark was lost, and its entries were not. The same first entry comes
// again.
TEST_F(DamagedLogTest, WhatStoodBehindATornRecordNeverComesBack) {
  {
    Recovered recovered = open();
    append_and_sync(*recovered.log, entries_between(1, 3, 1));
    append_and_sync(*recovered.log, entries_between(4, 6, 1));
  }
  const Result<Recovery> found = read_log(disk_, "/log", std::nullopt);
  ASSERT_TRUE(found.has_value());
  disk_.flip_bit("/log/" + segment_name(1), found->last_batch * 8);
  {
    Recovered recovered = open();
    EXPECT_EQ(recovered.entries, entries_between(1, 3, 1));
    append_and_sync(*recovered.log, entries_between(4, 4, 1));
  }
  EXPECT_EQ(open().entries, entries_between(1, 4, 1));
}

}  // namespace
}  // namespace conclave::wal
