#include "tests/api/api_fixture.h"

namespace conclave::test {

CONCLAVE_API_SUITE(PutTest);
CONCLAVE_API_SUITE(DeleteTest);
CONCLAVE_API_SUITE(CompactTest);

TEST_P(PutTest, MovesTheRevisionAndTheVersion) {
  EXPECT_EQ(put("key: 'a' value: '1'"), "@1");
  EXPECT_EQ(put("key: 'a' value: '1'"), "@2");
  EXPECT_EQ(put("key: 'b'"), "@3");
  EXPECT_EQ(range("key: 'a' range_end: 'c'"), "@3 count=2 [a=1{c1 m2 v2}, b={c3 m3 v1}]");
}

TEST_P(PutTest, ReturnsThePreviousValueOnRequest) {
  EXPECT_EQ(put("key: 'a' value: '1' prev_kv: true"), "@1");
  EXPECT_EQ(put("key: 'a' value: '2' prev_kv: true"), "@2 prev a=1{c1 m1 v1}");
}

TEST_P(PutTest, IgnoreValueKeepsIt) {
  put("key: 'a' value: '1'");
  EXPECT_EQ(put("key: 'a' ignore_value: true"), "@2");
  EXPECT_EQ(range("key: 'a'"), "@2 count=1 [a=1{c1 m2 v2}]");
  EXPECT_EQ(put("key: 'a' ignore_value: true prev_kv: true"), "@3 prev a=1{c1 m2 v2}");
}

TEST_P(PutTest, IgnoreLeaseKeepsIt) {
  grant("ID: 7 TTL: 100");
  put("key: 'a' value: '1' lease: 7");
  EXPECT_EQ(put("key: 'a' value: '2' ignore_lease: true"), "@2");
  EXPECT_EQ(range("key: 'a'"), "@2 count=1 [a=2{c1 m2 v2 l7}]");
  EXPECT_EQ(time_to_live("ID: 7 keys: true"), "@2 id=7 ttl=whole granted=100 [a]");
}

TEST_P(PutTest, Refusals) {
  EXPECT_EQ(put("value: '1'"), "INVALID_ARGUMENT etcdserver: key is not provided");
  EXPECT_EQ(put("key: 'a' value: '1' ignore_value: true"),
            "INVALID_ARGUMENT etcdserver: value is provided");
  EXPECT_EQ(put("key: 'a' lease: 1 ignore_lease: true"),
            "INVALID_ARGUMENT etcdserver: lease is provided");
  EXPECT_EQ(put("key: 'a' ignore_value: true"), "INVALID_ARGUMENT etcdserver: key not found");
  EXPECT_EQ(put("key: 'a' ignore_lease: true"), "INVALID_ARGUMENT etcdserver: key not found");
  EXPECT_EQ(put("key: 'a' lease: 99"), "NOT_FOUND etcdserver: requested lease not found");
  EXPECT_EQ(put("key: 'a' lease: 99 ignore_value: true"),
            "NOT_FOUND etcdserver: requested lease not found");
  EXPECT_EQ(range("key: 'a'"), "@0 count=0");
}

TEST_P(PutTest, RefusesARequestThatIsTooLarge) {
  const std::string value(1'600'000, 'x');
  EXPECT_EQ(put("key: 'a' value: '" + value + "'"),
            "INVALID_ARGUMENT etcdserver: request is too large");
  EXPECT_EQ(range("key: 'a'"), "@0 count=0");
}

// The text is the gRPC library's own.
TEST_P(PutTest, RefusesAFrameThatIsTooLarge) {
  const std::string refusal = put("key: 'a' value: '" + std::string(2'200'000, 'x') + "'");
  EXPECT_EQ(refusal.substr(0, refusal.find(' ')), "RESOURCE_EXHAUSTED");
  EXPECT_EQ(range("key: 'a'"), "@0 count=0");
}

TEST_P(DeleteTest, DeletesAKeyOrARange) {
  put("key: 'a' value: '1'");
  put("key: 'b' value: '2'");
  put("key: 'c' value: '3'");
  EXPECT_EQ(del("key: 'b'"), "@4 deleted=1");
  EXPECT_EQ(del("key: 'a' range_end: 'c' prev_kv: true"), "@5 deleted=1 prev [a=1{c1 m1 v1}]");
  EXPECT_EQ(del("key: '\\0' range_end: '\\0'"), "@6 deleted=1");
}

TEST_P(DeleteTest, NothingThereIsNoRevision) {
  put("key: 'a' value: '1'");
  EXPECT_EQ(del("key: 'x'"), "@1 deleted=0");
  EXPECT_EQ(del("key: 'b' range_end: 'a' prev_kv: true"), "@1 deleted=0");
  EXPECT_EQ(del(""), "INVALID_ARGUMENT etcdserver: key is not provided");
}

TEST_P(CompactTest, DropsThePastUpToARevision) {
  put("key: 'a' value: '1'");
  put("key: 'a' value: '2'");
  put("key: 'a' value: '3'");
  EXPECT_EQ(compact("revision: $2"), "@3");
  EXPECT_EQ(range("key: 'a' revision: $2"), "@3 count=1 [a=2{c1 m2 v2}]");
  EXPECT_EQ(compact("revision: $3 physical: true"), "@3");
  EXPECT_EQ(range("key: 'a' revision: $3"), "@3 count=1 [a=3{c1 m3 v3}]");
}

TEST_P(CompactTest, RefusesAPastAndAFutureRevision) {
  const std::string compacted =
      "OUT_OF_RANGE etcdserver: mvcc: required revision has been compacted";
  put("key: 'a' value: '1'");
  EXPECT_EQ(compact("revision: $2"),
            "OUT_OF_RANGE etcdserver: mvcc: required revision is a future revision");
  EXPECT_EQ(compact("revision: $1"), "@1");
  EXPECT_EQ(compact("revision: $1"), compacted);
  EXPECT_EQ(compact("revision: $0"), compacted);
  EXPECT_EQ(compact(""), compacted);
  EXPECT_EQ(compact("revision: -1"), compacted);
}

TEST_P(CompactTest, TheFirstCompactionMayNameRevisionZero) {
  use_fresh_server();
  EXPECT_EQ(put("key: 'a' value: '1'"), "@2");
  EXPECT_EQ(compact("revision: 0"), "@2");
  EXPECT_EQ(compact("revision: 0"),
            "OUT_OF_RANGE etcdserver: mvcc: required revision has been compacted");
  EXPECT_EQ(compact("revision: 1 physical: true"), "@2");
  EXPECT_EQ(range("key: 'a' revision: 1"), "@2 count=0");
}

TEST_P(CompactTest, ANegativeRevisionIsCompactedFromTheStart) {
  use_fresh_server();
  EXPECT_EQ(compact("revision: -1"),
            "OUT_OF_RANGE etcdserver: mvcc: required revision has been compacted");
  EXPECT_EQ(compact("revision: 2"),
            "OUT_OF_RANGE etcdserver: mvcc: required revision is a future revision");
  EXPECT_EQ(compact("revision: 1"), "@1");
}

TEST_P(PutTest, ALeaseMayBeNegative) {
  grant("ID: -7 TTL: 100");
  EXPECT_EQ(put("key: 'a' lease: -7"), "@1");
  EXPECT_EQ(range("key: 'a'"), "@1 count=1 [a={c1 m1 v1 l-7}]");
  EXPECT_EQ(put("key: 'a' lease: -8"), "NOT_FOUND etcdserver: requested lease not found");
  EXPECT_EQ(revoke("ID: -7"), "@2");
  EXPECT_EQ(range("key: 'a'"), "@2 count=0");
}

TEST_P(PutTest, IgnoringBothKeepsBoth) {
  grant("ID: 7 TTL: 100");
  put("key: 'a' value: '1' lease: 7");
  EXPECT_EQ(put("key: 'a' ignore_value: true ignore_lease: true"), "@2");
  EXPECT_EQ(range("key: 'a'"), "@2 count=1 [a=1{c1 m2 v2 l7}]");
  EXPECT_EQ(put("key: 'a' value: '1' lease: 7 ignore_value: true ignore_lease: true"),
            "INVALID_ARGUMENT etcdserver: value is provided");
}

TEST_P(DeleteTest, DetachesTheLeaseAndEndsTheVersions) {
  grant("ID: 7 TTL: 100");
  put("key: 'a' value: '1' lease: 7");
  EXPECT_EQ(del("key: 'a' range_end: '\\0' prev_kv: true"), "@2 deleted=1 prev [a=1{c1 m1 v1 l7}]");
  EXPECT_EQ(time_to_live("ID: 7 keys: true"), "@2 id=7 ttl=whole granted=100");
  put("key: 'a' value: '2'");
  EXPECT_EQ(range("key: 'a'"), "@3 count=1 [a=2{c3 m3 v1}]");
}

}  // namespace conclave::test
