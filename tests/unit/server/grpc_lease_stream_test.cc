// LeaseKeepAlive: many renewals in flight on one stream, replies in the order of the requests.

#include <algorithm>

#include "tests/unit/server/front_fixture.h"

namespace conclave::server {
namespace {

namespace pb = etcdserverpb;

class KeepAliveTest : public FrontTest {
 protected:
  void SetUp() override {
    FrontTest::SetUp();
    context_ = context();
    stream_ = pb::Lease::NewStub(channel_)->LeaseKeepAlive(context_.get());
  }
  void ask(std::int64_t id) {
    pb::LeaseKeepAliveRequest request;
    request.set_id(id);
    ASSERT_TRUE(stream_->Write(request));
  }
  std::int64_t read_id() {
    pb::LeaseKeepAliveResponse response;
    return stream_->Read(&response) ? response.id() : -1;
  }

  std::unique_ptr<grpc::ClientContext> context_;
  std::unique_ptr<grpc::ClientReaderWriter<pb::LeaseKeepAliveRequest, pb::LeaseKeepAliveResponse>>
      stream_;
};

TEST_F(KeepAliveTest, RepliesKeepTheOrderOfTheRequests) {
  handler_.hold();
  for (std::int64_t id = 1; id <= 5; ++id) ask(id);
  ASSERT_TRUE(handler_.wait_for_held(5)) << "no request waits for the reply of another";
  for (const std::size_t index : {4U, 2U, 0U, 1U, 0U}) handler_.answer(index);
  for (std::int64_t id = 1; id <= 5; ++id) EXPECT_EQ(read_id(), id);
}

TEST_F(KeepAliveTest, WhoWantsALeaderIsToldThatThereIsNone) {
  const auto wanting = context();
  wanting->AddMetadata("hasleader", "true");
  const auto stream = pb::Lease::NewStub(channel_)->LeaseKeepAlive(wanting.get());
  pb::LeaseKeepAliveRequest request;
  request.set_id(1);
  pb::LeaseKeepAliveResponse response;
  ASSERT_TRUE(stream->Write(request));
  EXPECT_TRUE(stream->Read(&response));
  handler_.lose_leader();
  ASSERT_TRUE(stream->Write(request));
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(stream->Finish().error_message(), "etcdserver: no leader");
  ask(2);
  EXPECT_EQ(read_id(), 2) << "nobody asked for a leader here";
}

TEST_F(KeepAliveTest, ThousandsMayBeAskedBeforeOneIsRead) {
  constexpr std::int64_t kCount = 5000;
  for (std::int64_t id = 1; id <= kCount; ++id) ask(id);
  stream_->WritesDone();
  for (std::int64_t id = 1; id <= kCount; ++id) ASSERT_EQ(read_id(), id);
  EXPECT_EQ(read_id(), -1);
  EXPECT_TRUE(stream_->Finish().ok());
}

TEST_F(KeepAliveTest, AClientThatIsNotAnsweredIsReadFromNoFurtherThanALimit) {
  handler_.hold();
  std::int64_t asked = 0;
  for (; asked < 600; ++asked) ask(asked);
  ASSERT_TRUE(handler_.wait_for_held(512));
  // Each reply that leaves makes room; in the end all are answered in order.
  std::size_t most = 0;
  for (std::int64_t answered = 0; answered < asked; ++answered) {
    ASSERT_TRUE(handler_.wait_for_held(1));
    most = std::max(most, handler_.held());
    handler_.answer(0);
  }
  for (std::int64_t id = 0; id < asked; ++id) ASSERT_EQ(read_id(), id);
  EXPECT_EQ(most, 512U);
}

TEST_F(KeepAliveTest, AfterTheClientsLastRequestWhatIsInFlightIsAnswered) {
  handler_.hold();
  ask(1);
  ask(2);
  stream_->WritesDone();
  ASSERT_TRUE(handler_.wait_for_held(2));
  handler_.answer(1);
  handler_.answer(0);
  EXPECT_EQ(read_id(), 1);
  EXPECT_EQ(read_id(), 2);
  EXPECT_EQ(read_id(), -1);
  EXPECT_TRUE(stream_->Finish().ok());
}

TEST_F(KeepAliveTest, ARefusalEndsTheStreamAfterTheRepliesBeforeIt) {
  handler_.hold();
  for (std::int64_t id = 1; id <= 3; ++id) ask(id);
  ASSERT_TRUE(handler_.wait_for_held(3));
  handler_.answer(1, api::Refusal::no_leader);
  handler_.answer(1);
  handler_.answer(0);
  EXPECT_EQ(read_id(), 1);
  EXPECT_EQ(read_id(), -1);
  const grpc::Status status = stream_->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(status.error_message(), "etcdserver: no leader");
}

TEST_F(KeepAliveTest, AnswersAfterTheClientLeftAreHarmless) {
  handler_.hold();
  ask(1);
  ask(2);
  ASSERT_TRUE(handler_.wait_for_held(2));
  context_->TryCancel();
  EXPECT_EQ(stream_->Finish().error_code(), grpc::StatusCode::CANCELLED);
  handler_.answer(0);
  front_->shutdown(std::chrono::seconds(10));
  handler_.answer(0);
}

}  // namespace
}  // namespace conclave::server
