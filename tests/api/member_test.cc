// What is refused of those who change members, of one member alone; and a client with a name and a
// password, which is told to do without.
#include <string>

#include "tests/api/api_fixture.h"
#include "tests/api/render.h"

namespace conclave::test {

namespace pb = etcdserverpb;

class MemberTest : public ApiTest {
 protected:
  template <class Request>
  std::string refusal(const char* method, const Request& request) {
    return Renderer()(call_raw(server().channel(), std::string("/etcdserverpb.") + method,
                               request.SerializeAsString()));
  }
  std::string refused_addition(const std::string& url) {
    pb::MemberAddRequest request;
    if (!url.empty()) request.add_peerurls(url);
    return refusal("Cluster/MemberAdd", request);
  }
  template <class Response, class Request>
  Response answer(const char* method, const Request& request) {
    std::string reply;
    EXPECT_TRUE(call_raw(server().channel(), std::string("/etcdserverpb.") + method,
                         request.SerializeAsString(), &reply)
                    .ok());
    Response response;
    EXPECT_TRUE(response.ParseFromString(reply));
    EXPECT_TRUE(response.header().cluster_id() != 0 && response.header().member_id() != 0 &&
                response.header().revision() == 0)
        << method;
    return response;
  }
  // A learner that nobody starts; its id.
  std::uint64_t add_learner() {
    pb::MemberAddRequest request;
    request.add_peerurls("http://127.0.0.1:1");
    request.set_islearner(true);
    const auto added = answer<pb::MemberAddResponse>("Cluster/MemberAdd", request);
    EXPECT_EQ(added.members_size(), 2);
    EXPECT_TRUE(added.member().islearner());
    return added.member().id();
  }
  pb::Member self() {
    pb::MemberListResponse response;
    EXPECT_TRUE(calls().call(pb::MemberListRequest(), response).ok());
    return response.members_size() == 1 ? response.members(0) : pb::Member();
  }
};
CONCLAVE_ON_BOTH_SERVERS(MemberTest);

TEST_P(MemberTest, UrlsThatCannotBeReachedAreRefused) {
  for (const char* url : {"", "http://", "http://10.0.0.4", "10.0.0.4:2380", "ftp://10.0.0.4:1",
                          "http://10.0.0.4:2380/path"}) {
    EXPECT_EQ(refused_addition(url), "INVALID_ARGUMENT etcdserver: given member URLs are invalid")
        << url;
  }
}

TEST_P(MemberTest, AUrlBelongsToOneMember) {
  EXPECT_EQ(refused_addition(self().peerurls(0)),
            "FAILED_PRECONDITION etcdserver: Peer URLs already exists");
}

TEST_P(MemberTest, AnUnknownMemberIsNotFound) {
  pb::MemberRemoveRequest removal;
  removal.set_id(99);
  EXPECT_EQ(refusal("Cluster/MemberRemove", removal), "NOT_FOUND etcdserver: member not found");
  pb::MemberUpdateRequest update;
  update.set_id(99);
  update.add_peerurls(self().peerurls(0));
  EXPECT_EQ(refusal("Cluster/MemberUpdate", update), "NOT_FOUND etcdserver: member not found");
  pb::MemberPromoteRequest promotion;
  promotion.set_id(99);
  EXPECT_EQ(refusal("Cluster/MemberPromote", promotion), "NOT_FOUND etcdserver: member not found");
}

TEST_P(MemberTest, AnswersNameTheMembersUnderAHeaderWithoutRevision) {
  use_fresh_server();
  pb::MemberUpdateRequest update;
  update.set_id(add_learner());
  update.add_peerurls("http://127.0.0.1:2");
  const auto updated = answer<pb::MemberUpdateResponse>("Cluster/MemberUpdate", update);
  ASSERT_EQ(updated.members_size(), 2);
  EXPECT_EQ(updated.members(0).peerurls(0) == "http://127.0.0.1:2",
            updated.members(0).id() == update.id());
  EXPECT_EQ(updated.members(1).peerurls(0) == "http://127.0.0.1:2",
            updated.members(1).id() == update.id());
  pb::MemberRemoveRequest removal;
  removal.set_id(update.id());
  EXPECT_EQ(answer<pb::MemberRemoveResponse>("Cluster/MemberRemove", removal).members_size(), 1);
  EXPECT_EQ(refusal("Cluster/MemberRemove", removal), "NOT_FOUND etcdserver: member not found");
}

TEST_P(MemberTest, OneLearnerIsAllowedAtATime) {
  use_fresh_server();
  add_learner();
  pb::MemberAddRequest another;
  another.add_peerurls("http://127.0.0.1:2");
  another.set_islearner(true);
  EXPECT_EQ(refusal("Cluster/MemberAdd", another),
            "FAILED_PRECONDITION etcdserver: too many learner members in cluster");
}

TEST_P(MemberTest, ALearnerThatIsBehindIsNotPromoted) {
  use_fresh_server();
  pb::MemberPromoteRequest promotion;
  promotion.set_id(add_learner());
  EXPECT_EQ(refusal("Cluster/MemberPromote", promotion),
            "FAILED_PRECONDITION etcdserver: can only promote a learner member which is in sync "
            "with leader");
}

TEST_P(MemberTest, TheLastMemberStays) {
  use_fresh_server();
  pb::MemberRemoveRequest removal;
  removal.set_id(self().id());
  EXPECT_EQ(refusal("Cluster/MemberRemove", removal),
            "UNKNOWN etcdserver: re-configuration failed due to not enough started members");
  EXPECT_EQ(put("key: 'a'"), "@2");
}

TEST_P(MemberTest, AVoterIsNotPromoted) {
  pb::MemberPromoteRequest promotion;
  promotion.set_id(self().id());
  EXPECT_EQ(refusal("Cluster/MemberPromote", promotion),
            "FAILED_PRECONDITION etcdserver: can only promote a learner member");
}

TEST_P(MemberTest, LeadershipGoesToNobodyWhoIsNotAMember) {
  pb::MoveLeaderRequest request;
  request.set_targetid(99);
  EXPECT_EQ(refusal("Maintenance/MoveLeader", request),
            "FAILED_PRECONDITION etcdserver: bad leader transferee");
}

// Clients that have a name and a password to give go on without at these words.
TEST_P(MemberTest, AuthenticationIsNotEnabled) {
  pb::AuthenticateRequest request;
  request.set_name("root");
  request.set_password("secret");
  EXPECT_EQ(refusal("Auth/Authenticate", request),
            "FAILED_PRECONDITION etcdserver: authentication is not enabled");
}

// 3.4 looks for it all the same.
TEST_P(MemberTest, ATokenIsPassedOverWhereNobodyNeedsOne) {
  if (GetParam() == ServerKind::etcd) return;
  for (const char* name : {"token", "authorization"}) {
    grpc::ClientContext context;
    context.AddMetadata(name, "Bearer nothing.7");
    pb::RangeResponse response;
    const grpc::Status status =
        pb::KV::NewStub(server().channel())
            ->Range(&context, parse<pb::RangeRequest>("key: 'a'"), &response);
    EXPECT_TRUE(status.ok()) << name << ": " << status.error_message();
  }
}

}  // namespace conclave::test
