// The golden texts that etcdctl has were recorded from etcdctl 3.4.23.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "conclave/cli/format/member_text.h"
#include "conclave/cli/format/printer.h"
#include "conclave/cli/format/text.h"

namespace conclave::cli {
namespace {

using namespace etcdserverpb;  // NOLINT: a file of tests of this package's messages
using testing::HasSubstr;

constexpr std::uint64_t kCluster = 0x8616da91c8d5dece;

std::unique_ptr<Printer> printer(const std::string& format) {
  return std::move(make_printer(format, {})).value();
}

Member member(std::uint64_t id, const std::string& name, std::vector<std::string> peer_urls) {
  Member out;
  out.set_id(id);
  out.set_name(name);
  for (std::string& url : peer_urls) out.add_peerurls(std::move(url));
  return out;
}

// The third member joins as a learner.
MemberAddResponse added() {
  MemberAddResponse reply;
  reply.mutable_header()->set_cluster_id(kCluster);
  reply.mutable_header()->set_member_id(0x2ddc73cc544ecadb);
  reply.mutable_header()->set_raft_term(8);
  Member joins = member(0x74e121918e43835, "", {"http://h:32888", "http://h:32889"});
  joins.set_islearner(true);
  *reply.mutable_member() = joins;
  *reply.add_members() = joins;
  *reply.add_members() = member(0x2ddc73cc544ecadb, "m2", {"http://h:32802"});
  *reply.add_members() = member(0x6423690540862ec7, "m1", {"http://h:32801"});
  return reply;
}

constexpr const char* kHeaderFields =
    "\"ClusterID\" : 9662150370244550350\n\"MemberID\" : 3304643548008073947\n"
    "\"Revision\" : 0\n\"RaftTerm\" : 8\n";
constexpr const char* kJoinsFields =
    "\"ID\" : 526378105450018869\n\"Name\" : \"\"\n\"PeerURL\" : \"http://h:32888\"\n"
    "\"PeerURL\" : \"http://h:32889\"\n\"IsLearner\" : true\n\n";

TEST(ClusterPrinters, AnAddedMember) {
  EXPECT_EQ(*printer("simple")->member_added("m3", added()),
            "Member  74e121918e43835 added to cluster 8616da91c8d5dece\n\n"
            "ETCD_NAME=\"m3\"\n"
            "ETCD_INITIAL_CLUSTER=\"m3=http://h:32888,m3=http://h:32889,m2=http://h:32802,"
            "m1=http://h:32801\"\n"
            "ETCD_INITIAL_ADVERTISE_PEER_URLS=\"http://h:32888,http://h:32889\"\n"
            "ETCD_INITIAL_CLUSTER_STATE=\"existing\"\n");
  EXPECT_EQ(*printer("json")->member_added("m3", added()),
            R"({"header":{"cluster_id":9662150370244550350,"member_id":3304643548008073947,)"
            R"("raft_term":8},"member":{"ID":526378105450018869,"peerURLs":["http://h:32888",)"
            R"("http://h:32889"],"isLearner":true},"members":[{"ID":526378105450018869,)"
            R"("peerURLs":["http://h:32888","http://h:32889"],"isLearner":true},)"
            R"({"ID":3304643548008073947,"name":"m2","peerURLs":["http://h:32802"]},)"
            R"({"ID":7215726499255955143,"name":"m1","peerURLs":["http://h:32801"]}]})"
            "\n");
  EXPECT_EQ(*printer("fields")->member_added("m3", added()),
            std::string(kHeaderFields) + kJoinsFields +
                "\"InitialCluster\" : \"m3=http://h:32888,m3=http://h:32889,m2=http://h:32802,"
                "m1=http://h:32801\"\n");
  EXPECT_THAT(*printer("table")->member_added("m3", added()),
              HasSubstr("| 74e121918e43835 | unstarted |      | http://h:32888,http://h:32889 |"));
  EXPECT_EQ(*printer("protobuf")->member_added("m3", added()), added().SerializeAsString());
}

TEST(ClusterPrinters, AChangedMember) {
  MemberChange change{.kind = MemberChange::Kind::removed, .member = 0x6423690540862ec7};
  *change.reply.mutable_header() = added().header();
  *change.reply.add_members() = added().member();
  EXPECT_EQ(*printer("simple")->member_changed(change),
            "Member 6423690540862ec7 removed from cluster 8616da91c8d5dece\n");
  EXPECT_EQ(*printer("json")->member_changed(change),
            R"({"header":{"cluster_id":9662150370244550350,"member_id":3304643548008073947,)"
            R"("raft_term":8},"members":[{"ID":526378105450018869,"peerURLs":["http://h:32888",)"
            R"("http://h:32889"],"isLearner":true}]})"
            "\n");
  EXPECT_EQ(*printer("fields")->member_changed(change), std::string(kHeaderFields) + kJoinsFields);
  EXPECT_EQ(*printer("table")->member_changed(change), *printer("table")->members(change.reply));
  EXPECT_EQ(*printer("protobuf")->member_changed(change), change.reply.SerializeAsString());
  change.kind = MemberChange::Kind::updated;
  EXPECT_THAT(*printer("simple")->member_changed(change), HasSubstr("7 updated in cluster 8"));
  change.kind = MemberChange::Kind::promoted;
  EXPECT_THAT(*printer("simple")->member_changed(change), HasSubstr("7 promoted in cluster 8"));
}

TEST(ClusterPrinters, AMovedLeader) {
  const LeaderMove move{.from = 0x2ddc73cc544ecadb, .to = 0x6423690540862ec7};
  EXPECT_EQ(*printer("simple")->leader_moved(move),
            "Leadership transferred from 2ddc73cc544ecadb to 6423690540862ec7\n");
  EXPECT_EQ(*printer("json")->leader_moved(move), "{}\n");
  EXPECT_EQ(*printer("fields")->leader_moved(move),
            "\"FormerLeader\" : 3304643548008073947\n\"Leader\" : 7215726499255955143\n");
  EXPECT_THAT(*printer("table")->leader_moved(move),
              HasSubstr("| 2ddc73cc544ecadb | 6423690540862ec7 |"));
}

TEST(ClusterPrinters, ASavedSnapshot) {
  const SavedSnapshot saved{
      .path = "b.db", .endpoint = "http://h:1", .size = 20512, .sha256 = "0a1b"};
  EXPECT_EQ(*printer("simple")->snapshot_saved(saved),
            "Snapshot saved at b.db\n20512 bytes from http://h:1, sha256 0a1b\n");
  EXPECT_EQ(*printer("json")->snapshot_saved(saved),
            R"({"file":"b.db","endpoint":"http://h:1","size":20512,"sha256":"0a1b"})"
            "\n");
  EXPECT_EQ(*printer("fields")->snapshot_saved(saved),
            "\"File\" : \"b.db\"\n\"Endpoint\" : \"http://h:1\"\n\"Size\" : 20512\n"
            "\"SHA256\" : \"0a1b\"\n");
  EXPECT_THAT(*printer("table")->snapshot_saved(saved),
              HasSubstr("| b.db | http://h:1 | 20 kB |   0a1b |"));
  EXPECT_FALSE(printer("protobuf")->snapshot_saved(saved));
}

TEST(ClusterPrinters, TheBytesInUseOfAnEndpoint) {
  EndpointStatus status{.endpoint = "h:1", .status = {}};
  status.status.set_dbsize(20480);
  status.status.set_dbsizeinuse(16384);
  EXPECT_THAT(*printer("table")->endpoint_status({status}), HasSubstr("|   20 kB |  16 kB |"));
  EXPECT_THAT(*printer("fields")->endpoint_status({status}),
              HasSubstr("\"DBSize\" : 20480\n\"DBSizeInUse\" : 16384\n"));
  EXPECT_EQ(*printer("simple")->endpoint_status({status}),
            "h:1, 0, , 20 kB, true, false, 0, 0, 0, \n");
}

TEST(MemberText, FlagsAreReadyForAShell) {
  EXPECT_EQ(start_flags("m3", added()),
            "--name m3 --initial-cluster "
            "m3=http://h:32888,m3=http://h:32889,m2=http://h:32802,m1=http://h:32801 "
            "--initial-advertise-peer-urls http://h:32888,http://h:32889 "
            "--initial-cluster-state existing");
  MemberAddResponse alone;
  *alone.mutable_member() = member(1, "", {"http://[::1]:2380"});
  *alone.add_members() = alone.member();
  EXPECT_EQ(start_flags("it's", alone),
            "--name 'it'\\''s' --initial-cluster 'it'\\''s=http://[::1]:2380' "
            "--initial-advertise-peer-urls 'http://[::1]:2380' --initial-cluster-state existing");
}

TEST(MemberText, MembersThatWereNeverStartedHaveNoName) {
  MemberAddResponse reply = added();
  EXPECT_EQ(nameless_peers(reply), "");
  *reply.add_members() = member(5, "", {"http://h:5", "http://h:6"});
  EXPECT_EQ(nameless_peers(reply), "http://h:5,http://h:6");
}

}  // namespace
}  // namespace conclave::cli
