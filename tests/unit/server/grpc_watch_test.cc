// The Watch stream between a client and the core: requests one way, shared responses the other, and
// a client that does not read.

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
    auto response = std::make_shared<pb::WatchResponse>();
    response->set_watch_id(watch_id);
    if (value_bytes > 0)
      response->add_events()->mutable_kv()->set_value(std::string(value_bytes, 'v'));
    sink_->deliver(std::move(response));
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

TEST_F(WatchTest, AcknowledgesWhatWasWrittenInBatches) {
  // The core keeps to its window; whatever it waits for within, it gets.
  int delivered = 0;
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < 16; ++i) deliver(delivered++);
    ASSERT_TRUE(notes().wait([&] { return notes().acknowledged == delivered; }));
  }
  for (int i = 0; i < delivered; ++i) ASSERT_EQ(read_id(), i);
}

TEST_F(WatchTest, AClientThatDoesNotReadHoldsUpNobodyAndCatchesUp) {
  constexpr std::size_t kBytes = 256 * 1024;
  for (int i = 0; i < WatchStream::kWindow; ++i) deliver(i, kBytes);
  EXPECT_LT(acknowledged(), WatchStream::kWindow) << "no more than the transport took";
  for (int i = 0; i < WatchStream::kWindow; ++i) ASSERT_EQ(read_id(), i);
  ASSERT_TRUE(notes().wait([&] { return notes().acknowledged == WatchStream::kWindow; }))
      << "after a full window everything that was written is acknowledged";
}

TEST_F(WatchTest, AFloodBeyondTheWindowEndsTheStream) {
  constexpr std::size_t kBytes = 256 * 1024;
  for (int i = 0; i < 20 * WatchStream::kWindow && acknowledged() < 4 * WatchStream::kWindow; ++i) {
    deliver(i, kBytes);
  }
  std::int64_t read = 0;
  while (read_id() == read) ++read;
  EXPECT_LT(read, 8 * WatchStream::kWindow);
  const grpc::Status status = stream_->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(status.error_message(), "etcdserver: too many requests");
}

TEST_F(WatchTest, AClientThatAsksWithoutReadingIsNotReadFrom) {
  constexpr std::size_t kBytes = 256 * 1024;
  for (int i = 0; i < 2 * WatchStream::kWindow; ++i) deliver(i, kBytes);
  // Requests fill the connection's window and stay there; as soon as the client reads they pass.
  pb::WatchRequest progress;
  progress.mutable_progress_request();
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(stream_->Write(progress));
  {
    const std::lock_guard lock(notes().mutex);
    EXPECT_LT(notes().progress_requests, 100);
  }
  for (int i = 0; i < 2 * WatchStream::kWindow; ++i) ASSERT_EQ(read_id(), i);
  EXPECT_TRUE(notes().wait([&] { return notes().progress_requests == 100; }));
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
