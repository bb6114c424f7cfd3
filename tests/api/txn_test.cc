#include <string>

#include "tests/api/api_fixture.h"

namespace conclave::test {
namespace {

std::string repeat(int times, const std::string& text) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

std::string puts(const std::string& branch, int count) {
  std::string all;
  for (int i = 0; i < count; ++i) {
    all += branch + " { request_put { key: 'k" + std::to_string(i) + "' } } ";
  }
  return all;
}

const char* const kTooMany = "INVALID_ARGUMENT etcdserver: too many operations in txn request";
const char* const kDuplicate = "INVALID_ARGUMENT etcdserver: duplicate key given in txn request";

}  // namespace

CONCLAVE_API_SUITE(TxnTest);

TEST_P(TxnTest, AllOperationsShareARevisionAndSeeThoseBefore) {
  EXPECT_EQ(txn("success { request_range { key: 'a' } }"
                "success { request_put { key: 'a' value: '1' } }"
                "success { request_range { key: 'a' } }"
                "success { request_put { key: 'b' value: '2' prev_kv: true } }"
                "success { request_delete_range { key: 'c' range_end: 'z' } }"),
            "@1 then [range @0~ count=0, put @1~, range @1~ count=1 [a=1{c1 m1 v1}], put @1~, "
            "delete @1~ deleted=0]");
  EXPECT_EQ(range("key: 'a' range_end: 'c'"), "@1 count=2 [a=1{c1 m1 v1}, b=2{c1 m1 v1}]");
}

TEST_P(TxnTest, WithoutAChangeItIsNoRevision) {
  put("key: 'a' value: '1'");
  EXPECT_EQ(txn(""), "@1 then []");
  EXPECT_EQ(txn("success { request_range { key: 'a' revision: $1 } }"),
            "@1 then [range @1~ count=1 [a=1{c1 m1 v1}]]");
  EXPECT_EQ(txn("success { request_delete_range { key: 'x' prev_kv: true } }"),
            "@1 then [delete @1~ deleted=0]");
  EXPECT_EQ(put("key: 'b'"), "@2");
}

TEST_P(TxnTest, ADeleteAndAnEarlierRangeInOne) {
  put("key: 'a' value: '1'");
  EXPECT_EQ(txn("compare { key: 'a' target: VERSION version: 2 }"
                "failure { request_delete_range { key: 'a' prev_kv: true } }"
                "failure { request_range { key: 'a' } }"
                "failure { request_range { key: 'a' revision: $1 } }"),
            "@2 else [delete @2~ deleted=1 prev [a=1{c1 m1 v1}], range @2~ count=0, "
            "range @2~ count=1 [a=1{c1 m1 v1}]]");
}

TEST_P(TxnTest, NestedOnesTakeTheirOwnBranch) {
  put("key: 'a' value: '1'");
  EXPECT_EQ(txn("success { request_txn {"
                "  compare { key: 'a' target: VALUE value: '2' }"
                "  success { request_put { key: 'x' } }"
                "  failure { request_put { key: 'x' } }"
                "  failure { request_txn { success { request_range { key: 'x' } } } } } }"
                "success { request_put { key: 'b' } }"),
            "@2 then [txn @-~ else [put @2~, txn @-~ then [range @2~ count=1 [x={c2 m2 v1}]]], "
            "put @2~]");
}

// All compares see the state before the transaction.
TEST_P(TxnTest, NestedComparesDoNotSeeItsOwnWrites) {
  EXPECT_EQ(txn("success { request_put { key: 'a' value: '1' } }"
                "success { request_txn {"
                "  compare { key: 'a' target: VERSION version: 1 }"
                "  success { request_range { key: 'a' } } } }"),
            "@1 then [put @1~, txn @-~ else []]");
}

TEST_P(TxnTest, RefusesMoreOperationsThanTheLimit) {
  const std::string compare = "compare { key: 'a' target: VERSION version: 0 } ";
  EXPECT_EQ(txn(repeat(128, compare)), "@0 then []");
  EXPECT_EQ(txn(repeat(129, compare)), kTooMany);
  EXPECT_EQ(txn(puts("success", 129)), kTooMany);
  EXPECT_EQ(txn(puts("failure", 129)), kTooMany);
  EXPECT_EQ(txn(puts("failure", 128) + "success { request_range { key: 'a' } }"),
            "@0 then [range @0~ count=0]");
}

// A nested transaction may have what the longest list of the one around it leaves.
TEST_P(TxnTest, NestedOnesShareTheLimit) {
  const std::string inner_99 = "success { request_txn { " + puts("failure", 99) + " } } ";
  const std::string inner_100 = "success { request_txn { " + puts("failure", 100) + " } } ";
  const std::string fill = repeat(28, "failure { request_range { key: 'a' } } ");
  EXPECT_EQ(txn(inner_100 + fill), "@0 then [txn @-~ then []]");
  EXPECT_EQ(txn(inner_100 + fill + "failure { request_range { key: 'a' } } "), kTooMany);
  EXPECT_EQ(txn(inner_99 + fill + "failure { request_range { key: 'a' } } "),
            "@0 then [txn @-~ then []]");
}

TEST_P(TxnTest, RefusesAKeyThatIsWrittenTwice) {
  const std::string put_a = "success { request_put { key: 'a' } } ";
  const std::string del_a = "success { request_delete_range { key: 'a' } } ";
  const std::string del_range = "success { request_delete_range { key: '0' range_end: 'b' } } ";
  const std::string nested_put =
      "success { request_txn { failure { request_put { key: 'a' } } } } ";
  const std::string nested_del =
      "success { request_txn { success { request_delete_range { key: 'a' } } } } ";
  EXPECT_EQ(txn(put_a + put_a), kDuplicate);
  EXPECT_EQ(txn(put_a + del_a), kDuplicate);
  EXPECT_EQ(txn(del_range + put_a), kDuplicate);
  EXPECT_EQ(txn(put_a + nested_put), kDuplicate);
  EXPECT_EQ(txn(nested_put + nested_put), kDuplicate);
  EXPECT_EQ(txn(nested_del + put_a), kDuplicate);
  EXPECT_EQ(txn(del_a + nested_put), kDuplicate);
  EXPECT_EQ(txn(del_a + del_range), "@0 then [delete @0~ deleted=0, delete @0~ deleted=0]");
  EXPECT_EQ(txn("failure { request_put { key: 'a' } } " + del_a), "@0 then [delete @0~ deleted=0]");
}

TEST_P(TxnTest, BothBranchesOfANestedOneMayWriteAKey) {
  EXPECT_EQ(txn("success { request_txn { success { request_put { key: 'a' } }"
                "  failure { request_put { key: 'a' } } } }"),
            "@1 then [txn @-~ then [put @1~]]");
}

TEST_P(TxnTest, RefusesWhatAnOperationAloneWouldBeRefusedFor) {
  const auto of = [this](const std::string& operation) {
    return txn("failure { " + operation + " }");
  };
  const std::string no_key = "INVALID_ARGUMENT etcdserver: key is not provided";
  EXPECT_EQ(of(""), "INVALID_ARGUMENT etcdserver: key not found");
  EXPECT_EQ(of("request_range {}"), no_key);
  EXPECT_EQ(of("request_put {}"), no_key);
  EXPECT_EQ(of("request_delete_range {}"), no_key);
  EXPECT_EQ(of("request_txn { compare {} }"), no_key);
  EXPECT_EQ(of("request_put { key: 'a' value: '1' ignore_value: true }"),
            "INVALID_ARGUMENT etcdserver: value is provided");
  EXPECT_EQ(of("request_put { key: 'a' lease: 1 ignore_lease: true }"),
            "INVALID_ARGUMENT etcdserver: lease is provided");
  EXPECT_EQ(txn("compare { target: VERSION }"), no_key);
}

TEST_P(TxnTest, OneRefusalAtItsTurnRefusesAll) {
  put("key: 'a' value: '1'");
  const auto after_put = [this](const std::string& operation) {
    return txn("success { request_put { key: 'b' } } success { " + operation + " }");
  };
  EXPECT_EQ(after_put("request_put { key: 'c' lease: 99 }"),
            "NOT_FOUND etcdserver: requested lease not found");
  EXPECT_EQ(after_put("request_put { key: 'c' ignore_value: true }"),
            "INVALID_ARGUMENT etcdserver: key not found");
  EXPECT_EQ(after_put("request_range { key: 'a' revision: $2 }"),
            "OUT_OF_RANGE etcdserver: mvcc: required revision is a future revision");
  EXPECT_EQ(after_put("request_range { key: 'a' revision: -1 }"),
            "OUT_OF_RANGE etcdserver: mvcc: required revision has been compacted");
  compact("revision: $1");
  EXPECT_EQ(after_put("request_range { key: 'a' revision: $0 }"),
            "OUT_OF_RANGE etcdserver: mvcc: required revision has been compacted");
  EXPECT_EQ(range("key: 'b'"), "@1 count=0");
}

TEST_P(TxnTest, OfSeveralRefusalsTheFirstPutsIsGiven) {
  const std::string unknown_lease = "success { request_put { key: 'c' lease: 99 } } ";
  const std::string both = "success { request_put { key: 'c' lease: 99 ignore_value: true } } ";
  const std::string future = "success { request_range { key: 'a' revision: $9 } } ";
  EXPECT_EQ(txn(future + unknown_lease), "NOT_FOUND etcdserver: requested lease not found");
  EXPECT_EQ(txn(both), "INVALID_ARGUMENT etcdserver: key not found");
  EXPECT_EQ(txn(future + "success { request_txn { " + unknown_lease + " } }"),
            "NOT_FOUND etcdserver: requested lease not found");
}

TEST_P(TxnTest, ANegativeRevisionIsCompactedHereThoughARangeTakesItForNow) {
  put("key: 'a' value: '1'");
  EXPECT_EQ(range("key: 'a' revision: -1"), "@1 count=1 [a=1{c1 m1 v1}]");
  EXPECT_EQ(txn("success { request_range { key: 'a' revision: -1 } }"),
            "OUT_OF_RANGE etcdserver: mvcc: required revision has been compacted");
}

// The branch that is not taken is not asked about the state.
TEST_P(TxnTest, TheOtherBranchMayBeImpossible) {
  EXPECT_EQ(
      txn("success { request_put { key: 'a' } } failure { request_put { key: 'b' lease: 99 } }"
          "failure { request_range { key: 'a' revision: $9 } }"),
      "@1 then [put @1~]");
}

// What a compare says, on a = "5" (create 1, modified 2, version 2, lease 7) and no key x.
class CompareTest : public ApiTest {
 protected:
  void SetUp() override {
    ApiTest::SetUp();
    if (IsSkipped()) return;
    grant("ID: 7 TTL: 100");
    put("key: 'a' value: '4'");
    put("key: 'a' value: '5' lease: 7");
    put("key: 'b' value: '6'");
  }
  bool holds(const std::string& compare) {
    return txn("compare { " + compare + " }").find("then") != std::string::npos;
  }
};
CONCLAVE_ON_BOTH_SERVERS(CompareTest);

TEST_P(CompareTest, EachTargetAndResult) {
  const auto of_a = [this](const std::string& rest) { return holds("key: 'a' " + rest); };
  EXPECT_TRUE(of_a("target: VERSION result: EQUAL version: 2"));
  EXPECT_FALSE(of_a("target: VERSION result: EQUAL version: 1"));
  EXPECT_TRUE(of_a("target: VERSION result: GREATER version: 1"));
  EXPECT_FALSE(of_a("target: VERSION result: GREATER version: 2"));
  EXPECT_TRUE(of_a("target: VERSION result: LESS version: 3"));
  EXPECT_TRUE(of_a("target: VERSION result: NOT_EQUAL version: 3"));
  EXPECT_TRUE(of_a("target: CREATE result: EQUAL create_revision: $1"));
  EXPECT_TRUE(of_a("target: CREATE result: LESS create_revision: $2"));
  EXPECT_TRUE(of_a("target: MOD result: EQUAL mod_revision: $2"));
  EXPECT_TRUE(of_a("target: MOD result: GREATER mod_revision: $1"));
  EXPECT_TRUE(of_a("target: VALUE result: EQUAL value: '5'"));
  EXPECT_TRUE(of_a("target: VALUE result: GREATER value: '44'"));
  EXPECT_TRUE(of_a("target: VALUE result: LESS value: '50'"));
  EXPECT_TRUE(of_a("target: LEASE result: EQUAL lease: 7"));
  EXPECT_TRUE(of_a("target: LEASE result: NOT_EQUAL lease: 0"));
}

TEST_P(CompareTest, AnAbsentKeyIsZeroButHasNoValue) {
  const auto of_x = [this](const std::string& rest) { return holds("key: 'x' " + rest); };
  EXPECT_TRUE(of_x("target: VERSION version: 0"));
  EXPECT_TRUE(of_x("target: CREATE create_revision: 0"));
  EXPECT_TRUE(of_x("target: MOD mod_revision: 0"));
  EXPECT_TRUE(of_x("target: LEASE lease: 0"));
  EXPECT_TRUE(of_x("target: MOD result: LESS mod_revision: 1"));
  EXPECT_FALSE(of_x("target: VALUE result: EQUAL value: ''"));
  EXPECT_FALSE(of_x("target: VALUE result: NOT_EQUAL value: 'v'"));
  EXPECT_FALSE(of_x("target: VALUE result: LESS value: 'v'"));
}

TEST_P(CompareTest, ARangeMustHoldForEveryKeyInIt) {
  EXPECT_TRUE(holds("key: 'a' range_end: 'c' target: VALUE result: GREATER value: '4'"));
  EXPECT_FALSE(holds("key: 'a' range_end: 'c' target: VALUE result: EQUAL value: '5'"));
  EXPECT_TRUE(
      holds("key: 'a' range_end: '\\0' target: CREATE result: NOT_EQUAL create_revision: 0"));
  EXPECT_TRUE(holds("key: 'x' range_end: 'z' target: MOD mod_revision: 0"));
  EXPECT_FALSE(holds("key: 'x' range_end: 'z' target: MOD mod_revision: 1"));
  EXPECT_FALSE(holds("key: 'x' range_end: 'z' target: VALUE result: NOT_EQUAL value: 'v'"));
}

// A missing operand is zero or empty; a compare of no target but the default one compares versions.
TEST_P(CompareTest, AMissingOperandIsZero) {
  EXPECT_FALSE(holds("key: 'a'"));
  EXPECT_TRUE(holds("key: 'x'"));
  EXPECT_FALSE(holds("key: 'a' target: VALUE"));
  EXPECT_TRUE(holds("key: 'b' target: LEASE"));
  EXPECT_TRUE(holds("key: 'a' target: MOD result: GREATER"));
}

TEST_P(CompareTest, OverARangeTakesEveryTarget) {
  const auto all = [this](const std::string& rest) {
    return holds("key: 'a' range_end: 'c' " + rest);
  };
  EXPECT_TRUE(all("target: VERSION result: GREATER version: 0"));
  EXPECT_FALSE(all("target: VERSION result: EQUAL version: 2"));
  EXPECT_TRUE(all("target: MOD result: LESS mod_revision: $4"));
  EXPECT_FALSE(all("target: MOD result: LESS mod_revision: $3"));
  EXPECT_TRUE(all("target: LEASE result: LESS lease: 8"));
  EXPECT_FALSE(all("target: LEASE result: EQUAL lease: 7"));
}

TEST_P(CompareTest, OnLeasesTakesNegativeOnesToo) {
  grant("ID: -9 TTL: 100");
  put("key: 'n' lease: -9");
  EXPECT_TRUE(holds("key: 'n' target: LEASE lease: -9"));
  EXPECT_TRUE(holds("key: 'n' target: LEASE result: LESS lease: 0"));
}

TEST_P(CompareTest, AnUnknownResultAsksForNothing) {
  EXPECT_TRUE(holds("key: 'a' target: VERSION result: 9 version: 77"));
  EXPECT_FALSE(holds("key: 'x' target: VALUE result: 9 value: '1'")) << "there is no value";
}

TEST_P(CompareTest, AnUnknownTargetIsEqualToAnything) {
  EXPECT_TRUE(holds("key: 'a' target: 9 result: EQUAL"));
  EXPECT_FALSE(holds("key: 'a' target: 9 result: GREATER"));
  EXPECT_FALSE(holds("key: 'a' target: 9 result: NOT_EQUAL"));
}

}  // namespace conclave::test
