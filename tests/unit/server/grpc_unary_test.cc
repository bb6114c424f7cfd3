// Unary calls through a real channel: each reaches its handler, and comes back, and every refusal
// arrives with its code and text.

#include <future>
#include <thread>
#include <vector>

#include <grpcpp/generic/generic_stub.h>

#include "tests/unit/server/front_fixture.h"

namespace conclave::server {
namespace {

namespace pb = etcdserverpb;

class UnaryTest : public FrontTest {
 protected:
  // Calls, expects success, returns what the handler noted of the request.
  template <class Stub, class Request, class Response>
  std::string noted(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                    Stub& stub, const Request& request, Response& response) {
    const grpc::Status status = (stub.*method)(context().get(), request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    EXPECT_GT(response.header().revision(), 0) << request.GetTypeName();
    return handler_.last(request.GetTypeName());
  }

  grpc::Status put(const std::string& value) {
    pb::PutRequest request;
    request.set_key("k");
    request.set_value(value);
    pb::PutResponse response;
    return pb::KV::NewStub(channel_)->Put(context().get(), request, &response);
  }
};

TEST_F(UnaryTest, KvCallsReachTheirHandlers) {
  pb::KV::Stub stub(channel_);
  pb::RangeRequest range;
  range.set_key("r");
  pb::RangeResponse ranged;
  EXPECT_EQ(noted(&pb::KV::Stub::Range, stub, range, ranged), "key: \"r\"");
  ASSERT_EQ(ranged.kvs_size(), 1);
  EXPECT_EQ(ranged.kvs(0).key(), "r");

  pb::PutRequest put;
  put.set_key("p");
  put.set_lease(5);
  pb::PutResponse stored;
  EXPECT_EQ(noted(&pb::KV::Stub::Put, stub, put, stored), "key: \"p\" lease: 5");
  EXPECT_EQ(stored.prev_kv().key(), "p");

  pb::DeleteRangeRequest erase;
  erase.set_key("d");
  pb::DeleteRangeResponse erased;
  EXPECT_EQ(noted(&pb::KV::Stub::DeleteRange, stub, erase, erased), "key: \"d\"");
  EXPECT_EQ(erased.deleted(), 3);

  pb::TxnRequest txn;
  txn.add_success()->mutable_request_put()->set_key("t");
  pb::TxnResponse done;
  EXPECT_EQ(noted(&pb::KV::Stub::Txn, stub, txn, done), "success { request_put { key: \"t\" } }");
  EXPECT_TRUE(done.succeeded());

  pb::CompactionRequest compaction;
  compaction.set_revision(9);
  pb::CompactionResponse compacted;
  EXPECT_EQ(noted(&pb::KV::Stub::Compact, stub, compaction, compacted), "revision: 9");
}

TEST_F(UnaryTest, LeaseCallsReachTheirHandlers) {
  pb::Lease::Stub stub(channel_);
  pb::LeaseGrantRequest grant;
  grant.set_ttl(4);
  grant.set_id(-3);
  pb::LeaseGrantResponse granted;
  EXPECT_EQ(noted(&pb::Lease::Stub::LeaseGrant, stub, grant, granted), "TTL: 4 ID: -3");
  EXPECT_EQ(granted.id(), -3);

  pb::LeaseRevokeRequest revoke;
  revoke.set_id(3);
  pb::LeaseRevokeResponse revoked;
  EXPECT_EQ(noted(&pb::Lease::Stub::LeaseRevoke, stub, revoke, revoked), "ID: 3");

  pb::LeaseTimeToLiveRequest ask;
  ask.set_id(3);
  ask.set_keys(true);
  pb::LeaseTimeToLiveResponse told;
  EXPECT_EQ(noted(&pb::Lease::Stub::LeaseTimeToLive, stub, ask, told), "ID: 3 keys: true");
  EXPECT_EQ(told.grantedttl(), 60);

  pb::LeaseLeasesRequest list;
  pb::LeaseLeasesResponse listed;
  EXPECT_EQ(noted(&pb::Lease::Stub::LeaseLeases, stub, list, listed), "");
  EXPECT_EQ(listed.leases_size(), 1);
}

TEST_F(UnaryTest, MaintenanceAndClusterCallsReachTheirHandlers) {
  pb::Maintenance::Stub maintenance(channel_);
  pb::StatusRequest ask;
  pb::StatusResponse told;
  noted(&pb::Maintenance::Stub::Status, maintenance, ask, told);
  EXPECT_EQ(told.version(), "3.7.0");

  pb::HashKVRequest hash;
  hash.set_revision(5);
  pb::HashKVResponse hashed;
  EXPECT_EQ(noted(&pb::Maintenance::Stub::HashKV, maintenance, hash, hashed), "revision: 5");
  EXPECT_EQ(hashed.hash(), 4711U);

  pb::AlarmRequest raise;
  raise.set_memberid(9);
  pb::AlarmResponse raised;
  EXPECT_EQ(noted(&pb::Maintenance::Stub::Alarm, maintenance, raise, raised), "memberID: 9");
  ASSERT_EQ(raised.alarms_size(), 1);
  EXPECT_EQ(raised.alarms(0).memberid(), 9U);

  pb::Cluster::Stub cluster(channel_);
  pb::MemberListRequest list;
  list.set_linearizable(true);
  pb::MemberListResponse listed;
  EXPECT_EQ(noted(&pb::Cluster::Stub::MemberList, cluster, list, listed), "linearizable: true");
  ASSERT_EQ(listed.members_size(), 1);
  EXPECT_EQ(listed.members(0).name(), "pretend");
}

TEST_F(UnaryTest, EveryRefusalArrivesWithItsCodeAndText) {
  for (int i = 0; i <= static_cast<int>(api::Refusal::leader_transfer_timeout); ++i) {
    const auto refusal = static_cast<api::Refusal>(i);
    handler_.refuse_with(refusal);
    const grpc::Status status = put("v");
    EXPECT_EQ(static_cast<int>(status.error_code()), static_cast<int>(api::text_of(refusal).code));
    EXPECT_EQ(status.error_message(), api::text_of(refusal).text);
  }
  handler_.refuse_with(std::nullopt);
  EXPECT_TRUE(put("v").ok());
}

TEST_F(UnaryTest, WhoWantsALeaderIsRefusedWhereThereIsNone) {
  pb::KV::Stub stub(channel_);
  for (const bool there_is_one : {true, false}) {
    if (!there_is_one) handler_.lose_leader();
    for (const char* wants : {"", "false", "true"}) {
      const auto context = FrontTest::context();
      if (*wants != 0) context->AddMetadata("hasleader", wants);
      pb::RangeResponse response;
      const grpc::Status status = stub.Range(context.get(), pb::RangeRequest(), &response);
      EXPECT_EQ(status.ok(), there_is_one || std::string(wants) != "true") << wants;
      EXPECT_EQ(status.error_message(), status.ok() ? "" : "etcdserver: no leader");
    }
  }
}

TEST_F(UnaryTest, WhoHasAPasswordGoesOnWithout) {
  pb::AuthenticateResponse authenticated;
  const grpc::Status status =
      pb::Auth::NewStub(channel_)->Authenticate(context().get(), {}, &authenticated);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(status.error_message(), "etcdserver: authentication is not enabled");
}

TEST_F(UnaryTest, BytesThatAreNoMessageAreAnInternalErrorAndReachNobody) {
  const grpc::Slice bytes("\x0a\x64too short");
  const grpc::ByteBuffer request(&bytes, 1);
  grpc::GenericStub stub(channel_);
  grpc::CompletionQueue queue;
  const auto with = context();
  const auto call = stub.PrepareUnaryCall(with.get(), "/etcdserverpb.KV/Put", request, &queue);
  grpc::ByteBuffer response;
  grpc::Status status;
  call->StartCall();
  call->Finish(&response, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  ASSERT_TRUE(queue.Next(&tag, &ok));
  queue.Shutdown();
  EXPECT_FALSE(queue.Next(&tag, &ok));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INTERNAL);
  EXPECT_EQ(handler_.last("etcdserverpb.PutRequest"), "");
  EXPECT_TRUE(put("v").ok());
}

TEST_F(UnaryTest, RequestsFarOverTheLimitAreRefusedUnread) {
  FrontOptions options;
  options.max_request_bytes = 1000;
  listen(options);
  EXPECT_TRUE(put(std::string(500 * 1024, 'x')).ok()) << "the handler decides near the limit";
  const grpc::Status status = put(std::string(514 * 1024, 'x'));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_TRUE(put("v").ok()) << "the connection lives on";
}

TEST_F(UnaryTest, LargeRepliesPass) {
  const std::string key(1'500'000, 'k');
  pb::RangeRequest request;
  request.set_key(key);
  pb::RangeResponse response;
  const auto status = pb::KV::NewStub(channel_)->Range(context().get(), request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.kvs(0).key(), key);
}

TEST_F(UnaryTest, RepliesThatComeOutOfOrderFindTheirCalls) {
  handler_.hold();
  std::vector<std::future<std::string>> calls;
  for (int i = 0; i < 8; ++i) {
    calls.push_back(std::async(std::launch::async, [this, i] {
      pb::RangeRequest request;
      request.set_key("key" + std::to_string(i));
      pb::RangeResponse response;
      const auto status = pb::KV::NewStub(channel_)->Range(context().get(), request, &response);
      return status.ok() ? response.kvs(0).key() : status.error_message();
    }));
  }
  ASSERT_TRUE(handler_.wait_for_held(8));
  for (int i = 7; i >= 0; --i) handler_.answer(static_cast<std::size_t>(i));
  for (int i = 0; i < 8; ++i)
    EXPECT_EQ(calls[static_cast<std::size_t>(i)].get(), "key" + std::to_string(i));
}

TEST_F(UnaryTest, AnAnswerAfterTheClientLeftIsHarmless) {
  handler_.hold();
  auto hurried = std::make_unique<grpc::ClientContext>();
  std::thread leaver([&] {
    EXPECT_TRUE(handler_.wait_for_held(1));
    hurried->TryCancel();
  });
  pb::PutResponse response;
  EXPECT_EQ(pb::KV::NewStub(channel_)->Put(hurried.get(), {}, &response).error_code(),
            grpc::StatusCode::CANCELLED);
  leaver.join();
  handler_.answer(0);
}

TEST_F(UnaryTest, TheStreamLimitOfAConnectionHolds) {
  FrontOptions options;
  options.max_concurrent_streams = 2;
  listen(options);
  handler_.hold();
  // A client learns the limit with the server's first frame; a finished call makes that sure.
  auto first = std::async(std::launch::async, [this] { return put("v"); });
  ASSERT_TRUE(handler_.wait_for_held(1));
  handler_.answer(0);
  ASSERT_TRUE(first.get().ok());
  std::vector<std::future<grpc::Status>> calls;
  for (int i = 0; i < 5; ++i) {
    calls.push_back(std::async(std::launch::async, [this] { return put("v"); }));
  }
  std::size_t most = 0;
  for (int answered = 0; answered < 5; ++answered) {
    ASSERT_TRUE(handler_.wait_for_held(1));
    most = std::max(most, handler_.held());
    handler_.answer(0);
  }
  for (auto& call : calls) EXPECT_TRUE(call.get().ok());
  EXPECT_LE(most, 2U);
}

TEST_F(UnaryTest, HealthOfTheWholeServerIsServing) {
  grpc::GenericStub stub(channel_);
  const auto call_context = context();
  grpc::ByteBuffer request;
  grpc::ByteBuffer response;
  std::promise<grpc::Status> finished;
  grpc::Slice nothing;
  request = grpc::ByteBuffer(&nothing, 1);
  stub.UnaryCall(call_context.get(), "/grpc.health.v1.Health/Check", grpc::StubOptions(), &request,
                 &response, [&](const grpc::Status& status) { finished.set_value(status); });
  const grpc::Status status = finished.get_future().get();
  ASSERT_TRUE(status.ok()) << status.error_message();
  grpc::Slice bytes;
  ASSERT_TRUE(response.DumpToSingleSlice(&bytes).ok());
  // HealthCheckResponse{status: SERVING}
  EXPECT_EQ(std::string(bytes.begin(), bytes.end()), std::string("\x08\x01"));
}

}  // namespace
}  // namespace conclave::server
