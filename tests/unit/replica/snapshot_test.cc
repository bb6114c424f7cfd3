#include "conclave/replica/snapshot.h"

#include <gtest/gtest.h>

#include "conclave/replica/state_machine.h"

#include "tests/support/memory_storage.h"
#include "tests/support/simulated_disk.h"
#include "tests/support/simulated_member.h"

namespace conclave::replica {
namespace {

// A member with some keys, history and leases, and the snapshot of what it has.
class SnapshotTest : public ::testing::Test {
 protected:
  SnapshotTest() {
    auto started = test::SimulatedMember::start(disk_, storage_, {});
    CONCLAVE_CHECK(started, "the member starts");
    member_ = *std::move(started);
    etcdserverpb::LeaseGrantRequest grant;
    grant.set_id(7);
    grant.set_ttl(100);
    member_->call<etcdserverpb::LeaseGrantRequest, etcdserverpb::LeaseGrantResponse>(grant);
    for (int i = 0; i < 30; ++i) {
      member_->put("key" + std::to_string(i % 10), std::string(100000, 'x') + std::to_string(i), 7);
    }
    CONCLAVE_CHECK(member_->advance(std::chrono::seconds(1)), "everything is in the store");
  }

  std::string snapshot() {
    SnapshotWriter writer(member_->state().snapshot_state(11),
                          std::shared_ptr<const mvcc::Storage>(&storage_, [](const auto*) {}));
    std::string bytes;
    pieces_ = 0;
    while (true) {
      auto piece = writer.next();
      CONCLAVE_CHECK(piece, "the storage reads");
      if (!*piece) return bytes;
      bytes += **piece;
      ++pieces_;
    }
  }

  static std::uint32_t hash_of(const StateMachine& state) {
    return (*state.store().hash_kv(0)).hash();
  }

  test::SimulatedDisk disk_;
  test::MemoryStorage storage_;
  std::unique_ptr<test::SimulatedMember> member_;
  int pieces_ = 0;
};

TEST_F(SnapshotTest, AStateMadeFromItIsTheSame) {
  const std::string bytes = snapshot();
  EXPECT_GT(pieces_, 4) << "records come in several pieces";
  test::MemoryStorage copy;
  SnapshotReader reader(&copy);
  for (std::size_t i = 0; i < bytes.size(); i += 777) {
    ASSERT_TRUE(reader.add(std::string_view(bytes).substr(i, 777)));
  }
  ASSERT_TRUE(reader.finish());
  EXPECT_EQ(reader.head()->cluster_id(), 11U);
  EXPECT_EQ(reader.lease_count(), 1U);
  EXPECT_EQ(reader.record_count(), 30U);

  StateMachine state(copy);
  ASSERT_TRUE(state.load());
  EXPECT_EQ(state.applied_index(), member_->state().applied_index());
  EXPECT_EQ(state.applied_term(), member_->state().applied_term());
  EXPECT_EQ(state.store().current_revision(), member_->state().store().current_revision());
  EXPECT_EQ(hash_of(state), hash_of(member_->state()));
  EXPECT_EQ(state.membership().all(), member_->state().membership().all());
  const auto lease = state.lessor().time_to_live(7, true, state.cluster_time_ms());
  ASSERT_TRUE(lease);
  EXPECT_EQ(lease->keys.size(), 10U);
}

TEST_F(SnapshotTest, DamageIsFoundWhereverItIs) {
  const std::string whole = snapshot();
  for (std::size_t place = 3; place < whole.size(); place += whole.size() / 40) {
    std::string bytes = whole;
    bytes[place] = static_cast<char>(bytes[place] ^ 4);
    SnapshotReader reader(nullptr);
    const Result<void> added = reader.add(bytes);
    EXPECT_FALSE(added && reader.finish()) << "a bit of byte " << place;
  }
}

TEST_F(SnapshotTest, ACutIsFound) {
  const std::string whole = snapshot();
  for (const std::size_t size : {std::size_t{0}, whole.size() / 2, whole.size() - 1}) {
    SnapshotReader reader(nullptr);
    ASSERT_TRUE(reader.add(whole.substr(0, size)));
    EXPECT_EQ(reader.finish().error().code, Errc::corrupt) << size;
  }
  SnapshotReader longer(nullptr);
  EXPECT_FALSE(longer.add(whole + whole));
}

TEST_F(SnapshotTest, IsReadOnlyWhenTheStoreHasAllOfIt) {
  member_->hold_store(true);
  ASSERT_TRUE(member_->put("late", "1")->acknowledged());
  member_->replica().begin_snapshot();
  ASSERT_TRUE(member_->step());
  EXPECT_EQ(member_->snapshots_handed_out(), 0U);
  member_->hold_store(false);
  ASSERT_TRUE(member_->step());
  EXPECT_EQ(member_->snapshots_handed_out(), 1U);
}

}  // namespace
}  // namespace conclave::replica
