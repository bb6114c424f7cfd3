#include "conclave/client/endpoint.h"

#include <charconv>
#include <string_view>

namespace conclave::client {

namespace {

Error malformed(const std::string& text, std::string_view what) {
  return {Errc::invalid_argument, "endpoint \"" + text + "\": " + std::string(what)};
}

bool take_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

}  // namespace

Result<Endpoint> parse_endpoint(const std::string& text) {
  Endpoint out;
  std::string_view rest = text;
  if (take_prefix(rest, "http://")) {
    out.scheme = Endpoint::Scheme::http;
  } else if (take_prefix(rest, "https://")) {
    out.scheme = Endpoint::Scheme::https;
  } else if (rest.find("://") != std::string_view::npos) {
    return malformed(text, "only http:// and https:// are known");
  }
  if (rest.ends_with('/')) rest.remove_suffix(1);

  const std::size_t colon = rest.rfind(':');
  if (colon == std::string_view::npos || rest.ends_with(']')) {
    return malformed(text, "it has no port; host:port is expected");
  }
  std::string_view host = rest.substr(0, colon);
  const std::string_view port = rest.substr(colon + 1);
  const auto parsed = std::from_chars(port.data(), port.data() + port.size(), out.port);
  if (parsed.ec != std::errc() || parsed.ptr != port.data() + port.size() || out.port == 0) {
    return malformed(text, "its port is not a number from 1 to 65535");
  }
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return malformed(text, "an IPv6 address belongs in brackets");
  }
  if (host.empty()) return malformed(text, "it has no host");
  if (host.find_first_of("/?#@[] \t\n%,") != std::string_view::npos) {
    return malformed(text, "its host holds a character that no host has");
  }
  out.host = host;
  return out;
}

}  // namespace conclave::client
