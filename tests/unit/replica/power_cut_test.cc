// A whole member (log, state, store) on a disk that loses power at each of its operations in turn:
// whatever was acknowledged before the cut is there after the restart, and nothing that was never
// asked for is.

#include <map>

#include <gtest/gtest.h>

#include "tests/support/memory_storage.h"
#include "tests/support/simulated_disk.h"
#include "tests/support/simulated_member.h"

namespace conclave::replica {
namespace {

using etcdserverpb::LeaseGrantRequest;
using etcdserverpb::LeaseGrantResponse;
using etcdserverpb::PutRequest;
using etcdserverpb::PutResponse;
using std::chrono::milliseconds;

test::SimulatedMember::Setup setup_with(std::uint64_t seed) {
  test::SimulatedMember::Setup setup;
  setup.seed = seed;
  // Small enough that segments are filled, released and used again within one run.
  setup.log.segment_bytes = 16 << 10;
  setup.log.zero_ahead_bytes = 4 << 10;
  return setup;
}

// What a client knows: the number last acknowledged for each key, and the highest ever sent.
struct Knowledge {
  std::map<std::string, int> acknowledged;
  std::map<std::string, int> sent;
  std::int64_t revision = 1;
  bool lease_acknowledged = false;
};

// Puts, several of them at a time, with time passing so that the store gets its batches; until the
// disk ends it or `rounds` are done.
void work(test::SimulatedMember& member, Random random, int rounds, Knowledge& known) {
  LeaseGrantRequest grant;
  grant.set_id(9);
  grant.set_ttl(3600);
  known.lease_acknowledged =
      member.call<LeaseGrantRequest, LeaseGrantResponse>(grant)->acknowledged();
  for (int round = 1; round <= rounds; ++round) {
    std::vector<std::shared_ptr<test::Ticket<PutRequest, PutResponse>>> puts;
    for (std::uint64_t i = 0; i < 1 + random.below(4); ++i) {
      PutRequest request;
      request.set_key("key" + std::to_string(random.below(5)));
      request.set_value(std::to_string(round) + std::string(random.below(600), ' '));
      known.sent[request.key()] = round;
      puts.push_back(member.submit<PutRequest, PutResponse>(std::move(request)));
    }
    const bool alive =
        member.step().has_value() && member.advance(milliseconds(random.below(60))).has_value();
    for (const auto& put : puts) {
      if (!put->acknowledged()) continue;
      known.acknowledged[put->request.key()] = round;
      known.revision = std::max(known.revision, put->response.header().revision());
    }
    if (!alive) return;
  }
}

void expect_everything_acknowledged(test::SimulatedMember& member, const Knowledge& known) {
  for (const auto& [key, round] : known.acknowledged) {
    const std::string value = member.get(key);
    ASSERT_FALSE(value.empty()) << key << " is gone";
    EXPECT_GE(std::stoi(value), round) << key << " went back in time";
    EXPECT_LE(std::stoi(value), known.sent.at(key));
  }
  EXPECT_GE(member.state().store().current_revision(), known.revision);
  EXPECT_TRUE(!known.lease_acknowledged || member.state().lessor().exists(9));
}

TEST(PowerCut, AtEachDiskOperationInTurnLosesNothingAcknowledged) {
  // The same seed gives the same operations, so cut number n happens at the n-th operation.
  std::uint64_t operations = 0;
  {
    test::SimulatedDisk disk;
    test::MemoryStorage storage;
    Knowledge known;
    auto member = test::SimulatedMember::start(disk, storage, setup_with(1));
    ASSERT_TRUE(member);
    work(**member, Random(1), 60, known);
    operations = disk.operations().size();
  }
  ASSERT_GT(operations, 100U);
  for (std::uint64_t cut = 0; cut < operations; ++cut) {
    SCOPED_TRACE("power cut at operation " + std::to_string(cut));
    test::SimulatedDisk disk;
    test::MemoryStorage storage;
    Knowledge known;
    disk.fail_call(cut, test::SimulatedDisk::Fault::io_error);
    {
      auto member = test::SimulatedMember::start(disk, storage, setup_with(1));
      if (member) work(**member, Random(1), 60, known);
    }
    disk.power_cut_dropping_all_unsynced();
    storage.power_cut_dropping_all_unsynced();
    auto again = test::SimulatedMember::start(disk, storage, setup_with(2));
    ASSERT_TRUE(again) << again.error().message;
    expect_everything_acknowledged(**again, known);
  }
}

TEST(PowerCut, AgainAndAgainWithTornWritesLosesNothingAcknowledged) {
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    test::DiskModel on_disk;
    test::MemoryStorage storage;
    Knowledge known;
    for (std::uint64_t life = 1; life <= 4; ++life) {
      test::SimulatedDisk disk(std::move(on_disk));
      {
        auto member = test::SimulatedMember::start(disk, storage, setup_with(seed * 10 + life));
        ASSERT_TRUE(member) << member.error().message;
        expect_everything_acknowledged(**member, known);
        known.acknowledged.clear();
        known.sent.clear();
        disk.fail_call(random.below(200), test::SimulatedDisk::Fault::short_write);
        work(**member, Random(random.next()), 40, known);
      }
      disk.power_cut(random);
      storage.power_cut(random);
      on_disk = disk.model();
    }
  }
}

TEST(PowerCut, AFailedStoreCommitStopsTheMemberAndLosesNothing) {
  test::SimulatedDisk disk;
  test::MemoryStorage storage;
  {
    auto member = test::SimulatedMember::start(disk, storage, setup_with(1));
    ASSERT_TRUE(member);
    ASSERT_TRUE((*member)->put("a", "1")->acknowledged());
    storage.fail_next({Errc::io, "no space left on device"});
    EXPECT_FALSE((*member)->advance(milliseconds(500)));
  }
  test::MemoryStorage fresh;  // the store never took the batch; the log has it all
  auto again = test::SimulatedMember::start(disk, fresh, setup_with(2));
  EXPECT_FALSE(again && (*again)->get("a") != "1");
}

}  // namespace
}  // namespace conclave::replica
