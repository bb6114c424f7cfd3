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

}  // namespace conclave::test
