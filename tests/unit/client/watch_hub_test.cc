#include <gtest/gtest.h>

#include "conclave/api/rpc.pb.h"

#include "tests/unit/client/core_fixture.h"

namespace conclave::client {
namespace {

using etcdserverpb::WatchRequest;
using etcdserverpb::WatchResponse;
using Kind = WatchNotice::Kind;

class WatchHubTest : public CoreFixture {
 protected:
  struct Watched {
    std::vector<WatchNotice> notices;
    std::unique_ptr<WatchHandle> handle;

    std::vector<std::int64_t> revisions() const {
      std::vector<std::int64_t> out;
      for (const WatchNotice& notice : notices) {
        for (const Event& event : notice.events) out.push_back(event.kv.mod_revision);
      }
      return out;
    }
    int count(Kind kind) const {
      return static_cast<int>(std::ranges::count(notices, kind, &WatchNotice::kind));
    }
  };

  std::unique_ptr<Watched> watch(const std::string& key, std::int64_t start_revision = 0) {
    auto watched = std::make_unique<Watched>();
    watched->handle =
        core_->watch({.key = key, .start_revision = start_revision},
                     [raw = watched.get()](const WatchNotice& n) { raw->notices.push_back(n); });
    executor_.run();
    return watched;
  }

  // Takes a create request from the stream and answers it.
  std::int64_t create(std::int64_t expected_start, std::int64_t revision) {
    const auto request = network_.stream().take<WatchRequest>();
    EXPECT_TRUE(request.has_create_request());
    EXPECT_EQ(request.create_request().start_revision(), expected_start);
    WatchResponse reply;
    reply.set_watch_id(request.create_request().watch_id());
    reply.set_created(true);
    reply.mutable_header()->set_revision(revision);
    send(reply);
    return reply.watch_id();
  }

  static WatchResponse events(std::int64_t id, const std::vector<std::int64_t>& revisions,
                              bool fragment = false) {
    WatchResponse reply;
    reply.set_watch_id(id);
    reply.set_fragment(fragment);
    for (const std::int64_t revision : revisions) {
      reply.add_events()->mutable_kv()->set_mod_revision(revision);
      reply.mutable_header()->set_revision(revision);
    }
    return reply;
  }

  void send(const WatchResponse& reply) {
    network_.stream().reply(reply);
    executor_.run();
  }
  void lose_stream() {
    network_.stream().close(lost());
    executor_.advance(2 * kSecond);
  }
};

TEST_F(WatchHubTest, OneStreamForAllWatches) {
  open({"a:1"});
  const auto first = watch("x");
  const auto second = watch("y", 3);
  ASSERT_EQ(network_.streams().size(), 1U);
  const auto first_id = create(0, 5);
  const auto second_id = create(3, 5);
  send(events(second_id, {4}));
  send(events(first_id, {6}));
  ASSERT_EQ(first->notices.size(), 2U);
  EXPECT_EQ(first->notices[0].kind, Kind::created);
  EXPECT_EQ(first->notices[0].revision, 5);
  EXPECT_EQ(first->revisions(), (std::vector<std::int64_t>{6}));
  EXPECT_EQ(second->revisions(), (std::vector<std::int64_t>{4}));
}

// Replays a fixed history to a watch, with the stream lost before the n-th reply, for every n:
// whatever the point, every event arrives, once, in order, and `created` is said once.
TEST_F(WatchHubTest, LosesNothingWhereverTheStreamIsLost) {
  const std::vector<std::int64_t> history{6, 7, 7, 9, 10};
  for (const std::int64_t start : {0, 6}) {
    for (int drop_before = 0; drop_before <= 5; ++drop_before) {
      SCOPED_TRACE(::testing::Message() << "start " << start << ", lost before " << drop_before);
      open({"a:1", "b:1"});
      const auto watched = watch("x", start);
      int replies = 0;
      bool dropped = false;
      std::int64_t id = 0;
      std::int64_t from = 0;
      const auto stands = [&] {
        if (!dropped && replies++ == drop_before) {
          dropped = true;
          lose_stream();
          return false;
        }
        return true;
      };
      const auto establish = [&] {
        const auto request = network_.stream().take<WatchRequest>().create_request();
        from = request.start_revision() == 0 ? 6 : request.start_revision();
        WatchResponse reply;
        id = request.watch_id();
        reply.set_watch_id(id);
        reply.set_created(true);
        reply.mutable_header()->set_revision(5);
        if (stands()) return send(reply), true;
        return false;
      };
      while (!establish()) {
      }
      for (bool again = true; again;) {
        again = false;
        for (const std::int64_t revision : {6, 7, 9, 10}) {
          if (revision < from) continue;
          if (!stands()) {
            while (!establish()) {
            }
            again = true;
            break;
          }
          send(events(id, revision == 7 ? std::vector<std::int64_t>{7, 7}
                                        : std::vector<std::int64_t>{revision}));
        }
      }
      EXPECT_EQ(watched->revisions(), history);
      EXPECT_EQ(watched->count(Kind::created), 1);
    }
  }
}

TEST_F(WatchHubTest, ResumesAtAnotherEndpointAfterTheLastDelivered) {
  open({"a:1", "b:1"});
  const auto watched = watch("x");
  send(events(create(0, 5), {6, 8}));
  network_.stream().close(lost());
  executor_.run();
  EXPECT_EQ(network_.stream().endpoint, "b:1");
  create(9, 20);
  EXPECT_EQ(watched->count(Kind::created), 1);
}

TEST_F(WatchHubTest, WithoutEventsItResumesAfterTheRevisionOfItsCreation) {
  open({"a:1"});
  const auto watched = watch("x");
  create(0, 5);
  lose_stream();
  create(6, 9);
}

TEST_F(WatchHubTest, EventsThatComeAgainAreNotDeliveredAgain) {
  open({"a:1"});
  const auto watched = watch("x", 2);
  const auto id = create(2, 5);
  send(events(id, {3, 4}));
  send(events(id, {3, 4, 5}));
  EXPECT_EQ(watched->revisions(), (std::vector<std::int64_t>{3, 4, 5}));
}

TEST_F(WatchHubTest, FragmentsAreJoined) {
  open({"a:1"});
  const auto watched = watch("x");
  const auto id = create(0, 5);
  send(events(id, {6, 6}, /*fragment=*/true));
  send(events(id, {6}, /*fragment=*/true));
  EXPECT_EQ(watched->count(Kind::events), 0);
  send(events(id, {6}));
  ASSERT_EQ(watched->count(Kind::events), 1);
  EXPECT_EQ(watched->notices.back().events.size(), 4U);
  EXPECT_EQ(watched->notices.back().revision, 6);
}

TEST_F(WatchHubTest, HalfARevisionIsFetchedAgainWhole) {
  open({"a:1"});
  const auto watched = watch("x");
  send(events(create(0, 5), {6}, /*fragment=*/true));
  lose_stream();
  send(events(create(6, 6), {6, 6}));
  ASSERT_EQ(watched->count(Kind::events), 1);
  EXPECT_EQ(watched->notices.back().events.size(), 2U);
}

TEST_F(WatchHubTest, CompactionEndsIt) {
  open({"a:1"});
  const auto watched = watch("x", 2);
  WatchResponse reply;
  reply.set_watch_id(create(2, 50));
  reply.set_canceled(true);
  reply.set_compact_revision(40);
  send(reply);
  ASSERT_EQ(watched->notices.size(), 2U);
  EXPECT_EQ(watched->notices[1].kind, Kind::compacted);
  EXPECT_EQ(watched->notices[1].compact_revision, 40);
  EXPECT_FALSE(network_.has_stream()) << "no watch is left";
}

TEST_F(WatchHubTest, RefusedCreateIsTheOldestUnanswered) {
  open({"a:1"});
  const auto first = watch("x");
  const auto second = watch("y");
  create(0, 5);
  WatchResponse reply;
  reply.set_watch_id(-1);
  reply.set_created(true);
  reply.set_canceled(true);
  reply.set_cancel_reason("mvcc: watcher range is empty");
  send(reply);
  EXPECT_EQ(first->count(Kind::failed), 0);
  ASSERT_EQ(second->count(Kind::failed), 1);
  EXPECT_EQ(second->notices[0].error.code, Errc::invalid_argument);
}

TEST_F(WatchHubTest, ProgressMovesItOn) {
  open({"a:1"});
  const auto watched = watch("x");
  WatchResponse reply;
  reply.set_watch_id(create(0, 5));
  reply.mutable_header()->set_revision(100);
  send(reply);
  ASSERT_EQ(watched->count(Kind::progress), 1);
  EXPECT_EQ(watched->notices[1].revision, 100);
  lose_stream();
  create(101, 100);
}

TEST_F(WatchHubTest, DestroyedHandleCancelsAndHearsNothingMore) {
  open({"a:1"});
  auto gone = watch("x");
  auto pending = watch("z");
  const auto stays = watch("y");
  const auto id = create(0, 5);
  gone->handle.reset();
  pending->handle.reset();
  send(events(id, {6}));
  EXPECT_EQ(gone->revisions().size(), 0U);
  // One whose creation is not answered yet is cancelled as soon as it is.
  const auto pending_id = create(0, 5);
  create(0, 5);
  EXPECT_TRUE(pending->notices.empty());
  EXPECT_EQ(network_.stream().take<WatchRequest>().cancel_request().watch_id(), id);
  EXPECT_EQ(network_.stream().take<WatchRequest>().cancel_request().watch_id(), pending_id);
  EXPECT_EQ(stays->count(Kind::created), 1);
}

TEST_F(WatchHubTest, HandleMayBeDestroyedByItsOwnSink) {
  open({"a:1"});
  std::unique_ptr<WatchHandle> handle;
  int heard = 0;
  handle = core_->watch({.key = "x"}, [&](const WatchNotice&) {
    ++heard;
    handle.reset();
  });
  executor_.run();
  const auto id = create(0, 5);
  EXPECT_EQ(heard, 1);
  EXPECT_FALSE(network_.has_stream());
  (void)id;
}

TEST_F(WatchHubTest, SilentServerIsLeft) {
  open({"a:1", "b:1"});
  const auto watched = watch("x");
  executor_.advance(4 * kSecond);
  EXPECT_EQ(network_.stream().endpoint, "b:1");
  create(0, 5);
  executor_.advance(60 * kSecond);
  EXPECT_EQ(network_.streams().size(), 2U) << "a watch that stands may be quiet";
}

TEST_F(WatchHubTest, LeavesAnEndpointThatStalledACall) {
  open({"a:1", "b:1"});
  const auto watched = watch("x");
  create(0, 5);
  std::optional<Result<GetResult>> got;
  core_->get({.key = "k"}, in(4 * kSecond), into(got));
  executor_.advance(2 * kSecond);
  network_.take_call().answer({kDeadlineExceeded, "Deadline Exceeded"});
  executor_.run();
  EXPECT_EQ(network_.stream().endpoint, "b:1");
  create(6, 5);
}

TEST_F(WatchHubTest, PausesWhileNobodyCanBeReached) {
  open({"a:1", "b:1"});
  const auto watched = watch("x");
  for (int i = 0; i < 1000; ++i) {
    if (network_.has_stream()) network_.stream().close(not_sent());
    executor_.advance(std::chrono::milliseconds(10));
  }
  EXPECT_LT(network_.streams().size(), 60U);
  EXPECT_GT(network_.streams().size(), 10U);
  EXPECT_TRUE(watched->notices.empty());
}

TEST_F(WatchHubTest, DeniedWatchFailsAfterOneNewToken) {
  open({"a:1"}, {.user = "ann", .password = "secret"});
  const auto watched = watch("x");
  for (const char* token : {"t1", "t2"}) {
    etcdserverpb::AuthenticateResponse reply;
    reply.set_token(token);
    network_.take_call().answer(reply);
    executor_.run();
    EXPECT_EQ(network_.stream().token, token);
    WatchResponse denied;
    denied.set_watch_id(network_.stream().take<WatchRequest>().create_request().watch_id());
    denied.set_created(true);
    denied.set_canceled(true);
    denied.set_cancel_reason(
        "rpc error: code = PermissionDenied desc = etcdserver: permission denied");
    send(denied);
    executor_.advance(kSecond);
  }
  ASSERT_EQ(watched->count(Kind::failed), 1);
  EXPECT_EQ(watched->notices[0].error.code, Errc::permission_denied);
}

TEST_F(WatchHubTest, NegativeStartIsRefusedWithoutAskingAnybody) {
  open({"a:1"});
  const auto watched = watch("x", -1);
  ASSERT_EQ(watched->count(Kind::failed), 1);
  EXPECT_EQ(watched->notices[0].error.code, Errc::invalid_argument);
}

}  // namespace
}  // namespace conclave::client
