// TLS on the client port.

#include <filesystem>
#include <fstream>

#include <unistd.h>

#include "tests/support/certificate.h"
#include "tests/unit/server/front_fixture.h"

namespace conclave::server {
namespace {

namespace pb = etcdserverpb;

class TlsTest : public FrontTest {
 protected:
  void SetUp() override {
    folder_ =
        std::filesystem::path(::testing::TempDir()) / ("conclave_tls_" + std::to_string(getpid()));
    std::filesystem::create_directories(folder_);
    std::ofstream(folder_ / "server.crt") << test::kCertificate;
    std::ofstream(folder_ / "server.key") << test::kPrivateKey;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  FrontOptions options(bool ask_for_client_certificate) {
    FrontOptions options;
    options.listen_urls = {{"https", "127.0.0.1", 0}};
    options.tls.certificate = folder_ / "server.crt";
    options.tls.private_key = folder_ / "server.key";
    if (ask_for_client_certificate) options.tls.trusted_ca = folder_ / "server.crt";
    options.tls.ask_for_client_certificate = ask_for_client_certificate;
    return options;
  }
  grpc::Status put(const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
    grpc::ChannelArguments arguments;
    arguments.SetSslTargetNameOverride("localhost");  // which not every machine can resolve
    const auto channel = grpc::CreateCustomChannel(
        "127.0.0.1:" + std::to_string(front_->urls().front().port), credentials, arguments);
    pb::PutResponse response;
    return pb::KV::NewStub(channel)->Put(context().get(), {}, &response);
  }
  static std::shared_ptr<grpc::ChannelCredentials> client(bool with_certificate) {
    grpc::SslCredentialsOptions options;
    options.pem_root_certs = test::kCertificate;
    if (with_certificate) {
      options.pem_cert_chain = test::kCertificate;
      options.pem_private_key = test::kPrivateKey;
    }
    return grpc::SslCredentials(options);
  }

  std::filesystem::path folder_;
};

TEST_F(TlsTest, ServesWhoTrustsTheCertificate) {
  listen(options(false));
  EXPECT_TRUE(put(client(false)).ok());
  EXPECT_FALSE(put(grpc::InsecureChannelCredentials()).ok());
}

TEST_F(TlsTest, RefusesAClientWithoutTheCertificateItAsksFor) {
  listen(options(true));
  EXPECT_EQ(put(client(false)).error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_TRUE(put(client(true)).ok());
}

TEST_F(TlsTest, AFileThatIsNoCertificateIsAnErrorAtTheStart) {
  std::ofstream(folder_ / "server.crt") << "nonsense";
  const auto front = GrpcFront::listen(options(false), handler_);
  ASSERT_FALSE(front);
  EXPECT_EQ(front.error().message,
            "TLS file " + (folder_ / "server.crt").string() + " holds no certificate");
}

}  // namespace
}  // namespace conclave::server
