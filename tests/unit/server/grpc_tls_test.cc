// TLS on the client port, with a certificate made for these tests: for localhost, signed by itself,
// so that it is its own authority, and usable by a client too.

#include <filesystem>
#include <fstream>

#include <unistd.h>

#include "tests/unit/server/front_fixture.h"

namespace conclave::server {
namespace {

namespace pb = etcdserverpb;

constexpr char kCertificate[] = R"(-----BEGIN CERTIFICATE-----
MIIBvTCCAWKgAwIBAgIUaR9F322Y0eQGnVJpFlc5nitun3MwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMDEzNDM0MloYDzIxMjYxMDI3
MTM0MzQyWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAASwDwoaCWaDjRKWslss1SCel4CdgMvz89hqUnLYmWyNA+ZrtrOlLpa/
2OxQ0GKaoh4kDvSCchb2TXLyulWzZq3Ko4GPMIGMMB0GA1UdDgQWBBQn3ztV18/R
LtC0S3yQ/toM/JwFtDAfBgNVHSMEGDAWgBQn3ztV18/RLtC0S3yQ/toM/JwFtDAP
BgNVHRMBAf8EBTADAQH/MBoGA1UdEQQTMBGCCWxvY2FsaG9zdIcEfwAAATAdBgNV
HSUEFjAUBggrBgEFBQcDAQYIKwYBBQUHAwIwCgYIKoZIzj0EAwIDSQAwRgIhAIB6
089Vrvlw1/eUqHXwh7SmXhwawmWkhYK8beaNGO8sAiEA8CSgO5vUso0w8e6ZgPYe
iv80yc1nou/jN3ii+X50QgE=
-----END CERTIFICATE-----
)";
constexpr char kPrivateKey[] = R"(-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgWxAaCNXoZmJAxt9c
P1rMrY7ysVnBjRm26Xsunt83n0ehRANCAASwDwoaCWaDjRKWslss1SCel4CdgMvz
89hqUnLYmWyNA+ZrtrOlLpa/2OxQ0GKaoh4kDvSCchb2TXLyulWzZq3K
-----END PRIVATE KEY-----
)";

class TlsTest : public FrontTest {
 protected:
  void SetUp() override {
    folder_ =
        std::filesystem::path(::testing::TempDir()) / ("conclave_tls_" + std::to_string(getpid()));
    std::filesystem::create_directories(folder_);
    std::ofstream(folder_ / "server.crt") << kCertificate;
    std::ofstream(folder_ / "server.key") << kPrivateKey;
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
    options.pem_root_certs = kCertificate;
    if (with_certificate) {
      options.pem_cert_chain = kCertificate;
      options.pem_private_key = kPrivateKey;
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
            "cannot listen on https://127.0.0.1:0: the address or the certificate is refused");
}

}  // namespace
}  // namespace conclave::server
