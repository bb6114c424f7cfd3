#pragma once

#include <cstdint>
#include <string>

#include "conclave/base/result.h"
#include "conclave/server/node.h"

namespace conclave::server {

// What a snapshot's file holds.
struct SnapshotSummary {
  std::int64_t revision = 0;
  std::uint64_t index = 0;  // of the last log entry in it
  std::uint64_t records = 0;
  std::uint64_t leases = 0;
  std::uint64_t bytes = 0;
  std::uint32_t checksum = 0;
};

// Reads the file to its end and checks it. Errors: Errc::io; Errc::corrupt, with the place;
// Errc::refused, of a later version.
Result<SnapshotSummary> inspect_snapshot(const std::string& file);

// Makes the data directory of a member of a new cluster that begins with what the file holds: the
// same keys, revisions and leases, with the time that these had left. Every member is restored from
// the same file, each with its own name, and then started with the same flags.
//
// Of the options counts who the members are: name, data_dir, peer_urls, initial_cluster,
// cluster_token; and quota_bytes. The directory must be absent or empty; after an error it is as it
// was. Errors: as of inspect_snapshot(); Errc::refused for a directory with something in it.
Result<SnapshotSummary> restore_snapshot(const std::string& file, const NodeOptions& options);

}  // namespace conclave::server
