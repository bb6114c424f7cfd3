#include "conclave/base/url.h"

#include <algorithm>
#include <charconv>

#include <arpa/inet.h>

namespace conclave {
namespace {

Error malformed(std::string_view text, std::string_view what) {
  return {Errc::invalid_argument, "\"" + std::string(text) + "\" " + std::string(what)};
}

constexpr std::string_view kForm = "is not of the form http://host:port";

}  // namespace

std::string Url::address() const {
  const bool is_ipv6 = host.find(':') != std::string::npos;
  return (is_ipv6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<Url> parse_url(std::string_view text) {
  const std::size_t scheme_end = text.find("://");
  if (scheme_end == std::string_view::npos) return malformed(text, kForm);
  Url url;
  url.scheme = text.substr(0, scheme_end);
  if (url.scheme != "http" && url.scheme != "https") {
    return malformed(text, "has a scheme that is neither http nor https");
  }
  std::string_view rest = text.substr(scheme_end + 3);
  if (rest.ends_with('/')) rest.remove_suffix(1);
  if (rest.find_first_of("/?#@ ") != std::string_view::npos) {
    return malformed(text, "has more than a host and a port");
  }
  const std::size_t colon = rest.rfind(':');
  if (colon == std::string_view::npos) return malformed(text, kForm);
  std::string_view host = rest.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
    in6_addr address{};
    if (inet_pton(AF_INET6, std::string(host).c_str(), &address) != 1)
      return malformed(text, kForm);
  } else if (host.find_first_of(":[]") != std::string_view::npos) {
    return malformed(text, kForm);
  }
  if (host.empty()) return malformed(text, kForm);
  url.host = host;
  const std::string_view port = rest.substr(colon + 1);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), url.port);
  if (error != std::errc() || end != port.data() + port.size()) {
    return malformed(text, "has a port that is not a number from 0 to 65535");
  }
  return url;
}

Result<std::vector<Url>> parse_urls(std::string_view text) {
  std::vector<Url> urls;
  std::size_t begin = 0;
  while (true) {
    const std::size_t comma = text.find(',', begin);
    Result<Url> url = parse_url(text.substr(begin, comma - begin));
    if (!url) return url.error();
    urls.push_back(*std::move(url));
    if (comma == std::string_view::npos) return urls;
    begin = comma + 1;
  }
}

bool is_bindable_host(const std::string& host) {
  in6_addr address{};
  return host == "localhost" || inet_pton(AF_INET, host.c_str(), &address) == 1 ||
         inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

bool is_wildcard_host(const std::string& host) {
  return host == "0.0.0.0" || host == "::";
}

Url advertised(Url url) {
  if (is_wildcard_host(url.host)) url.host = "localhost";
  return url;
}

Result<std::vector<NamedUrls>> parse_named_urls(std::string_view text) {
  std::vector<NamedUrls> all;
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), part.size() + 1));
    const std::size_t equals = part.find('=');
    Result<Url> url = parse_url(part.substr(equals == std::string_view::npos ? 0 : equals + 1));
    if (equals == std::string_view::npos || equals == 0 || !url) {
      return Error{Errc::invalid_argument,
                   "\"" + std::string(part) + "\" is not of the form NAME=http://host:port"};
    }
    const std::string name(part.substr(0, equals));
    auto named = std::ranges::find(all, name, &NamedUrls::name);
    if (named == all.end()) named = all.insert(all.end(), {name, {}});
    named->urls.push_back(*std::move(url));
  }
  return all;
}

}  // namespace conclave
