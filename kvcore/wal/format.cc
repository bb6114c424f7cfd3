#include "conclave/wal/format.h"

#include <algorithm>

#include "conclave/base/bytes.h"
#include "conclave/base/check.h"
#include "conclave/base/crc32c.h"
#include "conclave/base/planted_bugs.h"

namespace conclave::wal {
namespace {

constexpr std::string_view kMagic = "CONCLOG\n";
constexpr std::uint32_t kVersion = 1;
constexpr std::uint64_t kFrameBytes = 8;
constexpr std::uint64_t kHeaderFixedBytes = 80;
constexpr std::uint64_t kEntryFixedBytes = 24;
constexpr std::uint64_t kMarkBodyBytes = 44;

constexpr std::uint64_t padded(std::uint64_t bytes) {
  return (bytes + 7) & ~std::uint64_t{7};
}

// The type byte of a body, a second byte, and zeros up to the first number, which so stands
// aligned.
void begin_body(std::string& out, RecordType type, std::uint8_t second = 0) {
  append_le(out, static_cast<std::uint8_t>(type));
  append_le(out, second);
  out.append(6, '\0');
}

std::uint32_t record_crc(std::uint64_t segment, std::uint32_t length, std::string_view padded_body,
                         std::uint32_t chain) {
  std::string prefix;
  append_le(prefix, segment);
  append_le(prefix, length);
  return crc32c(padded_body, crc32c(prefix, chain));
}

// Puts the frame into the place kept for it at `start`, once the body stands behind it.
void frame_record(std::string& out, std::size_t start, std::uint64_t segment,
                  std::uint32_t& chain) {
  const std::uint64_t body_bytes = out.size() - start - kFrameBytes;
  CONCLAVE_CHECK(body_bytes <= UINT32_MAX, "a log record of 4 GiB");
  const auto length = static_cast<std::uint32_t>(body_bytes);
  out.append(padded(body_bytes) - body_bytes, '\0');
  const std::string_view body = std::string_view(out).substr(start + kFrameBytes);
  chain = record_crc(segment, length, body, chain);
  std::memcpy(out.data() + start, &length, sizeof(length));
  std::memcpy(out.data() + start + sizeof(length), &chain, sizeof(chain));
}

std::size_t begin_record(std::string& out) {
  out.append(kFrameBytes, '\0');
  return out.size() - kFrameBytes;
}

}  // namespace

std::string encode_header(SegmentHeader& header) {
  std::string out(kMagic);
  header.size = padded(kHeaderFixedBytes + header.metadata.size() + sizeof(std::uint32_t));
  append_le(out, kVersion);
  append_le(out, static_cast<std::uint32_t>(header.size));
  append_le(out, header.segment);
  append_le(out, header.previous_end);
  append_le(out, header.previous_index);
  append_le(out, header.previous_term);
  append_le(out, header.hard_state.term);
  append_le(out, header.hard_state.vote);
  append_le(out, header.hard_state.commit);
  append_le(out, header.previous_crc);
  append_le(out, static_cast<std::uint32_t>(header.metadata.size()));
  out += header.metadata;
  out.resize(header.size - sizeof(std::uint32_t), '\0');
  header.crc = crc32c(out);
  append_le(out, header.crc);
  return out;
}

HeaderRead decode_header(std::string_view file) {
  HeaderRead read;
  ByteReader reader(file);
  const auto magic = reader.take(kMagic.size());
  const auto version = reader.le<std::uint32_t>();
  const auto size = reader.le<std::uint32_t>();
  if (!size || *magic != kMagic) return read;
  if (*size < kHeaderFixedBytes + sizeof(std::uint32_t) || *size > file.size()) return read;
  const std::string_view covered = file.substr(0, *size - sizeof(std::uint32_t));
  const std::uint32_t crc = crc32c(covered);
  if (ByteReader(file.substr(covered.size())).le<std::uint32_t>() != crc) return read;
  read.version = *version;
  if (*version != kVersion) {
    read.state = HeaderRead::State::unknown_version;
    return read;
  }
  SegmentHeader& header = read.header;
  header.segment = *reader.le<std::uint64_t>();
  header.previous_end = *reader.le<std::uint64_t>();
  header.previous_index = *reader.le<raft::Index>();
  header.previous_term = *reader.le<raft::Term>();
  header.hard_state.term = *reader.le<raft::Term>();
  header.hard_state.vote = *reader.le<raft::NodeId>();
  header.hard_state.commit = *reader.le<raft::Index>();
  header.previous_crc = *reader.le<std::uint32_t>();
  const auto metadata = reader.take(*reader.le<std::uint32_t>());
  if (!metadata) return read;
  header.metadata = *metadata;
  header.size = *size;
  header.crc = crc;
  read.state = HeaderRead::State::valid;
  return read;
}

void encode_mark(std::string& out, std::uint64_t segment, std::uint32_t& chain, const Mark& mark) {
  const std::size_t start = begin_record(out);
  begin_body(out, RecordType::mark, mark.closing ? 1 : 0);
  append_le(out, mark.self.segment);
  append_le(out, mark.self.offset);
  append_le(out, mark.synced_end.segment);
  append_le(out, mark.synced_end.offset);
  append_le(out, crc32c(std::string_view(out).substr(start + kFrameBytes)));
  frame_record(out, start, segment, chain);
  CONCLAVE_CHECK(out.size() - start == kMarkBytes, "a mark has one size");
}

void encode_entry(std::string& out, std::uint64_t segment, std::uint32_t& chain,
                  const raft::Entry& entry) {
  const std::size_t start = begin_record(out);
  begin_body(out, RecordType::entry, static_cast<std::uint8_t>(entry.kind));
  append_le(out, entry.term);
  append_le(out, entry.index);
  out += entry.payload;
  frame_record(out, start, segment, chain);
}

void encode_hard_state(std::string& out, std::uint64_t segment, std::uint32_t& chain,
                       const raft::HardState& hard_state) {
  const std::size_t start = begin_record(out);
  begin_body(out, RecordType::hard_state);
  append_le(out, hard_state.term);
  append_le(out, hard_state.vote);
  append_le(out, hard_state.commit);
  frame_record(out, start, segment, chain);
}

void encode_place(std::string& out, std::uint64_t segment, std::uint32_t& chain, RecordType type,
                  raft::Index index, raft::Term term) {
  const std::size_t start = begin_record(out);
  begin_body(out, type);
  append_le(out, index);
  append_le(out, term);
  frame_record(out, start, segment, chain);
}

std::uint64_t encoded_bytes(const raft::Entry& entry) {
  return kFrameBytes + padded(kEntryFixedBytes + entry.payload.size());
}

std::optional<Record> read_record(std::string_view file, std::uint64_t offset,
                                  std::uint64_t segment, std::uint32_t& chain) {
  if (offset > file.size()) return std::nullopt;
  ByteReader reader(file.substr(offset));
  const auto length = reader.le<std::uint32_t>();
  const auto crc = reader.le<std::uint32_t>();
  // Every body has at least the bytes of begin_body(); zeros here are space that was never written.
  if (!crc || *length < 8) return std::nullopt;
  const auto body = reader.take(padded(*length));
  if (!body) return std::nullopt;
  if (record_crc(segment, *length, *body, chain) != *crc && !CONCLAVE_PLANTED(torn_record_taken)) {
    return std::nullopt;
  }
  chain = *crc;
  return Record{.type = static_cast<std::uint8_t>(body->front()),
                .body = body->substr(0, *length),
                .end = offset + kFrameBytes + body->size()};
}

std::optional<raft::Entry> decode_entry(std::string_view body) {
  if (body.size() < kEntryFixedBytes) return std::nullopt;
  ByteReader reader(body.substr(8));
  raft::Entry entry;
  entry.kind = static_cast<raft::EntryKind>(body[1]);
  entry.term = *reader.le<raft::Term>();
  entry.index = *reader.le<raft::Index>();
  entry.payload = reader.rest();
  return entry;
}

std::optional<raft::HardState> decode_hard_state(std::string_view body) {
  if (body.size() != 32) return std::nullopt;
  ByteReader reader(body.substr(8));
  raft::HardState hard_state;
  hard_state.term = *reader.le<raft::Term>();
  hard_state.vote = *reader.le<raft::NodeId>();
  hard_state.commit = *reader.le<raft::Index>();
  return hard_state;
}

std::optional<Place> decode_place(std::string_view body) {
  if (body.size() != 24) return std::nullopt;
  ByteReader reader(body.substr(8));
  Place place;
  place.index = *reader.le<raft::Index>();
  place.term = *reader.le<raft::Term>();
  return place;
}

std::optional<Mark> decode_mark(std::string_view body) {
  if (body.size() != kMarkBodyBytes) return std::nullopt;
  const std::string_view covered = body.substr(0, body.size() - sizeof(std::uint32_t));
  ByteReader reader(body.substr(8));
  Mark mark;
  mark.closing = body[1] != 0;
  mark.self.segment = *reader.le<std::uint64_t>();
  mark.self.offset = *reader.le<std::uint64_t>();
  mark.synced_end.segment = *reader.le<std::uint64_t>();
  mark.synced_end.offset = *reader.le<std::uint64_t>();
  if (*reader.le<std::uint32_t>() != crc32c(covered)) return std::nullopt;
  return mark;
}

std::optional<Position> highest_synced_end(std::string_view file, std::uint64_t from,
                                           std::uint64_t segment) {
  std::optional<Position> highest;
  for (std::uint64_t at = padded(from); at + kMarkBytes <= file.size(); at += 8) {
    const std::string_view body = file.substr(at + kFrameBytes, kMarkBodyBytes);
    if (static_cast<std::uint8_t>(body.front()) != static_cast<std::uint8_t>(RecordType::mark)) {
      continue;
    }
    const std::optional<Mark> mark = decode_mark(body);
    if (!mark || mark->self != Position{segment, at}) continue;
    if (!highest || *highest < mark->synced_end) highest = mark->synced_end;
  }
  return highest;
}

}  // namespace conclave::wal
