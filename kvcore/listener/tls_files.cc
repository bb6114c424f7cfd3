#include "conclave/listener/tls_files.h"

#include <fstream>
#include <sstream>
#include <utility>

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
  return pem;
}

}  // namespace conclave::listener
