#include <fstream>

#include <gtest/gtest.h>

#include "tests/support/certificate.h"
#include "tests/support/process.h"
#include "tests/unit/transport/members.h"

namespace conclave::transport {
namespace {

class TlsTest : public ::testing::Test {
 protected:
  TlsTest() {
    std::ofstream(directory_.path() / "peer.crt") << test::kCertificate;
    std::ofstream(directory_.path() / "peer.key") << test::kPrivateKey;
  }
  listener::TlsFiles files(bool with_certificate = true,
                           bool ask_for_client_certificate = false) const {
    listener::TlsFiles files;
    if (with_certificate) {
      files.certificate = directory_.path() / "peer.crt";
      files.private_key = directory_.path() / "peer.key";
    }
    files.trusted_ca = directory_.path() / "peer.crt";
    files.ask_for_client_certificate = ask_for_client_certificate;
    return files;
  }
  static Result<void> describes(const std::string& url, const listener::TlsFiles& tls) {
    return fetch_description({url}, tls, std::chrono::seconds(30),
                             [](const std::string&) { return true; });
  }
  static void start(Member& member, const listener::TlsFiles& files) {
    member.options.tls = files;
    member.options.listen_urls = {"https://127.0.0.1:0"};
    member.start();
  }

  test::TempDir directory_;
  Member a_{1};
  Member b_{2};
};

TEST_F(TlsTest, MembersThatTrustEachOtherHaveLinks) {
  start(a_, files());
  start(b_, files());
  connect(a_, b_);
}

TEST_F(TlsTest, BothSidesShowTheirCertificates) {
  start(a_, files(true, true));
  start(b_, files(true, true));
  connect(a_, b_);
  EXPECT_TRUE(describes(a_.url(), files()));
}

TEST_F(TlsTest, AStoppedPeerIsGoneAsWithoutTls) {
  start(a_, files(true, true));
  start(b_, files(true, true));
  connect(a_, b_);
  b_.stop();
  EXPECT_TRUE(a_.events.wait_for([&] { return a_.events.goings[2] == 1; }));
}

TEST_F(TlsTest, WhoShowsNoneIsNotLetInWhereOneIsAskedFor) {
  start(a_, files(true, true));
  const auto refused = describes(a_.url(), files(false));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::unavailable);
  start(b_, files(true, false));
  EXPECT_TRUE(describes(b_.url(), files(false)));
}

TEST_F(TlsTest, WhoDoesNotTrustAPeerIsToldWhyThereIsNoLink) {
  a_.options.dial_timeout = std::chrono::milliseconds(300);
  std::ofstream(directory_.path() / "other.crt") << test::kOtherCertificate;
  listener::TlsFiles distrusting = files();
  distrusting.trusted_ca = directory_.path() / "other.crt";
  start(a_, distrusting);
  start(b_, files());
  a_.links->set_peers({b_.as_peer()});
  ASSERT_TRUE(a_.events.wait_for([&] { return !a_.events.failures.empty(); }));
  const auto [peer, reason] = a_.events.look([&] { return a_.events.failures.front(); });
  EXPECT_EQ(peer, 2U);
  EXPECT_NE(reason.find("certificate verify failed"), std::string::npos) << reason;
}

TEST_F(TlsTest, PlainConnectionsAreNotLetIn) {
  start(a_, files());
  const std::string plain = "http" + a_.url().substr(5);
  EXPECT_FALSE(describes(plain, {}));
}

TEST_F(TlsTest, AFileThatIsMissingIsAnErrorThatNamesIt) {
  a_.options.tls = files();
  a_.options.tls.private_key = "/nowhere/peer.key";
  a_.options.listen_urls = {"https://127.0.0.1:0"};
  const auto links = Links::start(a_.options, a_.events);
  ASSERT_FALSE(links);
  EXPECT_EQ(links.error(), (Error{Errc::io, "cannot read the TLS file /nowhere/peer.key"}));
}

TEST_F(TlsTest, AFileThatIsNoCertificateIsAnErrorAtTheStart) {
  std::ofstream(directory_.path() / "peer.crt") << "nonsense";
  a_.options.tls = files();
  a_.options.listen_urls = {"https://127.0.0.1:0"};
  const auto links = Links::start(a_.options, a_.events);
  ASSERT_FALSE(links);
  EXPECT_EQ(links.error().code, Errc::io);
}

}  // namespace
}  // namespace conclave::transport
