#pragma once

#include <string>

namespace conclave {

// Files in PEM form. Used for endpoints that begin with "https://", and, once any file is named
// here, for those that begin with neither "http://" nor "https://".
struct TlsOptions {
  std::string ca_file{};    // whom to trust; empty: what the system trusts
  std::string cert_file{};  // this client's certificate and key, both or neither
  std::string key_file{};
  std::string server_name{};  // expected in the server's certificate, if not the endpoint's host
};

}  // namespace conclave
