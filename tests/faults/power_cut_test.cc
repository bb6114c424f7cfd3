// One member on the machine's own disk and on LMDB. Every write and sync of both is recorded, and
// the member is started from what the disk would hold after a power cut at each write in turn.

#include <map>

#include <gtest/gtest.h>

#include "conclave/lmdb/store.h"

#include "tests/support/disk_recorder.h"
#include "tests/support/fresh_directory.h"
#include "tests/support/simulated_member.h"

namespace conclave::test {
namespace {

using etcdserverpb::PutRequest;
using etcdserverpb::PutResponse;
using std::chrono::milliseconds;
using Kind = DiskRecorder::Operation::Kind;

constexpr std::uint64_t kPageBytes = 4096;
constexpr int kKeys = 7;

// A member with its store, as one thing that can be started and dropped.
struct Node {
  std::unique_ptr<lmdb::Store> store;
  std::unique_ptr<SimulatedMember> member;

  static Result<Node> start(wal::Disk& disk, const std::string& directory, std::uint64_t seed) {
    Node node;
    auto store = lmdb::Store::open(directory + "/store", {.quota_bytes = 64 << 20});
    if (!store) return store.error();
    node.store = *std::move(store);
    SimulatedMember::Setup setup;
    setup.seed = seed;
    setup.log_directory = directory + "/log";
    // So small that segments are filled, released and used again.
    setup.log.segment_bytes = 16 << 10;
    setup.log.zero_ahead_bytes = 4 << 10;
    auto member = SimulatedMember::start(disk, *node.store, std::move(setup));
    if (!member) return member.error();
    node.member = *std::move(member);
    return node;
  }
};

std::string key_of(std::uint64_t number) {
  return "key" + std::to_string(number % kKeys);
}

// Puts numbers 1, 2, 3 … under a few keys, several under way at a time, with time passing and
// history going, and notes in the record which number was acknowledged when.
void record(const std::string& directory, DiskRecorder& recorder, std::uint64_t seed,
            std::uint64_t puts) {
  Random random(seed);
  wal::PosixDisk disk;
  auto node = Node::start(disk, directory, seed);
  ASSERT_TRUE(node) << node.error().message;
  SimulatedMember& member = *node->member;
  std::uint64_t number = 0;
  while (number < puts) {
    std::vector<std::pair<std::uint64_t, std::shared_ptr<Ticket<PutRequest, PutResponse>>>> tickets;
    for (std::uint64_t i = 0; i < 1 + random.below(4); ++i) {
      PutRequest request;
      request.set_key(key_of(++number));
      request.set_value(std::to_string(number) + std::string(random.below(700), ' '));
      tickets.emplace_back(number, member.submit<PutRequest, PutResponse>(std::move(request)));
    }
    ASSERT_TRUE(member.step());
    for (const auto& [put, ticket] : tickets) {
      ASSERT_TRUE(ticket->acknowledged());
      recorder.note(put);
    }
    ASSERT_TRUE(member.advance(milliseconds(random.below(120))));
    if (number % 40 == 0) {
      etcdserverpb::CompactionRequest compact;
      compact.set_revision(member.state().store().current_revision());
      (void)member.call<etcdserverpb::CompactionRequest, etcdserverpb::CompactionResponse>(compact);
    }
  }
}

void expect_nothing_lost(const DiskModel& image, const std::string& from,
                         std::uint64_t acknowledged, std::uint64_t puts) {
  const FreshDirectory fresh = FreshDirectory::in_memory();
  write_image(image, from, fresh.path());
  wal::PosixDisk disk;
  auto node = Node::start(disk, fresh.path(), 77);
  ASSERT_TRUE(node) << node.error().message;
  for (std::uint64_t number = acknowledged; number > 0 && number + kKeys > acknowledged; --number) {
    const std::string value = node->member->get(key_of(number));
    ASSERT_FALSE(value.empty()) << key_of(number) << " is gone";
    EXPECT_GE(std::stoull(value), number) << key_of(number) << " went back in time";
    EXPECT_LE(std::stoull(value), puts);
  }
  EXPECT_GE(node->member->state().store().current_revision(),
            static_cast<std::int64_t>(acknowledged + 1));
}

TEST(NodePowerCut, AtEachWriteOfLogAndStoreNothingAcknowledgedIsLost) {
  constexpr std::uint64_t kPuts = 160;
  std::uint64_t images = 0;
  for (std::uint64_t seed = 1; seed <= 2; ++seed) {
    const FreshDirectory fresh = FreshDirectory::in_memory();
    DiskRecorder recorder(fresh.path());
    record(fresh.path(), recorder, seed, kPuts);
    if (HasFatalFailure()) return;
    Random random(seed);
    DiskModel model;
    std::uint64_t acknowledged = 0;
    for (const DiskRecorder::Operation& operation : recorder.operations()) {
      if (operation.kind == Kind::note) acknowledged = operation.offset;
      DiskRecorder::replay(operation, model);
      if (operation.kind == Kind::note || !model.has_unsynced()) continue;
      SCOPED_TRACE("seed " + std::to_string(seed) + ", image " + std::to_string(images) +
                   ", after " + std::to_string(acknowledged) + " acknowledged, in " +
                   operation.path);
      DiskModel dropped = model;
      dropped.power_cut_dropping_all_unsynced();
      expect_nothing_lost(dropped, fresh.path(), acknowledged, kPuts);
      DiskModel torn = model;
      torn.power_cut(random, kPageBytes);
      expect_nothing_lost(torn, fresh.path(), acknowledged, kPuts);
      images += 2;
      if (HasFailure()) return;
    }
  }
  EXPECT_GT(images, 400U);
  RecordProperty("images", static_cast<int>(images));
  std::printf("power-cut images opened: %llu\n", static_cast<unsigned long long>(images));
}

}  // namespace
}  // namespace conclave::test
