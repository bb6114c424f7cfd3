#pragma once

#include <string>

#include "conclave/base/result.h"

namespace conclave::listener {

// Files in PEM form, read once.
struct TlsFiles {
  std::string certificate;  // with its chain
  std::string private_key;
  std::string trusted_ca;                   // whose certificates are believed; empty: the system's
  bool ask_for_client_certificate = false;  // and refuse who shows none
};

// What stands in them.
struct Pem {
  std::string certificate;
  std::string private_key;
  std::string trusted_ca;
};

// A file without a name is empty. Errors: Errc::io, naming the file: it cannot be read, or holds no
// certificate, no key, or one that is not the certificate's.
Result<Pem> read_pem(const TlsFiles& files);

}  // namespace conclave::listener
