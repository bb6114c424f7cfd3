#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "conclave/base/result.h"
#include "conclave/raft/types.h"
#include "conclave/wal/disk.h"
#include "conclave/wal/format.h"

namespace conclave::wal {

// What a directory's segments say, read without changing a byte.
struct Recovery {
  struct Segment {
    std::uint64_t id = 0;
    raft::Index max_index = 0;  // the highest entry that is alive in it
    std::uint64_t file_bytes = 0;
  };
  std::vector<Segment> segments;           // without gaps; empty: there is no log yet
  std::vector<std::uint64_t> not_started;  // files that were made ready, or begun in a torn write

  std::string metadata;
  raft::HardState hard_state;
  raft::Index previous_index = 0;
  raft::Term previous_term = 0;
  std::vector<raft::Entry> entries;

  Position end;                  // after the last good record
  std::uint32_t chain = 0;       // its CRC
  std::uint64_t last_batch = 0;  // where, in the last segment, the last batch begins
  std::string tail;              // the last segment's bytes from last_batch on
  bool closed = false;           // the last record is a closing mark

  raft::Index last_index() const { return entries.empty() ? previous_index : entries.back().index; }
};

// Errors: see Log::open().
Result<Recovery> read_log(Disk& disk, const std::string& directory,
                          std::optional<raft::Index> must_reach);

// "00000000000000ff.log"
std::string segment_name(std::uint64_t id);

}  // namespace conclave::wal
