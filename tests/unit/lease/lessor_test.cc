#include "conclave/lease/lessor.h"

#include <map>

#include <gtest/gtest.h>

#include "conclave/base/random.h"

namespace conclave::lease {
namespace {

using Ids = std::vector<std::int64_t>;
using Keys = std::vector<std::string>;

Ids ids_of(const std::vector<Revoked>& revoked) {
  Ids ids;
  for (const Revoked& each : revoked) ids.push_back(each.id);
  return ids;
}

void store_in(std::map<std::string, std::string>& table, const std::vector<RecordWrite>& writes) {
  for (const RecordWrite& write : writes) {
    if (write.value) {
      table[write.key] = *write.value;
    } else {
      table.erase(write.key);
    }
  }
}

TEST(Lessor, GrantsWithinBounds) {
  Lessor lessor;
  EXPECT_EQ(lessor.grant(1, 10, 0)->ttl_s, 10);
  EXPECT_EQ(lessor.grant(2, 0, 0)->ttl_s, kMinTtlS);
  EXPECT_EQ(lessor.grant(3, -7, 0)->ttl_s, kMinTtlS);
  EXPECT_EQ(lessor.grant(-4, 10, 0)->id, -4);
  EXPECT_EQ(lessor.grant(5, kMaxTtlS, 0)->ttl_s, kMaxTtlS);
  EXPECT_EQ(lessor.grant(6, kMaxTtlS + 1, 0).error(), api::Refusal::lease_ttl_too_large);
  EXPECT_EQ(lessor.grant(1, 10, 0).error(), api::Refusal::lease_exists);
  EXPECT_EQ(lessor.size(), 5U);
  EXPECT_TRUE(lessor.exists(-4));
  EXPECT_FALSE(lessor.exists(6));
}

TEST(Lessor, RenewsToTheFullTime) {
  Lessor lessor;
  ASSERT_TRUE(lessor.grant(1, 10, 1000));
  EXPECT_EQ(lessor.next_expiry_ms(), 11000);
  const Ids ids{1, 2};
  EXPECT_EQ(lessor.renew(ids, 5000), (std::vector<Renewed>{{1, 10}, {2, 0}}));
  EXPECT_EQ(lessor.next_expiry_ms(), 15000);
}

TEST(Lessor, TellsTheRemainingTime) {
  Lessor lessor;
  ASSERT_TRUE(lessor.grant(1, 10, 0));
  lessor.attach(1, "b");
  lessor.attach(1, "a");
  auto answer = lessor.time_to_live(1, true, 1);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->granted_ttl_s, 10);
  EXPECT_EQ(answer->remaining_s, 9);
  EXPECT_EQ(answer->keys, (Keys{"a", "b"}));
  answer = lessor.time_to_live(1, false, 20000);
  EXPECT_EQ(answer->remaining_s, 0);  // due, but not ended
  EXPECT_TRUE(answer->keys.empty());
  EXPECT_FALSE(lessor.time_to_live(2, false, 0));
}

TEST(Lessor, RevokesWithSortedKeys) {
  Lessor lessor;
  ASSERT_TRUE(lessor.grant(1, 10, 0));
  for (const char* key : {"c", "a", "b", "a"}) lessor.attach(1, key);
  lessor.detach(1, "b");
  lessor.detach(1, "absent");
  lessor.attach(2, "x");
  lessor.detach(2, "x");
  auto revoked = lessor.revoke(1);
  ASSERT_TRUE(revoked);
  EXPECT_EQ(revoked->keys, (Keys{"a", "c"}));
  EXPECT_EQ(lessor.revoke(1).error(), api::Refusal::lease_not_found);
  EXPECT_EQ(lessor.next_expiry_ms(), std::nullopt);
  // The id can be granted anew, and has no keys then.
  ASSERT_TRUE(lessor.grant(1, 10, 0));
  EXPECT_TRUE(lessor.revoke(1)->keys.empty());
}

TEST(Lessor, NothingEndsByTimeAlone) {
  Lessor lessor;
  ASSERT_TRUE(lessor.grant(1, 1, 0));
  EXPECT_EQ(lessor.due(5000, 10), Ids{1});
  EXPECT_TRUE(lessor.exists(1));
  EXPECT_EQ(lessor.renew(Ids{1}, 5000)[0].ttl_s, 1);
}

TEST(Lessor, ARenewalThatCameFirstWins) {
  Lessor lessor;
  ASSERT_TRUE(lessor.grant(1, 1, 0));
  ASSERT_TRUE(lessor.grant(2, 1, 0));
  const Ids proposed = lessor.due(1000, 10);
  EXPECT_EQ(proposed, (Ids{1, 2}));
  lessor.renew(Ids{1}, 1100);
  EXPECT_EQ(ids_of(lessor.expire(proposed, 1200)), Ids{2});
  EXPECT_TRUE(lessor.exists(1));
}

TEST(Lessor, ExpiresOnlyWhatIsDue) {
  Lessor lessor;
  ASSERT_TRUE(lessor.grant(1, 1, 0));
  ASSERT_TRUE(lessor.grant(2, 2, 0));
  lessor.attach(1, "k");
  EXPECT_TRUE(lessor.expire(Ids{1, 2, 3}, 999).empty());
  const auto expired = lessor.expire(Ids{3, 2, 1}, 1000);
  ASSERT_EQ(ids_of(expired), Ids{1});
  EXPECT_EQ(expired[0].keys, Keys{"k"});
  EXPECT_TRUE(lessor.expire(Ids{1}, 1000).empty());
}

TEST(Lessor, OrdersByExpiry) {
  Lessor lessor;
  ASSERT_TRUE(lessor.grant(1, 30, 0));
  ASSERT_TRUE(lessor.grant(2, 10, 0));
  ASSERT_TRUE(lessor.grant(3, 20, 0));
  EXPECT_EQ(lessor.ids_by_expiry(), (Ids{2, 3, 1}));
  EXPECT_EQ(lessor.due(20000, 10), (Ids{2, 3}));
  EXPECT_EQ(lessor.due(20000, 1), Ids{2});
  EXPECT_TRUE(lessor.due(9999, 10).empty());
  lessor.renew(Ids{2}, 25000);
  EXPECT_EQ(lessor.ids_by_expiry(), (Ids{3, 1, 2}));
}

TEST(Lessor, WritesEachChangedLeaseOnce) {
  Lessor lessor;
  ASSERT_TRUE(lessor.grant(1, 10, 0));
  ASSERT_TRUE(lessor.grant(2, 10, 0));
  lessor.renew(Ids{1}, 100);
  lessor.renew(Ids{1}, 200);
  ASSERT_TRUE(lessor.revoke(2));
  const auto writes = lessor.take_writes();
  ASSERT_EQ(writes.size(), 2U);
  EXPECT_EQ(writes[0].key, std::string("\0\0\0\0\0\0\0\1", 8));
  EXPECT_TRUE(writes[0].value);
  EXPECT_FALSE(writes[1].value);
  EXPECT_TRUE(lessor.take_writes().empty());
  lessor.attach(1, "k");  // the key's record says so
  EXPECT_TRUE(lessor.take_writes().empty());
}

TEST(Lessor, RefusesWhatItDidNotWrite) {
  Lessor lessor;
  ASSERT_TRUE(lessor.grant(1, 10, 0));
  const RecordWrite written = lessor.take_writes().at(0);
  Lessor other;
  EXPECT_EQ(other.restore("short", *written.value).error().code, Errc::corrupt);
  EXPECT_EQ(other.restore(written.key, "").error().code, Errc::corrupt);
  EXPECT_EQ(other.restore(written.key, *written.value + "x").error().code, Errc::corrupt);
  std::string unknown = *written.value;
  unknown[0] = 9;
  EXPECT_EQ(other.restore(written.key, unknown).error().code, Errc::refused);
  EXPECT_EQ(other.size(), 0U);
  EXPECT_TRUE(other.restore(written.key, *written.value));
}

// Whatever happened before, a restart in between changes nothing.
TEST(Lessor, ARestartChangesNothing) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    Random random(seed);
    Lessor steady;
    std::optional<Lessor> restarted(std::in_place);
    std::map<std::string, std::string> table;
    std::int64_t now_ms = 0;
    for (int step = 0; step < 300; ++step) {
      now_ms += static_cast<std::int64_t>(random.below(2000));
      const auto id = static_cast<std::int64_t>(random.below(10)) - 5;
      const auto ttl_s = static_cast<std::int64_t>(random.below(30));
      if (id == 0) continue;
      switch (random.below(5)) {
        case 0:
          ASSERT_EQ(steady.grant(id, ttl_s, now_ms).has_value(),
                    restarted->grant(id, ttl_s, now_ms).has_value());
          break;
        case 1:
          ASSERT_EQ(steady.renew(Ids{id}, now_ms), restarted->renew(Ids{id}, now_ms));
          break;
        case 2:
          ASSERT_EQ(steady.revoke(id).has_value(), restarted->revoke(id).has_value());
          break;
        case 3: {
          const Ids due = steady.due(now_ms, 3);
          ASSERT_EQ(due, restarted->due(now_ms, 3));
          ASSERT_EQ(ids_of(steady.expire(due, now_ms)), due);
          ASSERT_EQ(ids_of(restarted->expire(due, now_ms)), due);
          break;
        }
        default: {
          store_in(table, restarted->take_writes());
          restarted.emplace();
          for (const auto& [key, value] : table) ASSERT_TRUE(restarted->restore(key, value));
        }
      }
      ASSERT_EQ(steady.ids_by_expiry(), restarted->ids_by_expiry()) << "seed " << seed;
      ASSERT_EQ(steady.next_expiry_ms(), restarted->next_expiry_ms()) << "seed " << seed;
    }
  }
}

TEST(Lessor, CopesWithMany) {
  Lessor lessor;
  Ids ids;
  for (std::int64_t id = 1; id <= 100'000; ++id) {
    ASSERT_TRUE(lessor.grant(id, 60 + id % 7, 0));
    ids.push_back(id);
  }
  lessor.renew(ids, 1000);
  EXPECT_EQ(lessor.take_writes().size(), ids.size());
  EXPECT_TRUE(lessor.due(60'999, 1000).empty());
  std::size_t expired = 0;
  while (true) {
    const Ids due = lessor.due(100'000, 1000);
    if (due.empty()) break;
    expired += lessor.expire(due, 100'000).size();
  }
  EXPECT_EQ(expired, ids.size());
}

}  // namespace
}  // namespace conclave::lease
