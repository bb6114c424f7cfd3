#include <string>

#include "tests/api/api_fixture.h"

namespace conclave::test {
namespace {

const char* const kNoSpace = "RESOURCE_EXHAUSTED etcdserver: mvcc: database space exceeded";
const char* const kCorrupt = "DATA_LOSS etcdserver: corrupt cluster";

}  // namespace

class AlarmTest : public ApiTest {
 protected:
  std::string listed() { return alarm("action: GET"); }
};
CONCLAVE_ON_BOTH_SERVERS(AlarmTest);

TEST_P(AlarmTest, IsRaisedListedAndTakenBack) {
  EXPECT_EQ(listed(), "[]");
  EXPECT_EQ(alarm("action: ACTIVATE memberID: 5 alarm: NOSPACE"), "[5 NOSPACE]");
  EXPECT_EQ(alarm("action: ACTIVATE memberID: 5 alarm: NOSPACE"), "[5 NOSPACE]");
  EXPECT_EQ(alarm("action: ACTIVATE memberID: 6 alarm: NOSPACE"), "[6 NOSPACE]");
  EXPECT_EQ(listed(), "[5 NOSPACE, 6 NOSPACE]");
  EXPECT_EQ(alarm("action: GET alarm: NOSPACE memberID: 9"), "[5 NOSPACE, 6 NOSPACE]");
  EXPECT_EQ(alarm("action: GET alarm: CORRUPT"), "[]");
  EXPECT_EQ(alarm("action: DEACTIVATE memberID: 7 alarm: NOSPACE"), "[]");
  EXPECT_EQ(alarm("action: DEACTIVATE memberID: 5 alarm: CORRUPT"), "[]");
  EXPECT_EQ(alarm("action: DEACTIVATE memberID: 5 alarm: NOSPACE"), "[5 NOSPACE]");
  EXPECT_EQ(put("key: 'a'"), kNoSpace) << "the other member's is still raised";
  EXPECT_EQ(alarm("action: DEACTIVATE memberID: 6 alarm: NOSPACE"), "[6 NOSPACE]");
  EXPECT_EQ(put("key: 'a'"), "@1");
}

TEST_P(AlarmTest, AMemberIdOfZeroIsTakenLiterally) {
  EXPECT_EQ(alarm("action: ACTIVATE alarm: NOSPACE"), "[0 NOSPACE]");
  EXPECT_EQ(put("key: 'a'"), kNoSpace);
  EXPECT_EQ(alarm("action: DEACTIVATE memberID: 5 alarm: NOSPACE"), "[]");
  EXPECT_EQ(alarm("action: DEACTIVATE alarm: NOSPACE"), "[0 NOSPACE]");
  EXPECT_EQ(put("key: 'a'"), "@1");
}

TEST_P(AlarmTest, ActivatingNoneIsIgnored) {
  EXPECT_EQ(alarm("action: ACTIVATE memberID: 5"),
            by_server("[]", "[5 NONE]", "3.4 keeps it, to no effect"));
  EXPECT_EQ(put("key: 'a'"), "@1");
}

TEST_P(AlarmTest, AnswersHaveAHeader) {
  put("key: 'a'");
  etcdserverpb::AlarmResponse response;
  ASSERT_TRUE(calls().call(etcdserverpb::AlarmRequest(), response).ok());
  const bool whole = response.header().cluster_id() != 0 && response.header().member_id() != 0 &&
                     response.header().revision() == base() + 1;
  EXPECT_EQ(whole ? "whole" : "none", by_server("whole", "none", "3.5 began to fill it in"));
}

TEST_P(AlarmTest, NoSpaceRefusesWhatAddsData) {
  grant("ID: 7 TTL: 100");
  put("key: 'a' value: '1' lease: 7");
  alarm("action: ACTIVATE memberID: 5 alarm: NOSPACE");
  EXPECT_EQ(put("key: 'a'"), kNoSpace);
  EXPECT_EQ(put("key: 'b' lease: 99"), kNoSpace);
  EXPECT_EQ(put("key: 'b' ignore_value: true"), kNoSpace);
  EXPECT_EQ(put(""), "INVALID_ARGUMENT etcdserver: key is not provided");
  EXPECT_EQ(txn("success { request_put { key: 'a' } }"), kNoSpace);
  EXPECT_EQ(txn("failure { request_put { key: 'a' } }"), kNoSpace);
  EXPECT_EQ(grant("ID: 8 TTL: 100"), kNoSpace);
  EXPECT_EQ(range("key: 'a'"), "@1 count=1 [a=1{c1 m1 v1 l7}]");
}

TEST_P(AlarmTest, NoSpaceRefusesAPutInANestedTransactionToo) {
  alarm("action: ACTIVATE memberID: 5 alarm: NOSPACE");
  EXPECT_EQ(txn("success { request_txn { success { request_put { key: 'a' } } } }"),
            by_server(kNoSpace, "@1 then [txn @-~ then [put @1~]]",
                      "etcd overlooks it, and so grows beyond its quota"));
}

TEST_P(AlarmTest, NoSpaceAllowsReadsDeletesAndCompaction) {
  grant("ID: 7 TTL: 100");
  put("key: 'a' value: '1'");
  put("key: 'b' value: '1' lease: 7");
  put("key: 'c' value: '1'");
  alarm("action: ACTIVATE memberID: 5 alarm: NOSPACE");
  EXPECT_EQ(txn("success { request_range { key: 'a' } }"),
            "@3 then [range @3~ count=1 [a=1{c1 m1 v1}]]");
  EXPECT_EQ(txn("success { request_delete_range { key: 'c' } }"), "@4 then [delete @4~ deleted=1]");
  EXPECT_EQ(del("key: 'a'"), "@5 deleted=1");
  EXPECT_EQ(keep_alive("ID: 7"), "@5 id=7 ttl=100");
  EXPECT_EQ(revoke("ID: 7"), "@6");
  EXPECT_EQ(compact("revision: $6"), "@6");
}

TEST_P(AlarmTest, CorruptRefusesEveryChange) {
  grant("ID: 7 TTL: 100");
  put("key: 'a' value: '1' lease: 7");
  alarm("action: ACTIVATE memberID: 5 alarm: CORRUPT");
  EXPECT_EQ(put("key: 'a'"), kCorrupt);
  EXPECT_EQ(del("key: 'a'"), kCorrupt);
  EXPECT_EQ(txn("success { request_put { key: 'a' } }"), kCorrupt);
  EXPECT_EQ(txn("success { request_delete_range { key: 'a' } }"), kCorrupt);
  EXPECT_EQ(compact("revision: $1"), kCorrupt);
  EXPECT_EQ(grant("ID: 8 TTL: 100"), kCorrupt);
  EXPECT_EQ(revoke("ID: 7"), kCorrupt);
  EXPECT_EQ(revoke("ID: 99"), kCorrupt);
  EXPECT_EQ(range("key: 'a'"), "@1 count=1 [a=1{c1 m1 v1 l7}]");
  EXPECT_EQ(txn("success { request_range { key: 'a' } }"),
            "@1 then [range @1~ count=1 [a=1{c1 m1 v1 l7}]]");
  EXPECT_EQ(keep_alive("ID: 7"), "@1 id=7 ttl=100");
  EXPECT_EQ(time_to_live("ID: 7 keys: true"), "@1 id=7 ttl=whole granted=100 [a]");
  alarm("action: DEACTIVATE memberID: 5 alarm: CORRUPT");
  EXPECT_EQ(put("key: 'a'"), "@2");
}

TEST_P(AlarmTest, StatusNamesThem) {
  const auto errors = [this] {
    etcdserverpb::StatusResponse response;
    EXPECT_TRUE(calls().call(etcdserverpb::StatusRequest(), response).ok());
    std::string all;
    for (const std::string& error : response.errors()) all += "[" + error + "]";
    return all;
  };
  EXPECT_EQ(errors(), "");
  alarm("action: ACTIVATE memberID: 5 alarm: NOSPACE");
  EXPECT_EQ(errors(), "[memberID:5 alarm:NOSPACE ]");
  alarm("action: DEACTIVATE memberID: 5 alarm: NOSPACE");
  alarm("action: ACTIVATE alarm: CORRUPT");
  EXPECT_EQ(errors(), "[alarm:CORRUPT ]");
}

// An unknown type ends the process of 3.4.
TEST_P(AlarmTest, AnUnknownTypeIsNone) {
  if (GetParam() == ServerKind::etcd) return;
  EXPECT_EQ(alarm("action: ACTIVATE memberID: 5 alarm: 77"), "[]");
  EXPECT_EQ(alarm("action: GET alarm: 77"), "[]");
  EXPECT_EQ(alarm("action: 77 memberID: 5 alarm: NOSPACE"), "[]");
  EXPECT_EQ(listed(), "[]");
}

// Where etcd wants a defragmentation and a manual disarm, conclaved takes its alarm back by itself.
TEST_P(AlarmTest, TheQuotaRaisesItUntilThereIsRoomAgain) {
  use_fresh_server({"--quota-backend-bytes=2000000"});
  const std::string value(100'000, 'x');
  std::string refused;
  int keys = 0;
  while (keys < 100 && refused.empty()) {
    const std::string said = put("key: 'k" + std::to_string(keys) + "' value: '" + value + "'");
    if (said[0] != '@') {
      refused = said;
    } else {
      ++keys;
    }
  }
  EXPECT_EQ(refused, kNoSpace);
  EXPECT_GT(keys, 3);
  etcdserverpb::RangeRequest all;
  all.set_key("k");
  all.set_range_end("l");
  all.set_count_only(true);
  etcdserverpb::RangeResponse stored;
  ASSERT_TRUE(calls().call(all, stored).ok());
  // etcd looks at its size again when it carries a put out, and may then both do and refuse it.
  if (GetParam() == ServerKind::etcd && stored.count() == keys + 1) ++keys;
  EXPECT_EQ(stored.count(), keys);
  etcdserverpb::StatusResponse status;
  ASSERT_TRUE(calls().call(etcdserverpb::StatusRequest(), status).ok());
  EXPECT_EQ(listed(), "[" + std::to_string(status.header().member_id()) + " NOSPACE]");
  EXPECT_EQ(put("key: 'small'"), kNoSpace);
  EXPECT_EQ(grant("TTL: 10"), kNoSpace);

  EXPECT_EQ(del("key: 'k' range_end: 'l'"),
            "@" + std::to_string(keys + 2) + " deleted=" + std::to_string(keys));
  EXPECT_EQ(compact("revision: " + std::to_string(keys + 2) + " physical: true"),
            "@" + std::to_string(keys + 2));
  if (GetParam() == ServerKind::etcd) {
    EXPECT_EQ(put("key: 'small'"), kNoSpace);
    return;
  }
  EXPECT_TRUE(wait_until([this] { return listed() == "[]"; }));
  EXPECT_EQ(put("key: 'small'"), "@" + std::to_string(keys + 3));
}

}  // namespace conclave::test
