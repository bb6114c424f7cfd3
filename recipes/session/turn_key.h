#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "conclave/base/bytes.h"
#include "conclave/client/types.h"

namespace conclave::session {

// The keys of a queue, all directly below "<name>/":
//
//   <name>/<lease-hex>+<kind>-<nonce-hex>     ours; kind is "lock" or "elect"
//   <name>/<anything without "/">             another client's, which counts as exclusive
//   <name>/<…>/<…>                            not a contender: the queue of another name
//
// The nonce is fresh for each acquisition, so that a key, once removed, is never wanted again:
// whatever appears under it later is a stray of a request that was delayed.

inline std::string queue_prefix(std::string_view name) {
  return std::string(name) + "/";
}

inline bool is_contender(std::string_view prefix, std::string_view key) {
  return key.starts_with(prefix) && key.find('/', prefix.size()) == std::string_view::npos;
}

inline std::string contender_key(std::string_view name, LeaseId lease, std::string_view kind,
                                 std::uint64_t nonce) {
  return queue_prefix(name) + hex(static_cast<std::uint64_t>(lease)) + "+" + std::string(kind) +
         "-" + hex(nonce);
}

inline Get read_key(std::string key) {
  Get get;
  get.key = std::move(key);
  return get;
}

// Has the form that contender_key() makes, whatever its kind.
bool has_our_tag(std::string_view prefix, std::string_view key);

// All contenders of a queue and the strays below them, by create revision.
Get read_queue(std::string_view name, SortOrder order, std::int64_t limit);

}  // namespace conclave::session
