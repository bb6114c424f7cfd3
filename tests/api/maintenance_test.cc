#include <cstdio>
#include <string>
#include <utility>

#include "conclave/api/health.grpc.pb.h"

#include "tests/api/api_fixture.h"

namespace conclave::test {

CONCLAVE_API_SUITE(StatusTest);
CONCLAVE_API_SUITE(DefragmentTest);
CONCLAVE_API_SUITE(SnapshotTest);
CONCLAVE_API_SUITE(HashTest);
CONCLAVE_API_SUITE(HashKvTest);
CONCLAVE_API_SUITE(MemberListTest);
CONCLAVE_API_SUITE(HealthTest);

TEST_P(StatusTest, TellsWhereTheMemberStands) {
  put("key: 'a' value: '1'");
  etcdserverpb::StatusResponse status;
  ASSERT_TRUE(calls().call(etcdserverpb::StatusRequest(), status).ok());
  EXPECT_EQ(status.header().revision(), base() + 1);
  EXPECT_NE(status.header().cluster_id(), 0U);
  EXPECT_EQ(status.leader(), status.header().member_id());
  EXPECT_EQ(status.raftterm(), status.header().raft_term());
  EXPECT_GT(status.raftappliedindex(), 0U);
  EXPECT_LE(status.raftappliedindex(), status.raftindex());
  EXPECT_GT(status.dbsize(), 0);
  EXPECT_GT(status.dbsizeinuse(), 0);
  EXPECT_LE(status.dbsizeinuse(), status.dbsize());
  EXPECT_FALSE(status.islearner());
  EXPECT_EQ(status.errors_size(), 0);
  int major = 0;
  int minor = 0;
  int patch = 0;
  char end = 0;
  EXPECT_EQ(std::sscanf(status.version().c_str(), "%d.%d.%d%c", &major, &minor, &patch, &end), 3)
      << status.version();
}

TEST_P(StatusTest, TellsTheQuotaTheStorageVersionAndOfNoDowngrade) {
  etcdserverpb::StatusResponse status;
  ASSERT_TRUE(calls().call(etcdserverpb::StatusRequest(), status).ok());
  std::string told = std::to_string(status.dbsizequota()) + " " + status.storageversion();
  if (status.has_downgradeinfo()) {
    told += status.downgradeinfo().enabled() ? " to be downgraded" : " stays";
  }
  EXPECT_EQ(told, by_server("2147483648 3.6.0 stays", "0 ", "3.6 began to say it"));
}

// From 3.4.31, 3.5.13 and 3.6.0 on Kubernetes asks for the progress of watches.
TEST_P(StatusTest, NamesAVersionThatIsAskedForProgress) {
  etcdserverpb::StatusResponse status;
  ASSERT_TRUE(calls().call(etcdserverpb::StatusRequest(), status).ok());
  int minor = 0;
  ASSERT_EQ(std::sscanf(status.version().c_str(), "3.%d.", &minor), 1) << status.version();
  EXPECT_EQ(minor >= 6 ? "asked" : "not", by_server("asked", "not", "3.4.23 is older"));
}

TEST_P(DefragmentTest, AnswersWithoutAHeaderAndKeepsEverything) {
  put("key: 'a' value: '1'");
  std::string reply;
  EXPECT_TRUE(
      call_raw(server().channel(), "/etcdserverpb.Maintenance/Defragment", "", &reply).ok());
  etcdserverpb::DefragmentResponse response;
  EXPECT_TRUE(response.ParseFromString(reply));
  EXPECT_FALSE(response.has_header());
  EXPECT_EQ(range("key: 'a'"), "@1 count=1 [a=1{c1 m1 v1}]");
}

TEST_P(SnapshotTest, ComesInPiecesUntilNothingRemains) {
  put("key: 'a' value: '" + std::string(100'000, 'x') + "'");
  const auto stub = etcdserverpb::Maintenance::NewStub(server().channel());
  grpc::ClientContext context;
  const auto stream = stub->Snapshot(&context, etcdserverpb::SnapshotRequest());
  etcdserverpb::SnapshotResponse piece;
  std::size_t bytes = 0;
  while (stream->Read(&piece)) bytes += piece.blob().size();
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_GT(bytes, 100'000U);
  EXPECT_EQ(piece.remaining_bytes(), 0U);
  constexpr std::size_t kSha256Bytes = 32;
  EXPECT_EQ(piece.blob().size() == kSha256Bytes ? "SHA-256" : "none",
            by_server("none", "SHA-256", "conclaved's has checksums of its own all along"));
}

TEST_P(HashTest, ChangesWithTheKeys) {
  const auto hash = [this] {
    std::string reply;
    EXPECT_TRUE(call_raw(server().channel(), "/etcdserverpb.Maintenance/Hash", "", &reply).ok());
    etcdserverpb::HashResponse response;
    EXPECT_TRUE(response.ParseFromString(reply));
    EXPECT_NE(response.header().member_id(), 0U);
    return std::pair(response.header().revision() - base(), response.hash());
  };
  const auto before = hash();
  put("key: 'a' value: '1'");
  const auto after = hash();
  EXPECT_EQ(before.first, 0);
  EXPECT_EQ(after.first, 1);
  EXPECT_NE(before.second, after.second);
}

// The hashes were recorded from etcd: equal histories hash equal.
TEST_P(HashKvTest, HashesAHistoryAsEtcdDoes) {
  use_fresh_server();
  grant("ID: 7 TTL: 100");
  put("key: 'a' value: '1'");
  put("key: 'a' value: '2' lease: 7");
  txn("success { request_put { key: 'b' value: '3' } } success { request_delete_range { key: 'a' } "
      "}");
  put("key: 'c' value: '4'");
  EXPECT_EQ(hash_kv(""), "@5 hash=248535638 compacted=-1");
  EXPECT_EQ(hash_kv("revision: 3"), "@5 hash=3259597905 compacted=-1");
  compact("revision: 3 physical: true");
  EXPECT_EQ(hash_kv(""), "@5 hash=2069747304 compacted=3");
  EXPECT_EQ(hash_kv("revision: 4"), "@5 hash=3900492736 compacted=3");
}

TEST_P(HashKvTest, RefusesRevisionsThatAreNotThere) {
  put("key: 'a' value: '1'");
  put("key: 'a' value: '2'");
  put("key: 'a' value: '3'");
  EXPECT_EQ(hash_kv("revision: $4"),
            "OUT_OF_RANGE etcdserver: mvcc: required revision is a future revision");
  compact("revision: $2");
  EXPECT_EQ(hash_kv("revision: $1"),
            "OUT_OF_RANGE etcdserver: mvcc: required revision has been compacted");
  EXPECT_EQ(hash_kv("revision: $2").substr(0, 8),
            by_server("@3 hash=", "OUT_OF_R", "3.6 began to answer the compact revision itself"));
}

TEST_P(HashKvTest, OfANegativeRevisionIsThatOfNothing) {
  put("key: 'a' value: '1'");
  etcdserverpb::HashKVRequest request;
  etcdserverpb::HashKVResponse response;
  request.set_revision(-3);
  ASSERT_TRUE(calls().call(request, response).ok());
  EXPECT_EQ(response.hash(), 1084519789U);
  EXPECT_EQ(response.header().revision(), base() + 1);
}

TEST_P(HashKvTest, NamesTheRevisionItIsOf) {
  put("key: 'a' value: '1'");
  etcdserverpb::HashKVResponse response;
  ASSERT_TRUE(calls().call(etcdserverpb::HashKVRequest(), response).ok());
  const bool named = response.hash_revision() == base() + 1;
  EXPECT_EQ(named ? "named" : "not", by_server("named", "not", "3.6 began to say it"));
}

TEST_P(MemberListTest, NamesTheMemberUnderAHeaderWithoutRevision) {
  put("key: 'a'");
  for (const bool linearizable : {false, true}) {
    etcdserverpb::MemberListRequest request;
    etcdserverpb::MemberListResponse response;
    request.set_linearizable(linearizable);
    ASSERT_TRUE(calls().call(request, response).ok());
    EXPECT_EQ(response.header().revision(), 0);
    EXPECT_NE(response.header().cluster_id(), 0U);
    ASSERT_EQ(response.members_size(), 1);
    const etcdserverpb::Member& member = response.members(0);
    EXPECT_EQ(member.id(), response.header().member_id());
    EXPECT_EQ(member.name(), "default");
    EXPECT_EQ(member.peerurls_size(), 1);
    EXPECT_FALSE(member.islearner());
    ASSERT_EQ(member.clienturls_size(), 1);
    EXPECT_EQ(member.clienturls(0), "http://127.0.0.1:" + std::to_string(server().port()));
  }
}

// grpc.health.v1: no service named, and the answer's status 1, SERVING.
TEST_P(HealthTest, TheServerIsServing) {
  std::string reply;
  const grpc::Status status =
      call_raw(server().channel(), "/grpc.health.v1.Health/Check", "", &reply);
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(reply, "\x08\x01");
}

TEST_P(HealthTest, AServiceByNameIsNotKnown) {
  std::string reply;
  const grpc::Status status =
      call_raw(server().channel(), "/grpc.health.v1.Health/Check", "\x0a\x05other", &reply);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(status.error_message(), "unknown service");
}

TEST_P(HealthTest, AWatchBeginsWithHowItStands) {
  const auto first = [this](const std::string& service) {
    const auto stub = grpc::health::v1::Health::NewStub(server().channel());
    grpc::ClientContext context;
    grpc::health::v1::HealthCheckRequest request;
    request.set_service(service);
    const auto stream = stub->Watch(&context, request);
    grpc::health::v1::HealthCheckResponse response;
    EXPECT_TRUE(stream->Read(&response));
    context.TryCancel();
    return response.status();
  };
  EXPECT_EQ(first(""), grpc::health::v1::HealthCheckResponse::SERVING);
  EXPECT_EQ(first("other"), grpc::health::v1::HealthCheckResponse::SERVICE_UNKNOWN);
}

}  // namespace conclave::test
