#include "conclave/replica/snapshot.h"

#include <limits>
#include <utility>

#include "conclave/base/bytes.h"
#include "conclave/base/crc32c.h"
#include "conclave/mvcc/revision.h"
#include "conclave/replica/peer_message.h"
#include "conclave/replica/state_machine.h"

namespace conclave::replica {
namespace {

constexpr std::uint32_t kVersion = 1;
constexpr std::uint64_t kPieceBytes = 1 << 20;
// No frame that a writer makes is longer: a piece, and one record beyond it.
constexpr std::uint32_t kFrameBytesMax = 1U << 31;
constexpr std::size_t kFrameHeadBytes = 5;
constexpr std::size_t kFrameTailBytes = 4;

enum Kind : std::uint8_t { kHead = 1, kLeases = 2, kRecords = 3, kEnd = 4 };

void add_pair(std::string& out, std::string_view key, std::string_view value) {
  append_le(out, static_cast<std::uint32_t>(key.size()));
  out += key;
  append_le(out, static_cast<std::uint32_t>(value.size()));
  out += value;
}

std::optional<std::string_view> take_text(ByteReader& reader) {
  const auto size = reader.le<std::uint32_t>();
  return size ? reader.take(*size) : std::nullopt;
}

Error corrupt(const std::string& what) {
  return {Errc::corrupt, "the snapshot is damaged: " + what};
}

}  // namespace

raft::Message message_of(const SnapshotHead& head) {
  raft::Message message{.kind = raft::MessageKind::snapshot,
                        .from = head.from(),
                        .to = head.to(),
                        .term = head.term()};
  message.snapshot = raft::SnapshotMetadata{head.place().index(), head.place().term(),
                                            decode(head.place().config())};
  return message;
}

SnapshotWriter::SnapshotWriter(SnapshotState state, std::shared_ptr<const mvcc::Storage> storage)
    : state_(std::move(state)), storage_(std::move(storage)) {
  state_.head.set_version(kVersion);
}

void SnapshotWriter::add_frame(std::string& out, std::uint8_t kind, std::string_view payload) {
  const std::size_t begin = out.size();
  out.push_back(static_cast<char>(kind));
  append_le(out, static_cast<std::uint32_t>(payload.size()));
  out += payload;
  crc_ = crc32c(std::string_view(out).substr(begin), crc_);
  append_le(out, crc_);
}

Result<std::optional<std::string>> SnapshotWriter::next() {
  std::string out;
  switch (part_) {
    case Part::head:
      add_frame(out, kHead, state_.head.SerializeAsString());
      part_ = state_.leases.empty() ? Part::records : Part::leases;
      return std::optional(std::move(out));
    case Part::leases: {
      std::string pairs;
      for (; next_lease_ < state_.leases.size() && pairs.size() < kPieceBytes; ++next_lease_) {
        const lease::RecordWrite& lease = state_.leases[next_lease_];
        add_pair(pairs, lease.key, *lease.value);
      }
      add_frame(out, kLeases, pairs);
      if (next_lease_ == state_.leases.size()) part_ = Part::records;
      return std::optional(std::move(out));
    }
    case Part::records: {
      Result<std::string> pairs = next_records();
      if (!pairs) return pairs.error();
      if (!pairs->empty()) {
        add_frame(out, kRecords, *pairs);
        return std::optional(std::move(out));
      }
      part_ = Part::end;
      return next();
    }
    case Part::end: {
      std::string counts;
      append_le<std::uint64_t>(counts, state_.leases.size());
      append_le(counts, record_count_);
      add_frame(out, kEnd, counts);
      part_ = Part::done;
      return std::optional(std::move(out));
    }
    case Part::done:
      break;
  }
  return std::optional<std::string>();
}

// One short read: the keys of a piece, and where the next one begins.
Result<std::string> SnapshotWriter::next_records() {
  std::string pairs;
  const std::string end = mvcc::record_key({state_.head.revision() + 1, 0}, false);
  const std::string begin = std::exchange(next_record_, end);
  const Result<void> scanned = storage_->scan(mvcc::Table::records, begin, end,
                                              [&](std::string_view key, std::string_view value) {
                                                if (pairs.size() >= kPieceBytes) {
                                                  next_record_ = key;
                                                  return false;
                                                }
                                                add_pair(pairs, key, value);
                                                ++record_count_;
                                                return true;
                                              });
  if (!scanned) return scanned.error();
  return pairs;
}

Result<void> SnapshotReader::add(std::string_view bytes) {
  buffer_ += bytes;
  byte_count_ += bytes.size();
  std::string_view rest = buffer_;
  while (rest.size() >= kFrameHeadBytes) {
    ByteReader reader(rest);
    const std::uint8_t kind = *reader.le<std::uint8_t>();
    const std::uint32_t size = *reader.le<std::uint32_t>();
    if (size > kFrameBytesMax) return corrupt("a frame of " + std::to_string(size) + " bytes");
    const auto payload = reader.take(size);
    const auto crc = reader.le<std::uint32_t>();
    if (!payload || !crc) break;
    crc_ = crc32c(rest.substr(0, kFrameHeadBytes + size), crc_);
    if (crc_ != *crc) {
      return corrupt("the checksum of the frame before byte " +
                     std::to_string(byte_count_ - reader.rest().size()) + " is wrong");
    }
    if (Result<void> taken = take_frame(kind, *payload); !taken) return taken;
    rest.remove_prefix(kFrameHeadBytes + size + kFrameTailBytes);
  }
  buffer_.erase(0, buffer_.size() - rest.size());
  return {};
}

Result<void> SnapshotReader::take_frame(std::uint8_t kind, std::string_view payload) {
  if (ended_) return corrupt("bytes behind its end");
  if (!head_.has_value() != (kind == kHead)) return corrupt("its first frame is no head");
  switch (kind) {
    case kHead:
      return take_head(payload);
    case kLeases:
      return take_pairs(mvcc::Table::leases, payload, lease_count_);
    case kRecords:
      return take_pairs(mvcc::Table::records, payload, record_count_);
    case kEnd:
      return take_end(payload);
    default:
      return corrupt("a frame of an unknown kind");
  }
}

Result<void> SnapshotReader::take_head(std::string_view payload) {
  SnapshotHead head;
  if (!head.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
    return corrupt("its head cannot be read");
  }
  if (head.version() != kVersion) {
    return Error{Errc::refused, "the snapshot is of version " + std::to_string(head.version()) +
                                    ", which this program does not know"};
  }
  head_ = std::move(head);
  return {};
}

Result<void> SnapshotReader::take_pairs(mvcc::Table table, std::string_view payload,
                                        std::uint64_t& count) {
  ByteReader reader(payload);
  while (!reader.rest().empty()) {
    const auto key = take_text(reader);
    const auto value = take_text(reader);
    if (!key || !value) return corrupt("a record is cut short");
    ++count;
    if (storage_ == nullptr) continue;
    batch_.byte_count += key->size() + value->size();
    batch_.writes.push_back({table, std::string(*key), std::string(*value)});
  }
  return batch_.writes.empty() ? Result<void>() : commit();
}

Result<void> SnapshotReader::take_end(std::string_view payload) {
  ByteReader reader(payload);
  const auto leases = reader.le<std::uint64_t>();
  const auto records = reader.le<std::uint64_t>();
  if (!records || *leases != lease_count_ || *records != record_count_) {
    return corrupt("it does not hold as much as its end says");
  }
  ended_ = true;
  return {};
}

Result<void> SnapshotReader::commit() {
  const Result<void> committed = storage_->commit(batch_);
  batch_ = {};
  return committed;
}

Result<void> SnapshotReader::finish() {
  if (!ended_ || !buffer_.empty()) return corrupt("it is cut short");
  if (storage_ == nullptr) return {};
  batch_.writes = StateMachine::position_of(*head_, membership_);
  if (Result<void> committed = commit(); !committed) return committed;
  return storage_->sync();
}

}  // namespace conclave::replica
