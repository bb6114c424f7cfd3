#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "conclave/base/result.h"
#include "conclave/replica/membership.h"
#include "conclave/server/data_directory.h"
#include "conclave/server/node.h"
#include "conclave/server/peer_links.h"

namespace conclave::server {

// Who a member is, from the first day of its data directory on.
struct Identity {
  std::uint64_t cluster_id = 0;
  std::uint64_t member_id = 0;
  std::uint64_t data_incarnation = 0;  // drawn when the directory was made; 0: unknown
  bool joined = false;                 // a cluster that existed, whose state comes from its leader
};

// The 25 bytes of the file `member`, which the log carries as its metadata, too. What is missing at
// the end reads as 0.
std::string encode(const Identity& identity);
// Errc::corrupt, naming `where` they came from.
Result<Identity> decode_identity(std::string_view bytes, const std::string& where);

// The members of a new cluster, with ids that all of them find alike.
std::vector<replica::Member> initial_members(const NodeOptions& options);

// What the other members of the cluster say of it. Waits for them for a while. Errors:
// Errc::unavailable (none of them answers); Errc::invalid_argument (the options name none).
Result<ClusterDescription> ask_others(const NodeOptions& options);

// What the directory says, or, in a fresh one, what the options make of it, durably. Who joins asks
// the others, and waits for them for a while.
//
// Errors: Errc::io; Errc::corrupt; Errc::unavailable (none of the others answers); Errc::refused
// (they do not know this member).
Result<Identity> settle_identity(const NodeOptions& options, const DataDirectory& directory);

// A number that no other run draws.
std::uint64_t drawn_from_system();

}  // namespace conclave::server
