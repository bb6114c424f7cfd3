#include "tests/api/api_fixture.h"

namespace conclave::test {

CONCLAVE_API_SUITE(RangeTest);

// Revision 1 a, 2 b, 3 c, 4 b again, 5 d and then e in one transaction.
class FiveKeysTest : public RangeTest {
 protected:
  void SetUp() override {
    RangeTest::SetUp();
    if (IsSkipped()) return;
    put("key: 'a' value: '9'");
    put("key: 'b' value: '0'");
    put("key: 'c' value: '7'");
    put("key: 'b' value: '8'");
    txn("success { request_put { key: 'd' value: '5' } }"
        "success { request_put { key: 'e' value: '6' } }");
  }
};
CONCLAVE_ON_BOTH_SERVERS(FiveKeysTest);

TEST_P(FiveKeysTest, TakesOneKeyOrARange) {
  EXPECT_EQ(range("key: 'b'"), "@5 count=1 [b=8{c2 m4 v2}]");
  EXPECT_EQ(range("key: 'x'"), "@5 count=0");
  EXPECT_EQ(range("key: 'a' range_end: 'c'"), "@5 count=2 [a=9{c1 m1 v1}, b=8{c2 m4 v2}]");
  EXPECT_EQ(range("key: 'd' range_end: '\\0'"), "@5 count=2 [d=5{c5 m5 v1}, e=6{c5 m5 v1}]");
  EXPECT_EQ(range("key: '\\0' range_end: '\\0' count_only: true"), "@5 count=5");
  EXPECT_EQ(range("key: 'c' range_end: 'a'"), "@5 count=0");
  EXPECT_EQ(range("key: 'c' range_end: 'c'"), "@5 count=0");
}

TEST_P(FiveKeysTest, ARangeNeedsAKey) {
  EXPECT_EQ(range(""), "INVALID_ARGUMENT etcdserver: key is not provided");
  EXPECT_EQ(range("range_end: 'b'"), "INVALID_ARGUMENT etcdserver: key is not provided");
}

TEST_P(FiveKeysTest, CountsAllOfTheRangeWhateverIsReturned) {
  EXPECT_EQ(range("key: 'a' range_end: 'z' limit: 2"),
            "@5 count=5 more [a=9{c1 m1 v1}, b=8{c2 m4 v2}]");
  EXPECT_EQ(range("key: 'a' range_end: 'c' limit: 2"), "@5 count=2 [a=9{c1 m1 v1}, b=8{c2 m4 v2}]");
  EXPECT_EQ(range("key: 'a' range_end: 'z' limit: -1 keys_only: true"),
            "@5 count=5 [a={c1 m1 v1}, b={c2 m4 v2}, c={c3 m3 v1}, d={c5 m5 v1}, e={c5 m5 v1}]");
  EXPECT_EQ(range("key: 'a' range_end: 'z' count_only: true"), "@5 count=5");
  EXPECT_EQ(range("key: 'a' range_end: 'z' count_only: true limit: 2"), "@5 count=5");
  EXPECT_EQ(range("key: 'a' range_end: 'z' min_mod_revision: $5"),
            "@5 count=5 [d=5{c5 m5 v1}, e=6{c5 m5 v1}]");
}

TEST_P(FiveKeysTest, SortsByEachTargetBothWays) {
  const auto sorted = [this](const std::string& options) {
    return range("key: 'a' range_end: 'z' limit: 2 " + options);
  };
  EXPECT_EQ(sorted("sort_order: ASCEND"), "@5 count=5 more [a=9{c1 m1 v1}, b=8{c2 m4 v2}]");
  EXPECT_EQ(sorted("sort_order: DESCEND"), "@5 count=5 more [e=6{c5 m5 v1}, d=5{c5 m5 v1}]");
  EXPECT_EQ(range("key: 'a' range_end: 'z' limit: 1 sort_order: DESCEND sort_target: VERSION"),
            "@5 count=5 more [b=8{c2 m4 v2}]");
  EXPECT_EQ(sorted("sort_order: ASCEND sort_target: CREATE"),
            "@5 count=5 more [a=9{c1 m1 v1}, b=8{c2 m4 v2}]");
  EXPECT_EQ(sorted("sort_order: ASCEND sort_target: MOD"),
            "@5 count=5 more [a=9{c1 m1 v1}, c=7{c3 m3 v1}]");
  EXPECT_EQ(sorted("sort_order: ASCEND sort_target: VALUE"),
            "@5 count=5 more [d=5{c5 m5 v1}, e=6{c5 m5 v1}]");
  EXPECT_EQ(sorted("sort_order: DESCEND sort_target: VALUE"),
            "@5 count=5 more [a=9{c1 m1 v1}, b=8{c2 m4 v2}]");
}

// Without an order a target sorts, ascending, but only the keys that were fetched: one more than
// the limit.
TEST_P(FiveKeysTest, ATargetWithoutOrderSortsAfterTheLimit) {
  EXPECT_EQ(range("key: 'a' range_end: 'z' limit: 2 sort_target: VALUE"),
            "@5 count=5 more [c=7{c3 m3 v1}, b=8{c2 m4 v2}]");
}

TEST_P(FiveKeysTest, RefusesUnknownSortOptions) {
  const std::string refusal = "INVALID_ARGUMENT etcdserver: invalid sort option";
  EXPECT_EQ(range("key: 'a' sort_order: 7"),
            by_server(refusal, "@5 count=1 [a=9{c1 m1 v1}]", "3.6 began to check"));
  if (GetParam() == ServerKind::etcd) return;  // an unknown target ends the process of 3.4
  EXPECT_EQ(range("key: 'a' sort_order: ASCEND sort_target: 9"), refusal);
}

TEST_P(FiveKeysTest, FiltersByRevisionBeforeTheLimit) {
  const auto filtered = [this](const std::string& options) {
    return range("key: 'a' range_end: 'z' keys_only: true " + options);
  };
  EXPECT_EQ(filtered("min_mod_revision: $3 limit: 1"), "@5 count=5 more [b={c2 m4 v2}]");
  EXPECT_EQ(filtered("max_mod_revision: $3"), "@5 count=5 [a={c1 m1 v1}, c={c3 m3 v1}]");
  EXPECT_EQ(filtered("min_create_revision: $2 max_create_revision: $3"),
            "@5 count=5 [b={c2 m4 v2}, c={c3 m3 v1}]");
  EXPECT_EQ(filtered("min_mod_revision: $4 max_create_revision: $2"), "@5 count=5 [b={c2 m4 v2}]");
  EXPECT_EQ(filtered("min_mod_revision: $5 max_mod_revision: $4"), "@5 count=5");
}

TEST_P(FiveKeysTest, ReadsThePastUnderTheHeaderOfNow) {
  EXPECT_EQ(range("key: 'b' revision: $2"), "@5 count=1 [b=0{c2 m2 v1}]");
  EXPECT_EQ(range("key: 'b' revision: $1"), "@5 count=0");
  EXPECT_EQ(range("key: 'a' range_end: 'z' revision: $3 count_only: true"), "@5 count=3");
  EXPECT_EQ(range("key: 'b' revision: -4"), "@5 count=1 [b=8{c2 m4 v2}]");
  EXPECT_EQ(range("key: 'b' revision: $5 serializable: true"), "@5 count=1 [b=8{c2 m4 v2}]");
}

TEST_P(FiveKeysTest, RefusesRevisionsThatAreNotThere) {
  EXPECT_EQ(range("key: 'b' revision: $6"),
            "OUT_OF_RANGE etcdserver: mvcc: required revision is a future revision");
  EXPECT_EQ(compact("revision: $3"), "@5");
  EXPECT_EQ(range("key: 'b' revision: $2"),
            "OUT_OF_RANGE etcdserver: mvcc: required revision has been compacted");
  EXPECT_EQ(range("key: 'b' revision: $3"), "@5 count=1 [b=0{c2 m2 v1}]");
  EXPECT_EQ(range("key: 'b' revision: $6 serializable: true"),
            "OUT_OF_RANGE etcdserver: mvcc: required revision is a future revision");
}

TEST_P(RangeTest, AStoreBeginsAtRevisionOne) {
  use_fresh_server();
  EXPECT_EQ(range("key: 'a'"), "@1 count=0");
  EXPECT_EQ(put("key: 'a'"), "@2");
}

TEST_P(RangeTest, ADeletedKeyBeginsAnew) {
  put("key: 'a' value: '1'");
  put("key: 'a' value: '2'");
  del("key: 'a'");
  EXPECT_EQ(range("key: 'a'"), "@3 count=0");
  EXPECT_EQ(range("key: 'a' revision: $2"), "@3 count=1 [a=2{c1 m2 v2}]");
  put("key: 'a' value: '3'");
  EXPECT_EQ(range("key: 'a'"), "@4 count=1 [a=3{c4 m4 v1}]");
  EXPECT_EQ(range("key: 'a' revision: $3"), "@4 count=0");
}

TEST_P(RangeTest, KeysAndValuesAreBytes) {
  put("key: '\\xff\\x00' value: '\\x01'");
  EXPECT_EQ(range("key: '\\xff' range_end: '\\0'"), "@1 count=1 [\\xff\\x00=\\x01{c1 m1 v1}]");
}

TEST_P(RangeTest, KeysOnlyLeavesTheValueOut) {
  grant("ID: 7 TTL: 100");
  put("key: 'a' value: 'v' lease: 7");
  EXPECT_EQ(range("key: 'a'"), "@1 count=1 [a=v{c1 m1 v1 l7}]");
  EXPECT_EQ(range("key: 'a' keys_only: true"),
            by_server("@1 count=1 [a={c1 m1 v1}]", "@1 count=1 [a={c1 m1 v1 l7}]",
                      "3.7 answers from the index, which knows no lease"));
}

TEST_P(FiveKeysTest, CountOnlyReturnsNoKeys) {
  EXPECT_EQ(range("key: 'a' range_end: 'z' count_only: true keys_only: true"), "@5 count=5");
  EXPECT_EQ(range("key: 'a' range_end: 'z' count_only: true min_mod_revision: $5"), "@5 count=5");
  EXPECT_EQ(range("key: 'a' range_end: 'z' count_only: true sort_order: DESCEND limit: 1"),
            "@5 count=5");
}

TEST_P(FiveKeysTest, KeysOnlySortsByValueAllTheSame) {
  EXPECT_EQ(range("key: 'a' range_end: 'd' keys_only: true sort_order: ASCEND sort_target: VALUE"),
            "@5 count=3 [c={c3 m3 v1}, b={c2 m4 v2}, a={c1 m1 v1}]");
}

TEST_P(FiveKeysTest, AFilterLiftsTheLimitUntilAfterTheSort) {
  EXPECT_EQ(range("key: 'a' range_end: 'z' limit: 1 sort_target: VALUE min_create_revision: $2"),
            "@5 count=5 more [d=5{c5 m5 v1}]");
}

TEST_P(FiveKeysTest, NegativeFiltersHideNothingOrEverything) {
  const auto filtered = [this](const std::string& options) {
    return range("key: 'a' range_end: 'c' keys_only: true " + options);
  };
  EXPECT_EQ(filtered("min_mod_revision: -1"), "@5 count=2 [a={c1 m1 v1}, b={c2 m4 v2}]");
  EXPECT_EQ(filtered("max_mod_revision: -1"), "@5 count=2");
  EXPECT_EQ(filtered("max_create_revision: -1"), "@5 count=2");
}

TEST_P(RangeTest, ASerializableReadIsAnsweredToo) {
  EXPECT_EQ(put("key: 'a' value: '1'"), "@1");
  EXPECT_EQ(range("key: 'a' serializable: true"), "@1 count=1 [a=1{c1 m1 v1}]");
  EXPECT_EQ(txn("success { request_range { key: 'a' serializable: true } }"),
            "@1 then [range @1~ count=1 [a=1{c1 m1 v1}]]");
}

}  // namespace conclave::test
