#include "conclave/listener/tls_files.h"

#include <fstream>
#include <memory>
#include <sstream>
#include <utility>

#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

namespace conclave::listener {
namespace {

Result<std::string> read_file(const std::string& path) {
  if (path.empty()) return std::string();
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  if (!(file && content << file.rdbuf())) {
    return Error{Errc::io, "cannot read the TLS file " + path};
  }
  return content.str();
}

using Bio = std::unique_ptr<BIO, decltype(&BIO_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;
using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;

Bio bio_of(const std::string& text) {
  return {BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), &BIO_free};
}

// Whoever starts a server must not be asked for the password of an encrypted key.
int no_password(char*, int, int, void*) {
  return 0;
}

Certificate certificate_in(const std::string& text) {
  return {PEM_read_bio_X509(bio_of(text).get(), nullptr, &no_password, nullptr), &X509_free};
}

// gRPC would serve with what it cannot use, and refuse every connection.
Result<void> check(const TlsFiles& files, const Pem& pem) {
  const auto failure = [](const std::string& path, const std::string& why) {
    return Error{Errc::io, "TLS file " + path + " holds no " + why};
  };
  if (!pem.trusted_ca.empty() && certificate_in(pem.trusted_ca) == nullptr) {
    return failure(files.trusted_ca, "certificate");
  }
  if (pem.certificate.empty() && pem.private_key.empty()) return {};
  const Certificate certificate = certificate_in(pem.certificate);
  if (certificate == nullptr) return failure(files.certificate, "certificate");
  const Key key(
      PEM_read_bio_PrivateKey(bio_of(pem.private_key).get(), nullptr, &no_password, nullptr),
      &EVP_PKEY_free);
  if (key == nullptr) {
    return failure(files.private_key, "private key that can be read without a password");
  }
  if (X509_check_private_key(certificate.get(), key.get()) != 1) {
    return failure(files.private_key, "key of the certificate in " + files.certificate);
  }
  return {};
}

}  // namespace

Result<Pem> read_pem(const TlsFiles& files) {
  Pem pem;
  for (const auto& [path, into] : {std::pair(&files.certificate, &pem.certificate),
                                   std::pair(&files.private_key, &pem.private_key),
                                   std::pair(&files.trusted_ca, &pem.trusted_ca)}) {
    Result<std::string> content = read_file(*path);
    if (!content) return std::move(content).error();
    *into = *std::move(content);
  }
  if (Result<void> usable = check(files, pem); !usable) return usable.error();
  return pem;
}

}  // namespace conclave::listener
