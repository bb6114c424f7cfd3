// The Watch stream between a client and the core: requests one way, shared responses the other, and
// a client that does not read.

#include <algorithm>

#include <grpcpp/generic/generic_stub.h>

#include "tests/unit/server/front_fixture.h"

namespace conclave::server {
namespace {

namespace pb = etcdserverpb;

class WatchTest : public FrontTest {
 protected:
  void SetUp() override {
    FrontTest::SetUp();
    context_ = context();
    stream_ = pb::Watch::NewStub(channel_)->Watch(context_.get());
    create("first");
    opened_ = handler_.wait_for_watch();
    ASSERT_TRUE(opened_);
    sink_ = opened_->sink;
  }

  bool create(const std::string& key) {
    pb::WatchRequest request;
    request.mutable_create_request()->set_key(key);
    return stream_->Write(request);
  }
  void deliver(std::int64_t watch_id, std::size_t value_bytes = 0) {
    api::WatchBatch batch;
    batch.messages.push_back({watch_id, body(value_bytes)});
    sink_->deliver(std::move(batch));
  }
  static std::shared_ptr<const std::string> body(std::size_t value_bytes) {
    pb::WatchResponse response;
    if (value_bytes > 0) {
      response.add_events()->mutable_kv()->set_value(std::string(value_bytes, 'v'));
    }
    return std::make_shared<const std::string>(response.SerializeAsString());
  }
  void take_requests(int count) {
    api::WatchBatch batch;
    batch.requests_taken = count;
    sink_->deliver(std::move(batch));
  }
  std::int64_t read_id() {
    pb::WatchResponse response;
    return stream_->Read(&response) ? response.watch_id() : -1;
  }
  test::PretendWatch::Notes& notes() { return *opened_->notes; }
  int acknowledged() {
    const std::lock_guard lock(notes().mutex);
    return notes().acknowledged;
  }

  std::unique_ptr<grpc::ClientContext> context_;
  std::unique_ptr<grpc::ClientReaderWriter<pb::WatchRequest, pb::WatchResponse>> stream_;
  std::optional<test::PretendHandler::OpenedWatch> opened_;
  std::shared_ptr<WatchSink> sink_;
};

TEST_F(WatchTest, WhoWantsALeaderSaysSo) {
  EXPECT_FALSE(opened_->wants_leader);
  const auto context = FrontTest::context();
  context->AddMetadata("hasleader", "true");
  const auto stream = pb::Watch::NewStub(channel_)->Watch(context.get());
  const auto opened = handler_.wait_for_watch(1);
  ASSERT_TRUE(opened);
  EXPECT_TRUE(opened->wants_leader);
  opened->sink->close(api::Refusal::no_leader);
  EXPECT_EQ(stream->Finish().error_message(), "etcdserver: no leader");
}

TEST_F(WatchTest, RequestsReachTheCoreInOrder) {
  create("second");
  pb::WatchRequest request;
  request.mutable_progress_request();
  ASSERT_TRUE(stream_->Write(request));
  ASSERT_TRUE(stream_->Write(pb::WatchRequest())) << "asks for nothing: passed over";
  request.mutable_cancel_request()->set_watch_id(5);
  ASSERT_TRUE(stream_->Write(request));
  ASSERT_TRUE(notes().wait([&] { return !notes().cancelled.empty(); }));
  const std::lock_guard lock(notes().mutex);
  ASSERT_EQ(notes().created.size(), 2U);
  EXPECT_EQ(notes().created[0].key(), "first");
  EXPECT_EQ(notes().created[1].key(), "second");
  EXPECT_EQ(notes().progress_requests, 1);
  EXPECT_EQ(notes().cancelled, std::vector<std::int64_t>{5});
}

TEST_F(WatchTest, DeliveriesArriveInOrder) {
  for (std::int64_t id = 0; id < 50; ++id) deliver(id);
  for (std::int64_t id = 0; id < 50; ++id) ASSERT_EQ(read_id(), id);
}

TEST_F(WatchTest, WatchersOfAStreamShareABody) {
  const auto shared = body(5000);
  for (int round = 0; round < 3; ++round) {
    api::WatchBatch batch;
    for (std::int64_t id = 0; id < 100; ++id) batch.messages.push_back({id, shared});
    batch.messages.push_back({-1, body(10)});
    batch.one_of_many = round % 2 == 1;
    sink_->deliver(std::move(batch));
    pb::WatchResponse response;
    for (std::int64_t id = 0; id < 100; ++id) {
      ASSERT_TRUE(stream_->Read(&response));
      EXPECT_EQ(response.watch_id(), id);
      EXPECT_EQ(response.events(0).kv().value().size(), 5000U);
    }
    ASSERT_TRUE(stream_->Read(&response));
    EXPECT_EQ(response.watch_id(), -1);
    EXPECT_EQ(response.events(0).kv().value().size(), 10U);
  }
  EXPECT_LE(shared.use_count(), 3) << "no copies, and none kept";
}

TEST_F(WatchTest, AcknowledgesOnceAllIsWritten) {
  for (int round = 1; round <= 10; ++round) {
    api::WatchBatch batch;
    for (std::int64_t id = 0; id < 16; ++id) batch.messages.push_back({id, body(100)});
    sink_->deliver(std::move(batch));
    ASSERT_TRUE(notes().wait([&] { return notes().acknowledged == round; }));
    for (std::int64_t id = 0; id < 16; ++id) ASSERT_EQ(read_id(), id);
  }
}

TEST_F(WatchTest, AClientThatDoesNotReadHoldsUpNobodyAndCatchesUp) {
  constexpr std::size_t kBytes = 256 * 1024;
  constexpr int kCount = 64;
  api::WatchBatch batch;
  for (int i = 0; i < kCount; ++i) batch.messages.push_back({i, body(kBytes)});
  sink_->deliver(std::move(batch));
  EXPECT_EQ(acknowledged(), 0) << "no more than the transport took is written";
  for (int i = 0; i < kCount; ++i) ASSERT_EQ(read_id(), i);
  ASSERT_TRUE(notes().wait([&] { return notes().acknowledged == 1; }));
}

TEST_F(WatchTest, AFloodThatNobodyReadsEndsTheStream) {
  constexpr std::size_t kBytes = 4 * 1024;
  api::WatchBatch batch;
  const auto shared = body(kBytes);
  for (std::int64_t id = 0; id < 100; ++id) batch.messages.push_back({id, shared});
  for (int i = 0; i < 500; ++i) sink_->deliver(batch);
  std::int64_t read = 0;
  while (read_id() == read % 100) ++read;
  EXPECT_LT(read, 50'000);
  const grpc::Status status = stream_->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNKNOWN);
  EXPECT_EQ(status.error_message(), "etcdserver: too many requests");
}

TEST_F(WatchTest, AClientIsReadFromOnlyAsFastAsItsRequestsAreTaken) {
  constexpr int kCount = 1000;
  pb::WatchRequest progress;
  progress.mutable_progress_request();
  for (int i = 0; i < kCount; ++i) ASSERT_TRUE(stream_->Write(progress));
  const auto arrived = [&] { return notes().progress_requests; };
  int taken = 0;
  int most = 0;
  while (taken < kCount) {
    int now = 0;
    ASSERT_TRUE(notes().wait([&] { return (now = arrived()) > taken; }));
    most = std::max(most, now - taken);
    take_requests(now - taken + (taken == 0 ? 1 : 0));  // the creation that began the stream, too
    taken = now;
  }
  EXPECT_LE(most, 64);
  EXPECT_EQ(taken, kCount);
}

TEST_F(WatchTest, BytesThatAreNoRequestEndTheStream) {
  grpc::GenericStub stub(channel_);
  auto context = FrontTest::context();
  grpc::CompletionQueue queue;
  auto call = stub.PrepareCall(context.get(), "/etcdserverpb.Watch/Watch", &queue);
  const auto done = [&] {
    void* tag = nullptr;
    bool ok = false;
    return queue.Next(&tag, &ok) && ok;
  };
  call->StartCall(nullptr);
  ASSERT_TRUE(done());
  const grpc::Slice garbage(std::string("\x0a\xff\xff\xff"));
  call->Write(grpc::ByteBuffer(&garbage, 1), nullptr);
  ASSERT_TRUE(done());
  grpc::Status status;
  call->Finish(&status, nullptr);
  ASSERT_TRUE(done());
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INTERNAL);
  queue.Shutdown();
  EXPECT_FALSE(done());
}

TEST_F(WatchTest, AClientWithNothingMoreToAskGoesOnWatching) {
  stream_->WritesDone();
  deliver(1);
  EXPECT_EQ(read_id(), 1);
  const std::lock_guard lock(notes().mutex);
  EXPECT_FALSE(notes().destroyed);
}

TEST_F(WatchTest, AClientThatLeavesTakesItsWatchersAlong) {
  context_->TryCancel();
  EXPECT_EQ(stream_->Finish().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(notes().wait([&] { return notes().destroyed; }));
  deliver(1);
  front_->shutdown(std::chrono::seconds(10));
  deliver(2);
  sink_->close(api::Refusal::stopped);
}

TEST_F(WatchTest, TheCoreMayCloseTheStreamAfterItsLastWord) {
  deliver(1);
  sink_->close(api::Refusal::no_leader);
  deliver(2);
  EXPECT_EQ(read_id(), 1);
  EXPECT_EQ(read_id(), -1);
  const grpc::Status status = stream_->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(status.error_message(), "etcdserver: no leader");
  EXPECT_TRUE(notes().wait([&] { return notes().destroyed; }));
}

}  // namespace
}  // namespace conclave::server
