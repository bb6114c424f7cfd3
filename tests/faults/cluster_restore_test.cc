// A new cluster that begins with a snapshot of another, which goes on meanwhile.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "tests/faults/cluster_rounds.h"
#include "tests/faults/command.h"

namespace conclave::test {
namespace {

using namespace std::chrono_literals;

constexpr ConclaveCluster::Timers kTimers{50, 500};
constexpr const char* kToken = "restored-cluster";
constexpr auto kKeptTtl = 600s;
constexpr auto kOtherTtl = 900s;

// All keys with all that is known of them, at a revision.
std::optional<std::vector<KeyValue>> keys_at(Client& client, std::int64_t revision) {
  const auto got = client.get(
      Get{.key = std::string(1, '\0'), .range_end = std::string(1, '\0'), .revision = revision});
  EXPECT_TRUE(got) << revision << ": " << got.error().message;
  if (!got) return std::nullopt;
  return got->kvs;
}

struct Hash {
  std::uint32_t hash = 0;
  std::int64_t compact_revision = 0;
  std::int64_t revision = 0;  // of the member

  friend bool operator==(const Hash&, const Hash&) = default;
};

void PrintTo(const Hash& hash, std::ostream* out) {
  *out << hash.hash << " compacted at " << hash.compact_revision << ", now at " << hash.revision;
}

// What a member says of a lease.
struct Lease {
  std::int64_t granted_s = 0;
  std::int64_t remaining_s = 0;
  std::vector<std::string> keys;
};

class ClusterRestore : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(old_.wait_until_ready());
    ASSERT_NO_FATAL_FAILURE(fill());
    ASSERT_NO_FATAL_FAILURE(grant());
  }
  // Keys of one revision and of several, erased ones, one that was erased and came again; a part of
  // their history is compacted.
  void fill() {
    const int count = rounds(1500, 30'000);
    ASSERT_EQ(write_many(old_.endpoints(), count, 100), count);
    Client& client = old_.client();
    const auto erased = client.erase(Delete{.key = "many/2", .range_end = "many/3"});
    ASSERT_TRUE(erased && erased->deleted > 100);
    ASSERT_TRUE(client.put("many/2", "again"));
    ASSERT_TRUE(client.compact(erased->revision / 3, /*physical=*/true));
    compacted_ = erased->revision / 3;
  }
  void grant() {
    Client& client = old_.client();
    const auto kept = client.grant(kKeptTtl);
    const auto other = client.grant(kOtherTtl);
    ASSERT_TRUE(kept && other);
    kept_ = kept->id;
    other_ = other->id;
    ASSERT_TRUE(client.put(Put{.key = "kept/a", .value = "1", .lease = kept_}));
    ASSERT_TRUE(client.put(Put{.key = "kept/b", .value = "1", .lease = other_}));
    ASSERT_TRUE(client.put(Put{.key = "kept/b", .value = "2", .lease = kept_}));
    ASSERT_TRUE(client.put(Put{.key = "kept/gone", .value = "1", .lease = kept_}));
    ASSERT_TRUE(client.erase("kept/gone"));
    ASSERT_TRUE(client.put(Put{.key = "other", .value = "1", .lease = other_}));
    // So that what is left is not what was granted.
    ASSERT_TRUE(wait_until([&] {
      const auto lease = lease_at(old_, 0, kept_);
      return lease && lease->remaining_s <= kKeptTtl / 1s - 3;
    }));
  }
  // Nobody writes meanwhile.
  void save() {
    left_ = lease_at(old_, 0, kept_);
    left_at_ns_ = steady_now_ns();
    const auto told = old_.read(0, /*serializable=*/false, 5s);
    ASSERT_TRUE(left_ && told);
    saved_ = told->header().revision();
    const Ended ended = command_.run({"--endpoints", old_.endpoint(0) + "," + old_.endpoint(1),
                                      "snapshot", "save", snapshot_.string()});
    ASSERT_EQ(ended.status, 0) << ended.output;
  }
  void restore() {
    for (std::size_t i = 0; i < new_.size(); ++i) {
      const Ended ended = command_.run(
          {"snapshot", "restore", snapshot_.string(), "--name", new_.name(i), "--data-dir",
           new_.data_dir(i).string(), "--initial-cluster", new_.initial_cluster(),
           "--initial-cluster-token", kToken, "--initial-advertise-peer-urls", new_.peer_url(i)});
      ASSERT_EQ(ended.status, 0) << ended.output;
      EXPECT_EQ(ended.output.find("revision " + std::to_string(saved_) + ", "), 0U) << ended.output;
    }
    for (std::size_t i = 0; i < new_.size(); ++i) new_.start(i, kToken);
    ASSERT_TRUE(new_.wait_until_ready()) << new_.last_words();
  }

  static std::optional<Hash> hash_at(ConclaveCluster& cluster, std::size_t member,
                                     std::int64_t revision) {
    etcdserverpb::HashKVRequest request;
    request.set_revision(revision);
    const auto told = cluster.ask<etcdserverpb::HashKVResponse>(
        member, "/etcdserverpb.Maintenance/HashKV", request);
    EXPECT_TRUE(told) << told.error().message;
    if (!told) return std::nullopt;
    return Hash{told->hash(), told->compact_revision(), told->header().revision()};
  }
  static std::optional<Lease> lease_at(ConclaveCluster& cluster, std::size_t member, LeaseId id) {
    etcdserverpb::LeaseTimeToLiveRequest request;
    request.set_id(id);
    request.set_keys(true);
    const auto told = cluster.ask<etcdserverpb::LeaseTimeToLiveResponse>(
        member, "/etcdserverpb.Lease/LeaseTimeToLive", request);
    EXPECT_TRUE(told) << told.error().message;
    if (!told) return std::nullopt;
    return Lease{told->grantedttl(), told->ttl(), {told->keys().begin(), told->keys().end()}};
  }
  static std::vector<LeaseId> leases_at(ConclaveCluster& cluster, std::size_t member) {
    const auto told = cluster.ask<etcdserverpb::LeaseLeasesResponse>(
        member, "/etcdserverpb.Lease/LeaseLeases", etcdserverpb::LeaseLeasesRequest());
    EXPECT_TRUE(told) << told.error().message;
    std::vector<LeaseId> ids;
    for (int i = 0; told && i < told->leases_size(); ++i) ids.push_back(told->leases(i).id());
    std::ranges::sort(ids);
    return ids;
  }
  std::vector<LeaseId> both() const { return {std::min(kept_, other_), std::max(kept_, other_)}; }

  void expect_the_same_keys() {
    const std::optional<Hash> before = hash_at(old_, 0, saved_);
    for (std::size_t i = 0; before && i < new_.size(); ++i) {
      SCOPED_TRACE(new_.name(i));
      EXPECT_EQ(hash_at(new_, i, saved_), (Hash{before->hash, before->compact_revision, saved_}));
      Client client = *Client::connect({.endpoints = {new_.endpoint(i)}});
      for (std::int64_t revision = compacted_; revision < saved_;
           revision += (saved_ - compacted_) / 7) {
        EXPECT_EQ(keys_at(client, revision), keys_at(old_.client(), revision)) << revision;
      }
      EXPECT_EQ(keys_at(client, saved_), keys_at(old_.client(), saved_));
      EXPECT_FALSE(client.get(Get{.key = "many/1", .revision = compacted_ - 1}));
    }
  }
  void expect_the_same_leases() {
    for (std::size_t i = 0; i < new_.size(); ++i) {
      SCOPED_TRACE(new_.name(i));
      EXPECT_EQ(leases_at(new_, i), both());
      const auto kept = lease_at(new_, i, kept_);
      const std::int64_t passed_s = (steady_now_ns() - left_at_ns_) / 1'000'000'000 + 1;
      const auto other = lease_at(new_, i, other_);
      ASSERT_TRUE(kept && other);
      EXPECT_EQ(kept->granted_s, kKeptTtl / 1s);
      EXPECT_EQ(kept->keys, (std::vector<std::string>{"kept/a", "kept/b"}));
      // A snapshot knows the time of the log's last stamp, half a second ago; and time stands still
      // while nobody leads.
      EXPECT_LE(kept->remaining_s, left_->remaining_s + 1);
      EXPECT_GE(kept->remaining_s, left_->remaining_s - passed_s - 1);
      EXPECT_EQ(other->granted_s, kOtherTtl / 1s);
      EXPECT_EQ(other->keys, std::vector<std::string>{"other"});
    }
    const auto kept = lease_at(new_, 0, kept_);
    std::printf("of a lease of %lld s were left %lld s when saved, %lld s when restored\n",
                static_cast<long long>(kKeptTtl / 1s), static_cast<long long>(left_->remaining_s),
                static_cast<long long>(kept ? kept->remaining_s : -1));
  }
  // Through each member another change; `revision` is what they have come to.
  void expect_that_it_goes_on() {
    for (std::size_t i = 0; i < new_.size(); ++i) {
      Client client = *Client::connect({.endpoints = {new_.endpoint(i)}});
      const auto put = client.put("new/" + std::to_string(i), "x");
      ASSERT_TRUE(put) << put.error().message;
      EXPECT_EQ(put->revision, saved_ + 1 + static_cast<std::int64_t>(i));
    }
    Client follower = *Client::connect({.endpoints = {new_.endpoint(new_.wait_for_follower())}});
    const auto renewed = follower.renew(kept_);
    ASSERT_TRUE(renewed) << renewed.error().message;
    EXPECT_EQ(renewed->ttl, kKeptTtl);
    ASSERT_TRUE(follower.revoke(other_));
    const auto granted = follower.grant(kOtherTtl);
    ASSERT_TRUE(granted);
    other_ = granted->id;
    EXPECT_TRUE(new_.wait_until_equal());
  }
  void expect_what_was_changed() {
    for (std::size_t i = 0; i < new_.size(); ++i) {
      SCOPED_TRACE(new_.name(i));
      EXPECT_EQ(leases_at(new_, i), both());
      const auto kept = lease_at(new_, i, kept_);
      ASSERT_TRUE(kept);
      EXPECT_GT(kept->remaining_s, left_->remaining_s);
      const auto told = new_.read(i, /*serializable=*/false, 5s);
      ASSERT_TRUE(told);
      EXPECT_EQ(told->header().revision(), saved_ + 4);
      Client client = *Client::connect({.endpoints = {new_.endpoint(i)}});
      const auto gone = client.get("other");
      EXPECT_TRUE(gone && gone->count == 0);
    }
  }

  ConclaveCluster old_{3, kTimers};
  ConclaveCluster new_{3, kTimers, nullptr, ConclaveCluster::Start::later};
  Command command_;
  TempDir directory_;
  const std::filesystem::path snapshot_ = directory_.path() / "saved.snapshot";
  std::int64_t compacted_ = 0;
  std::int64_t saved_ = 0;  // the revision in the snapshot
  LeaseId kept_ = 0;
  LeaseId other_ = 0;
  std::optional<Lease> left_;  // of `kept_`, before it was saved
  std::int64_t left_at_ns_ = 0;
};

TEST_F(ClusterRestore, HasTheSameKeysRevisionsAndLeasesAndGoesOn) {
  ASSERT_NO_FATAL_FAILURE(save());
  ASSERT_TRUE(old_.client().put(Put{.key = "kept/later", .value = "x", .lease = kept_}));
  ASSERT_NO_FATAL_FAILURE(restore());
  expect_the_same_keys();
  ASSERT_NO_FATAL_FAILURE(expect_the_same_leases());
  ASSERT_NO_FATAL_FAILURE(expect_that_it_goes_on());
  expect_what_was_changed();

  for (std::size_t i = 0; i < new_.size(); ++i) new_.kill(i);
  for (std::size_t i = 0; i < new_.size(); ++i) new_.start(i, kToken);
  ASSERT_TRUE(new_.wait_until_ready()) << new_.last_words();
  EXPECT_TRUE(new_.wait_until_equal());
  expect_what_was_changed();

  const auto told = old_.status(0);
  const auto told_by_new = new_.status(0);
  ASSERT_TRUE(told && told_by_new);
  EXPECT_NE(told->header().cluster_id(), told_by_new->header().cluster_id());
  EXPECT_EQ(told->header().revision(), saved_ + 1);
  EXPECT_TRUE(old_.wait_until_equal());
}

}  // namespace
}  // namespace conclave::test
