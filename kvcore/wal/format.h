#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "conclave/raft/types.h"

// The bytes of a segment: FORMAT.md is the description, and this is its only reader and writer.
namespace conclave::wal {

// A place in the log: an offset in a segment's file.
struct Position {
  std::uint64_t segment = 0;
  std::uint64_t offset = 0;
  friend auto operator<=>(const Position&, const Position&) = default;
};

enum class RecordType : std::uint8_t {
  mark = 1,        // all before it, or before the place it names, was synced
  entry = 2,       // a raft::Entry
  hard_state = 3,  // a raft::HardState
  move_end = 4,    // the entries after an index are dropped
  restart = 5,     // all entries are dropped, and the log goes on after an index
};

struct SegmentHeader {
  std::uint64_t segment = 0;
  std::uint64_t previous_end = 0;  // where the segment before ends; 0 in the first
  std::uint32_t previous_crc = 0;  // the CRC of its last record
  raft::Index previous_index = 0;  // the last entry before this segment
  raft::Term previous_term = 0;
  raft::HardState hard_state;
  std::string metadata;
  // Filled by decode_header(), and known after encode_header().
  std::uint64_t size = 0;
  std::uint32_t crc = 0;
};

std::string encode_header(SegmentHeader& header);

struct HeaderRead {
  enum class State { valid, unknown_version, invalid };
  State state = State::invalid;
  SegmentHeader header;
  std::uint32_t version = 0;
};
HeaderRead decode_header(std::string_view file);

// A mark's body. `self` keeps a stale or moved copy from being believed.
struct Mark {
  Position self;
  Position synced_end;
  bool closing = false;
};
constexpr std::uint64_t kMarkBytes = 56;  // framed and padded

// Appends framed records to `out`; `chain` is the CRC of the record before (of the header for the
// first) and becomes that of the new one.
void encode_mark(std::string& out, std::uint64_t segment, std::uint32_t& chain, const Mark& mark);
void encode_entry(std::string& out, std::uint64_t segment, std::uint32_t& chain,
                  const raft::Entry& entry);
void encode_hard_state(std::string& out, std::uint64_t segment, std::uint32_t& chain,
                       const raft::HardState& hard_state);
// `type` is move_end or restart.
void encode_place(std::string& out, std::uint64_t segment, std::uint32_t& chain, RecordType type,
                  raft::Index index, raft::Term term);

// The bytes that encode_entry() will append; those of the other records are at most kMarkBytes.
std::uint64_t encoded_bytes(const raft::Entry& entry);

// One framed record, its CRC proven. The body is a view into the file's bytes, its type byte first.
struct Record {
  std::uint8_t type = 0;
  std::string_view body;
  std::uint64_t end = 0;  // offset after the padding
};
// Absent where no record with a right CRC stands.
std::optional<Record> read_record(std::string_view file, std::uint64_t offset,
                                  std::uint64_t segment, std::uint32_t& chain);

// The parts of a record's body; absent if its length is wrong.
std::optional<raft::Entry> decode_entry(std::string_view body);
std::optional<raft::HardState> decode_hard_state(std::string_view body);
struct Place {
  raft::Index index = 0;
  raft::Term term = 0;
};
std::optional<Place> decode_place(std::string_view body);
std::optional<Mark> decode_mark(std::string_view body);

// The highest place that any readable mark at or after `from` says was synced. Marks carry a check
// of their own, so that they are found behind damage, where the chain of CRCs is broken.
std::optional<Position> highest_synced_end(std::string_view file, std::uint64_t from,
                                           std::uint64_t segment);

}  // namespace conclave::wal
