// The golden texts were recorded from etcdctl 3.4.23.

#include "conclave/cli/format/printer.h"

#include <gtest/gtest.h>

namespace conclave::cli {
namespace {

using namespace etcdserverpb;  // NOLINT: a file of tests of this package's messages

template <class Reply>
Reply with_header(std::int64_t revision) {
  Reply reply;
  reply.mutable_header()->set_cluster_id(9151734699010623715U);
  reply.mutable_header()->set_member_id(3153101805118352275U);
  reply.mutable_header()->set_revision(revision);
  reply.mutable_header()->set_raft_term(2);
  return reply;
}

mvccpb::KeyValue key_value(const std::string& key, const std::string& value, std::int64_t created,
                           std::int64_t modified, std::int64_t version) {
  mvccpb::KeyValue kv;
  kv.set_key(key);
  kv.set_value(value);
  kv.set_create_revision(created);
  kv.set_mod_revision(modified);
  kv.set_version(version);
  return kv;
}

std::unique_ptr<Printer> printer(const std::string& format, const PrintOptions& options = {}) {
  auto made = make_printer(format, options);
  EXPECT_TRUE(made);
  return std::move(*made);
}

RangeResponse range_reply() {
  auto reply = with_header<RangeResponse>(18);
  *reply.add_kvs() = key_value("a", "2", 16, 17, 2);
  *reply.add_kvs() = key_value("b", "x y\"z", 4, 18, 3);
  reply.set_count(2);
  return reply;
}

constexpr const char* kHeaderJson =
    R"("cluster_id":9151734699010623715,"member_id":3153101805118352275,"revision":)";
constexpr const char* kHeaderFields =
    "\"ClusterID\" : 9151734699010623715\n\"MemberID\" : 3153101805118352275\n\"Revision\" : ";

TEST(SimplePrinter, Get) {
  EXPECT_EQ(*printer("simple")->get(range_reply()), "a\n2\nb\nx y\"z\n");
  EXPECT_EQ(*printer("simple", {.value_only = true})->get(range_reply()), "2\nx y\"z\n");
  EXPECT_EQ(*printer("simple", {.count_only = true})->get(range_reply()), "2\n");
  auto one = with_header<RangeResponse>(1);
  *one.add_kvs() = key_value("nl", "a\nb\x01\xff", 1, 1, 1);
  EXPECT_EQ(*printer("simple", {.hex = true})->get(one), "\\x6e\\x6c\n\\x61\\x0a\\x62\\x01\\xff\n");
}

TEST(JsonPrinter, Get) {
  EXPECT_EQ(*printer("json")->get(range_reply()),
            std::string("{\"header\":{") + kHeaderJson +
                R"(18,"raft_term":2},"kvs":[{"key":"YQ==","create_revision":16,"mod_revision":17,)"
                R"("version":2,"value":"Mg=="},{"key":"Yg==","create_revision":4,)"
                R"("mod_revision":18,"version":3,"value":"eCB5Ino="}],"count":2})"
                "\n");
  EXPECT_EQ(*printer("json")->get(with_header<RangeResponse>(11)),
            std::string("{\"header\":{") + kHeaderJson + "11,\"raft_term\":2}}\n");
}

TEST(FieldsPrinter, Get) {
  auto reply = with_header<RangeResponse>(50);
  *reply.add_kvs() = key_value("nl", "a\nb\x01\xff\"", 50, 50, 1);
  reply.set_count(1);
  EXPECT_EQ(*printer("fields")->get(reply),
            std::string(kHeaderFields) +
                "50\n\"RaftTerm\" : 2\n\"Key\" : \"nl\"\n\"CreateRevision\" : 50\n"
                "\"ModRevision\" : 50\n\"Version\" : 1\n\"Value\" : \"a\\nb\\x01\\xff\\\"\"\n"
                "\"Lease\" : 0\n\"More\" : false\n\"Count\" : 1\n");
}

TEST(Printers, PutAndDelete) {
  auto put = with_header<PutResponse>(10);
  EXPECT_EQ(*printer("simple")->put(put), "OK\n");
  *put.mutable_prev_kv() = key_value("a", "1", 9, 9, 1);
  EXPECT_EQ(*printer("simple")->put(put), "OK\na\n1\n");
  EXPECT_EQ(*printer("json")->put(put),
            std::string("{\"header\":{") + kHeaderJson +
                R"(10,"raft_term":2},"prev_kv":{"key":"YQ==","create_revision":9,)"
                R"("mod_revision":9,"version":1,"value":"MQ=="}})"
                "\n");
  EXPECT_EQ(*printer("fields")->put(put),
            std::string(kHeaderFields) +
                "10\n\"RaftTerm\" : 2\n\"PrevKey\" : \"a\"\n\"PrevCreateRevision\" : 9\n"
                "\"PrevModRevision\" : 9\n\"PrevVersion\" : 1\n\"PrevValue\" : \"1\"\n"
                "\"PrevLease\" : 0\n");
  auto deleted = with_header<DeleteRangeResponse>(12);
  EXPECT_EQ(*printer("simple")->del(deleted), "0\n");
  deleted.set_deleted(1);
  *deleted.add_prev_kvs() = key_value("a", "2", 9, 10, 2);
  EXPECT_EQ(*printer("simple")->del(deleted), "1\na\n2\n");
  EXPECT_EQ(*printer("json")->del(deleted),
            std::string("{\"header\":{") + kHeaderJson +
                R"(12,"raft_term":2},"deleted":1,"prev_kvs":[{"key":"YQ==","create_revision":9,)"
                R"("mod_revision":10,"version":2,"value":"Mg=="}]})"
                "\n");
}

TEST(Printers, Txn) {
  auto reply = with_header<TxnResponse>(13);
  reply.set_succeeded(true);
  reply.add_responses()->mutable_response_put()->mutable_header()->set_revision(13);
  auto* range = reply.add_responses()->mutable_response_range();
  range->mutable_header()->set_revision(13);
  *range->add_kvs() = key_value("c", "1", 6, 13, 2);
  range->set_count(1);
  EXPECT_EQ(*printer("simple")->txn(reply), "SUCCESS\n\nOK\n\nc\n1\n");
  EXPECT_EQ(*printer("json")->txn(reply),
            std::string("{\"header\":{") + kHeaderJson +
                R"(13,"raft_term":2},"succeeded":true,"responses":[{"Response":{"ResponsePut":)"
                R"({"header":{"revision":13}}}},{"Response":{"ResponseRange":{"header":)"
                R"({"revision":13},"kvs":[{"key":"Yw==","create_revision":6,"mod_revision":13,)"
                R"("version":2,"value":"MQ=="}],"count":1}}}]})"
                "\n");
  EXPECT_EQ(*printer("fields")->txn(reply),
            std::string(kHeaderFields) +
                "13\n\"RaftTerm\" : 2\n\"Succeeded\" : true\n\"ClusterID\" : 0\n\"MemberID\" : 0\n"
                "\"Revision\" : 13\n\"RaftTerm\" : 0\n\"ClusterID\" : 0\n\"MemberID\" : 0\n"
                "\"Revision\" : 13\n\"RaftTerm\" : 0\n\"Key\" : \"c\"\n\"CreateRevision\" : 6\n"
                "\"ModRevision\" : 13\n\"Version\" : 2\n\"Value\" : \"1\"\n\"Lease\" : 0\n"
                "\"More\" : false\n\"Count\" : 1\n");
}

TEST(Printers, Watch) {
  auto reply = with_header<WatchResponse>(45);
  auto* event = reply.add_events();
  *event->mutable_kv() = key_value("w1", "v2", 43, 44, 2);
  *event->mutable_prev_kv() = key_value("w1", "v1", 43, 43, 1);
  event = reply.add_events();
  event->set_type(mvccpb::Event::DELETE);
  event->mutable_kv()->set_key("w1");
  event->mutable_kv()->set_mod_revision(45);
  EXPECT_EQ(*printer("simple")->watch(reply), "PUT\nw1\nv1\nw1\nv2\nDELETE\nw1\n\n");
  EXPECT_EQ(*printer("json")->watch(reply),
            std::string("{\"Header\":{") + kHeaderJson +
                R"(45,"raft_term":2},"Events":[{"kv":{"key":"dzE=","create_revision":43,)"
                R"("mod_revision":44,"version":2,"value":"djI="},"prev_kv":{"key":"dzE=",)"
                R"("create_revision":43,"mod_revision":43,"version":1,"value":"djE="}},)"
                R"({"type":1,"kv":{"key":"dzE=","mod_revision":45}}],"CompactRevision":0,)"
                R"("Canceled":false,"Created":false})"
                "\n");
}

TEST(Printers, Leases) {
  constexpr std::int64_t id = 0x6b93a1f9141d7112;
  auto grant = with_header<LeaseGrantResponse>(13);
  grant.set_id(id);
  grant.set_ttl(100);
  EXPECT_EQ(*printer("simple")->grant(grant), "lease 6b93a1f9141d7112 granted with TTL(100s)\n");
  EXPECT_EQ(*printer("json")->grant(grant),
            std::string("{") + kHeaderJson +
                "13,\"raft_term\":2,\"ID\":7751717474791158034,\"TTL\":100,\"Error\":\"\"}\n");
  auto live = with_header<LeaseTimeToLiveResponse>(14);
  live.set_id(id);
  live.set_ttl(199);
  live.set_grantedttl(200);
  EXPECT_EQ(*printer("json")->time_to_live(live, false),
            std::string("{") + kHeaderJson +
                "14,\"raft_term\":2,\"id\":7751717474791158034,\"ttl\":199,\"granted-ttl\":200,"
                "\"keys\":null}\n");
  live.add_keys("lk");
  live.add_keys("m");
  EXPECT_EQ(*printer("simple")->time_to_live(live, true),
            "lease 6b93a1f9141d7112 granted with TTL(200s), remaining(199s), attached keys([lk "
            "m])\n");
  EXPECT_NE(printer("json")->time_to_live(live, true)->find("\"keys\":[\"bGs=\",\"bQ==\"]"),
            std::string::npos);
  LeaseTimeToLiveResponse gone;
  gone.set_id(0xff);
  gone.set_ttl(-1);
  EXPECT_EQ(*printer("simple")->time_to_live(gone, false),
            "lease 00000000000000ff already expired\n");
  auto all = with_header<LeaseLeasesResponse>(14);
  EXPECT_EQ(*printer("simple")->leases(all), "found 0 leases\n");
  all.add_leases()->set_id(id);
  EXPECT_EQ(*printer("json")->leases(all),
            std::string("{") + kHeaderJson +
                "14,\"raft_term\":2,\"leases\":[{\"id\":7751717474791158034}]}\n");
  auto kept = with_header<LeaseKeepAliveResponse>(14);
  kept.set_id(id);
  kept.set_ttl(200);
  EXPECT_EQ(*printer("simple")->keep_alive(kept),
            "lease 6b93a1f9141d7112 keepalived with TTL(200)\n");
  EXPECT_EQ(*printer("simple")->revoke(id, {}), "lease 6b93a1f9141d7112 revoked\n");
}

TEST(Printers, Alarms) {
  auto reply = with_header<AlarmResponse>(3);
  EXPECT_EQ(*printer("simple")->alarms(reply), "");
  AlarmMember& alarm = *reply.add_alarms();
  alarm.set_memberid(5);
  alarm.set_alarm(NOSPACE);
  reply.add_alarms()->set_alarm(CORRUPT);
  EXPECT_EQ(*printer("simple")->alarms(reply), "memberID:5 alarm:NOSPACE \nalarm:CORRUPT \n");
  EXPECT_EQ(*printer("json")->alarms(reply),
            std::string("{\"header\":{") + kHeaderJson +
                R"(3,"raft_term":2},"alarms":[{"memberID":5,"alarm":1},{"alarm":2}]})"
                "\n");
  EXPECT_EQ(*printer("fields")->alarms(reply),
            std::string(kHeaderFields) +
                "3\n\"RaftTerm\" : 2\n\"MemberID\" : 5\n\"AlarmType\" : NOSPACE\n\n"
                "\"MemberID\" : 0\n\"AlarmType\" : CORRUPT\n\n");
  EXPECT_EQ(*printer("protobuf")->alarms(reply), reply.SerializeAsString());
  EXPECT_FALSE(printer("table")->alarms(reply));
}

TEST(Printers, MembersAndEndpoints) {
  MemberListResponse members;
  auto* member = members.add_members();
  member->set_id(0x2bc21162cab8eb93);
  member->set_name("default");
  member->add_peerurls("http://127.0.0.1:24791");
  member->add_clienturls("http://127.0.0.1:24790");
  EXPECT_EQ(*printer("simple")->members(members),
            "2bc21162cab8eb93, started, default, http://127.0.0.1:24791, http://127.0.0.1:24790, "
            "false\n");
  EXPECT_EQ(
      *printer("table")->members(members),
      "+------------------+---------+---------+------------------------+----------------------"
      "--+------------+\n"
      "|        ID        | STATUS  |  NAME   |       PEER ADDRS       |      CLIENT ADDRS    "
      "  | IS LEARNER |\n"
      "+------------------+---------+---------+------------------------+----------------------"
      "--+------------+\n"
      "| 2bc21162cab8eb93 | started | default | http://127.0.0.1:24791 | http://127.0.0.1:2479"
      "0 |      false |\n"
      "+------------------+---------+---------+------------------------+----------------------"
      "--+------------+\n");

  EndpointStatus status{.endpoint = "127.0.0.1:24790", .status = with_header<StatusResponse>(15)};
  status.status.set_version("3.4.23");
  status.status.set_dbsize(20480);
  status.status.set_dbsizeinuse(16384);
  status.status.set_leader(3153101805118352275U);
  status.status.set_raftindex(28);
  status.status.set_raftterm(2);
  status.status.set_raftappliedindex(28);
  EXPECT_EQ(*printer("simple")->endpoint_status({status}),
            "127.0.0.1:24790, 2bc21162cab8eb93, 3.4.23, 20 kB, true, false, 2, 28, 28, \n");
  EXPECT_EQ(*printer("json")->endpoint_status({status}),
            std::string(R"([{"Endpoint":"127.0.0.1:24790","Status":{"header":{)") + kHeaderJson +
                R"(15,"raft_term":2},"version":"3.4.23","dbSize":20480,)"
                R"("leader":3153101805118352275,"raftIndex":28,"raftTerm":2,)"
                R"("raftAppliedIndex":28,"dbSizeInUse":16384}}])"
                "\n");

  const EndpointHealth health{
      .endpoint = "127.0.0.1:24790", .healthy = true, .took = std::chrono::nanoseconds(1679708)};
  EXPECT_EQ(*printer("simple")->endpoint_health({health}),
            "127.0.0.1:24790 is healthy: successfully committed proposal: took = 1.679708ms\n");
  EXPECT_EQ(*printer("json")->endpoint_health({health}),
            "[{\"endpoint\":\"127.0.0.1:24790\",\"health\":true,\"took\":\"1.679708ms\"}]\n");
  EXPECT_EQ(*printer("fields")->endpoint_health({health}),
            "\"Endpoint\" : \"127.0.0.1:24790\"\n\"Health\" : true\n\"Took\" : 1.679708ms\n"
            "\"Error\" : \n\n");
}

TEST(Printers, RefuseWhatTheyCannotShow) {
  EXPECT_FALSE(make_printer("yaml", {}));
  EXPECT_FALSE(make_printer("json", {.value_only = true}));
  const auto refused = printer("table")->get(range_reply());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::invalid_argument);
}

}  // namespace
}  // namespace conclave::cli
