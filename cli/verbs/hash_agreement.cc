#include "conclave/cli/verbs/hash_agreement.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>

namespace conclave::cli {
namespace {

// Value → the endpoints that gave it, as "5 at a:1, b:1; 7 at c:1"; "" if all gave the same.
template <class ValueOf>
std::string parties(const std::vector<EndpointHash>& all, ValueOf value_of) {
  std::map<std::int64_t, std::string> by_value;
  for (const EndpointHash& one : all) {
    std::string& endpoints = by_value[value_of(one.hash)];
    endpoints += (endpoints.empty() ? "" : ", ") + one.endpoint;
  }
  if (by_value.size() < 2) return {};
  std::string out;
  for (const auto& [value, endpoints] : by_value) {
    out += (out.empty() ? "" : "; ") + std::to_string(value) + " at " + endpoints;
  }
  return out;
}

}  // namespace

std::optional<Error> disagreement(const std::vector<EndpointHash>& all) {
  const std::string compactions = parties(all, [](const auto& hash) {
    // Some releases say -1 if nothing was ever compacted.
    return std::max<std::int64_t>(hash.compact_revision(), 0);
  });
  if (!compactions.empty()) {
    return Error{
        Errc::refused,
        "the hashes cannot be compared, since the history begins at different revisions (" +
            compactions + "); ask again"};
  }
  const std::string hashes =
      parties(all, [](const auto& hash) { return static_cast<std::int64_t>(hash.hash()); });
  if (hashes.empty()) {
    const std::string clusters = parties(all, [](const auto& hash) {
      return static_cast<std::int64_t>(hash.header().cluster_id());
    });
    if (clusters.empty()) return std::nullopt;
    return Error{Errc::refused, "the members are of different clusters (" + clusters + ")"};
  }
  return Error{Errc::corrupt, "the members hold different data (" + hashes + ")"};
}

}  // namespace conclave::cli
