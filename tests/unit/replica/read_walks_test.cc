// Reads that go on for several steps: beside writes, within bounds, until nobody wants them.
#include "conclave/replica/read_walks.h"

#include <gtest/gtest.h>

#include "conclave/mvcc/store.h"
#include "conclave/replica/replica.h"

#include "tests/support/memory_storage.h"
#include "tests/support/simulated_disk.h"
#include "tests/support/simulated_member.h"

namespace conclave::replica {
namespace {

using api::Refusal;
using etcdserverpb::PutRequest;
using etcdserverpb::PutResponse;
using etcdserverpb::RangeRequest;
using etcdserverpb::RangeResponse;

RangeRequest everything() {
  RangeRequest request;
  request.set_key(std::string(1, '\0'));
  request.set_range_end(std::string(1, '\0'));
  return request;
}

std::string key_of(int number) {
  return "key" + std::to_string(100000 + number);
}

class ReadWalksTest : public testing::Test {
 protected:
  static constexpr int kKeys = 4000;

  void SetUp() override {
    for (int i = 0; i < kKeys; ++i) {
      PutRequest request;
      request.set_key(key_of(i));
      request.set_value(std::string(100, 'v'));
      ASSERT_TRUE(store_.put(request, [](std::int64_t) { return true; }));
    }
  }
  // A walk of everything that has made its first step.
  void add(ReadWalks& walks, RequestId id, Instant now = {}) {
    RangeResponse& response = responses_[id];
    mvcc::ReadWalk walk(store_, request_, response);
    mvcc::WalkBudget budget{900, 1 << 20};
    ASSERT_FALSE(*walk.step(budget));
    walks.add(id, &response, std::move(walk), now);
  }
  static std::vector<ReadWalks::Done> run(ReadWalks& walks, Instant now = {}) {
    std::vector<ReadWalks::Done> all;
    while (walks.has_more()) {
      if (auto done = walks.step(now)) all.push_back(*done);
    }
    return all;
  }

  test::MemoryStorage storage_;
  mvcc::Store store_{storage_};
  const RangeRequest request_ = everything();
  std::map<RequestId, RangeResponse> responses_;
};

TEST_F(ReadWalksTest, TakeTurns) {
  ReadWalks walks({});
  add(walks, 1);
  add(walks, 2);
  for (int i = 0; i < 6; ++i) EXPECT_FALSE(walks.step({}));
  EXPECT_EQ(responses_[1].kvs_size(), responses_[2].kvs_size());
  const auto done = run(walks);
  ASSERT_EQ(done.size(), 2U);
  for (const auto& each : done) EXPECT_FALSE(each.refusal);
  EXPECT_EQ(responses_[1].kvs_size(), kKeys);
  EXPECT_EQ(responses_[2].kvs_size(), kKeys);
}

TEST_F(ReadWalksTest, WaitForTheResponsesThatAreNotSentYet) {
  ReadWalks walks({.count = 10, .bytes = 100'000});
  for (RequestId id = 1; id <= 3; ++id) add(walks, id);
  auto done = run(walks);
  ASSERT_EQ(done.size(), 1U) << "one response is above the bound already";
  EXPECT_EQ(done[0].id, 1U);
  EXPECT_LT(responses_[2].kvs_size(), kKeys / 2);
  EXPECT_LT(responses_[3].kvs_size(), kKeys / 2);
  walks.sent(done[0].held_bytes);
  done = run(walks);
  ASSERT_EQ(done.size(), 1U);
  EXPECT_EQ(done[0].id, 2U);
  walks.sent(done[0].held_bytes);
  EXPECT_EQ(run(walks).size(), 1U);
  EXPECT_TRUE(walks.empty());
}

TEST_F(ReadWalksTest, AreRefusedWhenTheyWaitTooLong) {
  const Instant begin{};
  ReadWalks walks({.count = 10, .bytes = 100'000, .patience = std::chrono::seconds(60)});
  add(walks, 1, begin);
  add(walks, 2, begin);
  ASSERT_EQ(run(walks, begin).size(), 1U);
  EXPECT_TRUE(walks.take_overdue(begin + std::chrono::seconds(59)).empty());
  EXPECT_EQ(walks.take_overdue(begin + std::chrono::seconds(60)), std::vector<RequestId>{2});
  EXPECT_TRUE(walks.empty());
}

TEST_F(ReadWalksTest, CountingNeedsNoRoom) {
  ReadWalks walks({.count = 10, .bytes = 100'000});
  add(walks, 1);
  ASSERT_EQ(run(walks).size(), 1U);
  RangeRequest counting = everything();
  counting.set_count_only(true);
  mvcc::ReadWalk walk(store_, counting, responses_[2]);
  mvcc::WalkBudget budget{100, 1 << 20};
  ASSERT_FALSE(*walk.step(budget));
  walks.add(2, &responses_[2], std::move(walk), {});
  EXPECT_EQ(run(walks).size(), 1U);
  EXPECT_EQ(responses_[2].count(), kKeys);
}

TEST_F(ReadWalksTest, BeginWhenTheirTurnComes) {
  ReadWalks walks({.count = 2});
  add(walks, 1);
  add(walks, 2);
  ASSERT_TRUE(walks.full());
  for (const RequestId id : {3, 4}) {
    walks.add_later(id, &responses_[id],
                    [this, id] { return mvcc::ReadWalk(store_, request_, responses_[id]); }, {});
  }
  for (int i = 0; i < 4; ++i) ASSERT_FALSE(walks.step({}));
  EXPECT_EQ(responses_[3].kvs_size(), 0) << "there are two before it";
  EXPECT_EQ(walks.take(&responses_[4]), std::optional<RequestId>(4));
  EXPECT_EQ(run(walks).size(), 3U);
  EXPECT_EQ(responses_[3].kvs_size(), kKeys);
}

TEST_F(ReadWalksTest, CountLongResponsesOfOneStep) {
  ReadWalks walks({.count = 10, .bytes = 100'000, .bytes_of_short = 200'000});
  EXPECT_TRUE(walks.count_short(150'000));
  EXPECT_TRUE(walks.count_short(150'000));
  EXPECT_FALSE(walks.count_short(1)) << "nobody reads what is answered";
  add(walks, 1);
  EXPECT_FALSE(walks.has_more()) << "nor does it go on";
  walks.sent(150'000);
  EXPECT_TRUE(walks.count_short(0));
  walks.sent(150'000);
  EXPECT_EQ(run(walks).size(), 1U);
}

TEST_F(ReadWalksTest, EndWhenNobodyWantsThem) {
  ReadWalks walks({});
  add(walks, 1);
  add(walks, 2);
  EXPECT_EQ(walks.take(&responses_[1]), std::optional<RequestId>(1));
  EXPECT_EQ(walks.take(&responses_[1]), std::nullopt);
  EXPECT_EQ(run(walks).size(), 1U);
}

TEST(LongReads, AreNotRefusedForTheirNumber) {
  test::SimulatedDisk disk;
  test::MemoryStorage storage;
  test::SimulatedMember::Setup setup;
  setup.adjust = [](Options& options) { options.walks.count = 3; };
  auto started = test::SimulatedMember::start(disk, storage, std::move(setup));
  ASSERT_TRUE(started) << started.error().message;
  test::SimulatedMember& member = **started;
  for (int i = 0; i < 2000; ++i) {
    PutRequest request;
    request.set_key(key_of(i));
    member.submit<PutRequest, PutResponse>(request);
  }
  ASSERT_TRUE(member.step());
  std::vector<std::shared_ptr<test::Ticket<RangeRequest, RangeResponse>>> readers;
  for (int i = 0; i < 20; ++i) {
    readers.push_back(member.submit<RangeRequest, RangeResponse>(everything()));
  }
  ASSERT_TRUE(member.step());
  for (const auto& reader : readers) {
    ASSERT_TRUE(reader->acknowledged());
    EXPECT_EQ(reader->response.kvs_size(), 2000);
    EXPECT_EQ(reader->response.header().revision(), 2001);
    EXPECT_EQ(reader->response.header().member_id(),
              readers.front()->response.header().member_id());
  }
}

// What one call to process() does for ten readers is one step for one of them, so that a put in
// between is answered long before they are.
TEST(LongReads, DoNotHoldUpAWrite) {
  test::SimulatedDisk disk;
  test::MemoryStorage storage;
  auto started = test::SimulatedMember::start(disk, storage, {});
  ASSERT_TRUE(started) << started.error().message;
  test::SimulatedMember& member = **started;
  for (int i = 0; i < 3000; ++i) {
    member.submit<PutRequest, PutResponse>([&] {
      PutRequest request;
      request.set_key(key_of(i));
      return request;
    }());
  }
  ASSERT_TRUE(member.step());
  std::vector<std::shared_ptr<test::Ticket<RangeRequest, RangeResponse>>> readers;
  RangeRequest request = everything();
  request.set_serializable(true);
  for (int i = 0; i < 10; ++i) {
    readers.push_back(member.submit<RangeRequest, RangeResponse>(request));
    EXPECT_FALSE(readers.back()->answered);
  }
  PutRequest put;
  put.set_key(key_of(2999));
  put.set_value("new");
  const auto write = member.submit<PutRequest, PutResponse>(put);
  ASSERT_TRUE(member.step());
  EXPECT_TRUE(write->acknowledged());
  for (const auto& reader : readers) {
    ASSERT_TRUE(reader->acknowledged());
    ASSERT_EQ(reader->response.kvs_size(), 3000);
    // The state at its beginning, not at its end.
    EXPECT_EQ(reader->response.kvs(2999).value(), "");
    EXPECT_EQ(reader->response.header().revision(), 3001);
  }
}

}  // namespace
}  // namespace conclave::replica
