#include <filesystem>
#include <fstream>

#include "tests/client_etcd/etcd_fixture.h"

namespace conclave {
namespace {

// An etcd that speaks TLS only and asks for a client certificate, and the files for it, made by
// openssl.
class Tls : public EtcdFixture {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kOpenssl)) GTEST_SKIP() << "no " << kOpenssl;
    make_authority("ca");
    make_authority("stranger");
    make_certificate("server", "ca");
    make_certificate("client", "ca");
    start(1,
          {.tls = {.ca_file = file("ca.pem"),
                   .cert_file = file("client.pem"),
                   .key_file = file("client.key")}},
          {"--cert-file", file("server.pem"), "--key-file", file("server.key"), "--trusted-ca-file",
           file("ca.pem"), "--client-cert-auth"});
  }

  std::string file(const std::string& name) const { return (directory_.path() / name).string(); }

  void openssl(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), kOpenssl);
    test::Process process(arguments, file("openssl.log"));
    ASSERT_EQ(process.wait(), 0) << process.output();
  }

  void make_authority(const std::string& name) {
    openssl({"req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-days", "2", "-subj", "/CN=" + name, "-keyout", file(name + ".key"), "-out",
             file(name + ".pem")});
  }

  void make_certificate(const std::string& name, const std::string& authority) {
    std::ofstream(file("extensions")) << "subjectAltName=IP:127.0.0.1,DNS:store.example\n"
                                         "extendedKeyUsage=serverAuth,clientAuth\n";
    openssl({"req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
             "/CN=" + name, "-keyout", file(name + ".key"), "-out", file(name + ".csr")});
    openssl({"x509", "-req", "-days", "2", "-in", file(name + ".csr"), "-CA",
             file(authority + ".pem"), "-CAkey", file(authority + ".key"), "-CAcreateserial",
             "-extfile", file("extensions"), "-out", file(name + ".pem")});
  }

  static constexpr const char* kOpenssl = "/usr/bin/openssl";
  test::TempDir directory_;
};

TEST_F(Tls, BothSidesProveWhoTheyAre) {
  unwrap(client().put("k", "v"));

  ClientOptions options = client().options();
  const auto error_with = [&options] {
    Client other = unwrap(Client::connect(options));
    const auto put = other.put("k", "w", {.timeout = std::chrono::seconds(2)});
    return put ? Errc{} : put.error().code;
  };
  options.tls.server_name = "store.example";
  EXPECT_EQ(error_with(), Errc{});
  options.tls.server_name = "elsewhere.example";
  EXPECT_EQ(error_with(), Errc::unavailable);

  options = client().options();
  options.tls.ca_file = file("stranger.pem");
  EXPECT_EQ(error_with(), Errc::unavailable);

  options = client().options();
  options.tls.cert_file.clear();
  options.tls.key_file.clear();
  EXPECT_NE(error_with(), Errc{});
}

}  // namespace
}  // namespace conclave
