#pragma once

#include <cstdint>
#include <string>

#include "conclave/base/result.h"

namespace conclave::client {

struct Endpoint {
  enum class Scheme : std::uint8_t { none, http, https };
  Scheme scheme = Scheme::none;
  std::string host;  // without the brackets of an IPv6 address
  std::uint16_t port = 0;
};

// Takes apart "host:port", "[address]:port", "http://host:port" and "https://host:port"; one "/" at
// the end is let pass. Error: invalid_argument with the endpoint and what is wrong with it.
Result<Endpoint> parse_endpoint(const std::string& text);

}  // namespace conclave::client
