#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "conclave/base/result.h"

namespace conclave {

// http://host:port or https://host:port, which is all that a member's address is made of.
struct Url {
  std::string scheme;
  std::string host;  // an IPv6 address without its brackets
  std::uint16_t port = 0;

  bool is_tls() const { return scheme == "https"; }
  std::string address() const;  // host:port, as resolvers take it
  std::string text() const { return scheme + "://" + address(); }

  friend bool operator==(const Url&, const Url&) = default;
};

// Errors: Errc::invalid_argument; the message says what is wrong but not where the text came from.
Result<Url> parse_url(std::string_view text);

// A comma-separated list of at least one.
Result<std::vector<Url>> parse_urls(std::string_view text);

// True for "localhost" and for what reads as an IP address: names that need no resolver, so that a
// server can bind to them.
bool is_bindable_host(const std::string& host);

// True for the addresses that mean "every address of this machine".
bool is_wildcard_host(const std::string& host);

// What others are told of a socket that listens on `url`: a wildcard is no address to connect to,
// and becomes "localhost".
Url advertised(Url url);

// NAME=URL,NAME=URL…, where a name may come again with another URL; in the order in which the names
// first come. Errors: Errc::invalid_argument, naming the part that is not of that form.
struct NamedUrls {
  std::string name;
  std::vector<Url> urls;
};
Result<std::vector<NamedUrls>> parse_named_urls(std::string_view text);

}  // namespace conclave
