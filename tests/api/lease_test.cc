#include <vector>

#include "tests/api/api_fixture.h"

namespace conclave::test {

CONCLAVE_API_SUITE(LeaseTest);

namespace {
const char* const kNotFound = "NOT_FOUND etcdserver: requested lease not found";
}

TEST_P(LeaseTest, GrantsAGivenOrADrawnId) {
  EXPECT_EQ(grant("ID: 7 TTL: 100"), "@0 id=7 ttl=100");
  EXPECT_EQ(grant("ID: -7 TTL: 100"), "@0 id=-7 ttl=100");
  EXPECT_EQ(grant("ID: 7 TTL: 50"), "FAILED_PRECONDITION etcdserver: lease already exists");
  etcdserverpb::LeaseGrantRequest request;
  etcdserverpb::LeaseGrantResponse drawn;
  request.set_ttl(100);
  ASSERT_TRUE(calls().call(request, drawn).ok());
  EXPECT_GT(drawn.id(), 0);
  EXPECT_EQ(drawn.ttl(), 100);
}

TEST_P(LeaseTest, LimitsTheTtl) {
  EXPECT_EQ(grant("ID: 1 TTL: 9000000000"), "@0 id=1 ttl=9000000000");
  EXPECT_EQ(grant("ID: 2 TTL: 9000000001"), "OUT_OF_RANGE etcdserver: too large lease TTL");
  // Both servers run with an election timeout by which etcd, too, grants a second.
  EXPECT_EQ(grant("ID: 3 TTL: 0"), "@0 id=3 ttl=1");
  EXPECT_EQ(grant("ID: 4 TTL: -5"), "@0 id=4 ttl=1");
}

TEST_P(LeaseTest, AShortTtlIsGrantedWhateverAnElectionTakes) {
  std::vector<std::string> slow_elections;
  if (GetParam() == ServerKind::etcd) slow_elections = {"--election-timeout=1000"};
  use_fresh_server(slow_elections);
  const char* const why = "etcd's time goes on without a leader, so it must last as long";
  EXPECT_EQ(grant("ID: 1 TTL: 1"), "@1 id=1 ttl=" + by_server("1", "2", why));
  EXPECT_EQ(grant("ID: 2 TTL: 0"), "@1 id=2 ttl=" + by_server("1", "2", why));
  EXPECT_EQ(grant("ID: 3 TTL: 3"), "@1 id=3 ttl=3");
}

TEST_P(LeaseTest, RevokeDeletesTheKeysInOneRevision) {
  grant("ID: 7 TTL: 100");
  put("key: 'b' lease: 7");
  put("key: 'a' lease: 7");
  put("key: 'c'");
  auto watch = this->watch();
  EXPECT_EQ(watch->create("key: '\\0' range_end: '\\0'"), "#0 @3 created");
  EXPECT_EQ(revoke("ID: 7"), "@4");
  EXPECT_EQ(watch->next(), "#0 @4 [delete a={m4}, delete b={m4}]");
  EXPECT_EQ(range("key: '\\0' range_end: '\\0'"), "@4 count=1 [c={c3 m3 v1}]");
  EXPECT_EQ(revoke("ID: 7"), kNotFound);
}

TEST_P(LeaseTest, RevokeWithoutKeysIsNoRevision) {
  grant("ID: 7 TTL: 100");
  EXPECT_EQ(revoke("ID: 7"), "@0");
  EXPECT_EQ(revoke("ID: 0"), kNotFound);
}

TEST_P(LeaseTest, KeepAliveAnswersTheTtlAndZeroForUnknownOnes) {
  grant("ID: 7 TTL: 100");
  EXPECT_EQ(keep_alive("ID: 7"), "@0 id=7 ttl=100");
  EXPECT_EQ(keep_alive("ID: 8"), "@0 id=8 ttl=0");
  EXPECT_EQ(keep_alive("ID: 0"), "@0 id=0 ttl=0");
}

TEST_P(LeaseTest, AnUnknownLeaseDoesNotEndTheKeepAliveStream) {
  grant("ID: 7 TTL: 100");
  const auto stub = etcdserverpb::Lease::NewStub(server().channel());
  grpc::ClientContext context;
  const auto stream = stub->LeaseKeepAlive(&context);
  std::vector<std::int64_t> ttls;
  for (const std::int64_t id : {7, 8, 7}) {
    etcdserverpb::LeaseKeepAliveRequest request;
    etcdserverpb::LeaseKeepAliveResponse response;
    request.set_id(id);
    ASSERT_TRUE(stream->Write(request) && stream->Read(&response));
    ttls.push_back(response.ttl());
  }
  EXPECT_EQ(ttls, (std::vector<std::int64_t>{100, 0, 100}));
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_P(LeaseTest, TimeToLive) {
  grant("ID: 7 TTL: 100");
  put("key: 'a' lease: 7");
  put("key: 'b' lease: 7");
  EXPECT_EQ(time_to_live("ID: 7"), "@2 id=7 ttl=whole granted=100");
  EXPECT_EQ(time_to_live("ID: 7 keys: true"), "@2 id=7 ttl=whole granted=100 [a, b]");
  EXPECT_EQ(time_to_live("ID: 8 keys: true"), "@2 id=8 ttl=-1 granted=0");
}

TEST_P(LeaseTest, ListsThemByExpiry) {
  EXPECT_EQ(leases(), "@0 []");
  grant("ID: 3 TTL: 300");
  grant("ID: 1 TTL: 100");
  grant("ID: 2 TTL: 200");
  EXPECT_EQ(leases(), "@0 [1, 2, 3]");
  keep_alive("ID: 1");
  EXPECT_EQ(leases(), "@0 [1, 2, 3]");
}

TEST_P(LeaseTest, AKeyLeavesItsLeaseWhenItIsPutAgainOrDeleted) {
  grant("ID: 7 TTL: 100");
  grant("ID: 8 TTL: 100");
  put("key: 'a' lease: 7");
  put("key: 'b' lease: 7");
  put("key: 'c' lease: 7");
  put("key: 'd' lease: 7");
  put("key: 'a'");
  put("key: 'b' lease: 8");
  del("key: 'c'");
  EXPECT_EQ(time_to_live("ID: 7 keys: true"), "@7 id=7 ttl=whole granted=100 [d]");
  EXPECT_EQ(time_to_live("ID: 8 keys: true"), "@7 id=8 ttl=whole granted=100 [b]");
  EXPECT_EQ(revoke("ID: 7"), "@8");
  EXPECT_EQ(range("key: 'a' range_end: 'z'"), "@8 count=2 [a={c1 m5 v2}, b={c2 m6 v2 l8}]");
}

TEST_P(LeaseTest, ExpiryDeletesTheKeysAsARevokeDoes) {
  grant("ID: 7 TTL: 1");
  put("key: 'a' lease: 7");
  auto watch = this->watch();
  EXPECT_EQ(watch->create("key: 'a' start_revision: $1 prev_kv: true"), "#0 @1 created");
  EXPECT_EQ(watch->next(), "#0 @1 [put a={c1 m1 v1 l7}]");
  EXPECT_EQ(watch->next(), "#0 @2 [delete a={m2} was a={c1 m1 v1 l7}]");
  EXPECT_EQ(time_to_live("ID: 7"), "@2 id=7 ttl=-1 granted=0");
}

TEST_P(LeaseTest, NoIdIsNoLease) {
  EXPECT_EQ(time_to_live("ID: 0"), "@0 id=0 ttl=-1 granted=0");
  EXPECT_EQ(time_to_live("ID: -3"), "@0 id=-3 ttl=-1 granted=0");
  EXPECT_EQ(revoke("ID: -3"), kNotFound);
}

TEST_P(LeaseTest, ANegativeOneLivesLikeOthers) {
  grant("ID: -7 TTL: 100");
  put("key: 'a' lease: -7");
  EXPECT_EQ(keep_alive("ID: -7"), "@1 id=-7 ttl=100");
  EXPECT_EQ(time_to_live("ID: -7 keys: true"), "@1 id=-7 ttl=whole granted=100 [a]");
  EXPECT_EQ(leases(), "@1 [-7]");
}

TEST_P(LeaseTest, AnExpiredOneIsUnknown) {
  grant("ID: 7 TTL: 1");
  EXPECT_TRUE(wait_until([this] { return leases() == "@0 []"; }));
  EXPECT_EQ(keep_alive("ID: 7"), "@0 id=7 ttl=0");
  EXPECT_EQ(revoke("ID: 7"), kNotFound);
  EXPECT_EQ(put("key: 'a' lease: 7"), kNotFound);
  EXPECT_EQ(grant("ID: 7 TTL: 100"), "@0 id=7 ttl=100");
}

}  // namespace conclave::test
