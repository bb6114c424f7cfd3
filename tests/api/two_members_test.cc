// What a learner is asked, who may move the leadership, and what is said where nobody leads.
#include <chrono>
#include <future>
#include <memory>
#include <string>

#include <gmock/gmock.h>

#include "tests/api/api_fixture.h"

namespace conclave::test {
namespace {

namespace pb = etcdserverpb;

const char* const kTimedOut = "UNAVAILABLE etcdserver: request timed out";
const char* const kNoLeader = "UNAVAILABLE etcdserver: no leader";

const char* const kRefusedByLearners[] = {
    "KV/Range",
    "KV/Put",
    "KV/DeleteRange",
    "KV/Txn",
    "KV/Compact",
    "Lease/LeaseGrant",
    "Lease/LeaseRevoke",
    "Lease/LeaseTimeToLive",
    "Lease/LeaseLeases",
    "Cluster/MemberAdd",
    "Cluster/MemberRemove",
    "Cluster/MemberUpdate",
    "Cluster/MemberList",
    "Cluster/MemberPromote",
    "Maintenance/Alarm",
    "Maintenance/Defragment",
    "Maintenance/Hash",
    "Maintenance/HashKV",
    "Maintenance/MoveLeader",
};

// Of a client that would rather be refused than wait for a leader.
std::unique_ptr<grpc::ClientContext> wanting_a_leader() {
  auto context = std::make_unique<grpc::ClientContext>();
  context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
  context->AddMetadata("hasleader", "true");
  return context;
}

}  // namespace

// The server of the case leads; another one has joined it as a learner.
class TwoMembersTest : public ApiTest {
 protected:
  void SetUp() override {
    ApiTest::SetUp();
    if (IsSkipped()) return;
    use_fresh_server();
    const std::string url = "http://127.0.0.1:" + std::to_string(free_port());
    pb::MemberAddRequest request;
    request.add_peerurls(url);
    request.set_islearner(true);
    std::string reply;
    ASSERT_EQ(ask(server(), "Cluster/MemberAdd", request, &reply), "OK ");
    pb::MemberAddResponse added;
    ASSERT_TRUE(added.ParseFromString(reply));
    joiner_id_ = added.member().id();
    joiner_ = std::make_unique<ServerProcess>(server(), url);
  }

  static std::string ask(const ServerProcess& member, const std::string& method,
                         const google::protobuf::Message& request, std::string* reply = nullptr) {
    return Renderer()(
        call_raw(member.channel(), "/etcdserverpb." + method, request.SerializeAsString(), reply));
  }
  static pb::StatusResponse status_of(const ServerProcess& member) {
    pb::StatusResponse status;
    EXPECT_TRUE(Calls(member.channel()).call(pb::StatusRequest(), status).ok());
    return status;
  }
  // Afterwards both members vote, and the joiner knows it.
  void promote() {
    pb::MemberPromoteRequest promotion;
    promotion.set_id(joiner_id_);
    std::string said;
    ASSERT_TRUE(wait_until([&] {
      return (said = ask(server(), "Cluster/MemberPromote", promotion)) == "OK ";
    })) << said;
    pb::RangeRequest read;
    read.set_key("any");
    ASSERT_TRUE(wait_until([&] { return ask(*joiner_, "KV/Range", read) == "OK "; }));
  }
  std::string move_leader(const ServerProcess& at, std::string* reply = nullptr) {
    pb::MoveLeaderRequest request;
    request.set_targetid(joiner_id_);
    return ask(at, "Maintenance/MoveLeader", request, reply);
  }

  std::uint64_t joiner_id_ = 0;
  std::unique_ptr<ServerProcess> joiner_;
};
CONCLAVE_ON_BOTH_SERVERS(TwoMembersTest);

TEST_P(TwoMembersTest, ALearnerServesSerializableReadsItsStatusAndSnapshots) {
  put("key: 'a' value: '1'");
  Calls learner(joiner_->channel());
  pb::RangeResponse range;
  EXPECT_TRUE(wait_until([&] {
    return learner.call(parse<pb::RangeRequest>("key: 'a' serializable: true"), range).ok() &&
           range.count() == 1;
  }));
  EXPECT_TRUE(status_of(*joiner_).islearner());
  EXPECT_FALSE(status_of(server()).islearner());
  const auto stub = pb::Maintenance::NewStub(joiner_->channel());
  grpc::ClientContext context;
  const auto stream = stub->Snapshot(&context, pb::SnapshotRequest());
  std::size_t bytes = 0;
  for (pb::SnapshotResponse piece; stream->Read(&piece);) bytes += piece.blob().size();
  const bool saved = stream->Finish().ok() && bytes > 0;
  EXPECT_EQ(saved ? "saved" : "refused",
            by_server("saved", "refused", "3.5 began to take snapshots of learners"));
}

TEST_P(TwoMembersTest, ALearnerRefusesEverythingElse) {
  const std::string refusal =
      by_server("FAILED_PRECONDITION", "UNAVAILABLE", "3.5 began to tell it from a failure") +
      " etcdserver: rpc not supported for learner";
  for (const std::string method : kRefusedByLearners) {
    EXPECT_EQ(Renderer()(call_raw(joiner_->channel(), "/etcdserverpb." + method, "")), refusal)
        << method;
  }
  for (const char* method : {"/etcdserverpb.Watch/Watch", "/etcdserverpb.Lease/LeaseKeepAlive"}) {
    EXPECT_EQ(Renderer()(stream_raw(joiner_->channel(), method, "")), refusal) << method;
  }
  EXPECT_EQ(move_leader(server()), "FAILED_PRECONDITION etcdserver: bad leader transferee");
}

TEST_P(TwoMembersTest, OnlyTheLeaderMovesTheLeadershipAndAnswersWithoutAHeader) {
  promote();
  EXPECT_EQ(move_leader(*joiner_), "FAILED_PRECONDITION etcdserver: not leader");
  std::string reply;
  EXPECT_EQ(move_leader(server(), &reply), "OK ");
  pb::MoveLeaderResponse moved;
  EXPECT_TRUE(moved.ParseFromString(reply));
  EXPECT_FALSE(moved.has_header());
  EXPECT_EQ(status_of(server()).leader(), joiner_id_);
}

// etcd tells it only to a client whose own time is out.
TEST_P(TwoMembersTest, ALeadershipThatIsNotTakenIsATimeoutOfItsOwn) {
  if (GetParam() == ServerKind::etcd) return;
  promote();
  joiner_->pause();
  EXPECT_EQ(move_leader(server()),
            "UNKNOWN etcdserver: request timed out, leader transfer took too long");
}

TEST_P(TwoMembersTest, WithoutAMajorityCallsTimeOutOrAreToldThatNobodyLeads) {
  promote();
  const auto watches = pb::Watch::NewStub(server().channel());
  const auto watching = wanting_a_leader();
  const auto watch = watches->Watch(watching.get());
  pb::WatchResponse response;
  ASSERT_TRUE(watch->Write(parse<pb::WatchRequest>("create_request { key: 'a' }")) &&
              watch->Read(&response));
  joiner_.reset();
  auto reading = std::async(std::launch::async, [this] { return range("key: 'a'"); });
  EXPECT_EQ(put("key: 'a'"), kTimedOut);
  EXPECT_EQ(reading.get(), kTimedOut);

  pb::RangeResponse read;
  EXPECT_EQ(
      Renderer()(pb::KV::NewStub(server().channel())
                     ->Range(wanting_a_leader().get(), parse<pb::RangeRequest>("key: 'a'"), &read)),
      kNoLeader);
  EXPECT_FALSE(watch->Read(&response));
  EXPECT_EQ(Renderer()(watch->Finish()), kNoLeader);
  EXPECT_THAT(status_of(server()).errors(), ::testing::ElementsAre("etcdserver: no leader"));
  EXPECT_EQ(range("key: 'a' serializable: true"), "@1 count=0");
}

}  // namespace conclave::test
