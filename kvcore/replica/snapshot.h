#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conclave/base/result.h"
#include "conclave/lease/lessor.h"
#include "conclave/mvcc/storage.h"
#include "conclave/raft/message.h"
#include "conclave/replica/snapshot.pb.h"

namespace conclave::replica {

// Snapshots as streams of bytes, in the form that SNAPSHOT.md describes.

// What of the state is taken at once: all but the records.
struct SnapshotState {
  SnapshotHead head;
  std::vector<lease::RecordWrite> leases;
};

// The message by which the consensus is offered the snapshot of this head.
raft::Message message_of(const SnapshotHead& head);

// Writes a snapshot, piece by piece.
//
// The storage must have committed everything up to the head's place, and nothing may be removed
// from it by a compaction until the last piece is made. Threads: one at a time, any; next() blocks
// for reads of the storage.
class SnapshotWriter {
 public:
  SnapshotWriter(SnapshotState state, std::shared_ptr<const mvcc::Storage> storage);

  // The next bytes, about a MiB; nothing at the end. Errors: the storage's.
  Result<std::optional<std::string>> next();

 private:
  enum class Part { head, leases, records, end, done };

  void add_frame(std::string& out, std::uint8_t kind, std::string_view payload);
  Result<std::string> next_records();

  SnapshotState state_;
  const std::shared_ptr<const mvcc::Storage> storage_;
  Part part_ = Part::head;
  std::size_t next_lease_ = 0;
  std::string next_record_;
  std::uint64_t record_count_ = 0;
  std::uint32_t crc_ = 0;
};

// Reads one, however it is cut into pieces, into a storage that is empty. What was not finished
// must be thrown away.
class SnapshotReader {
 public:
  // Null: the snapshot is only checked.
  explicit SnapshotReader(mvcc::Storage* storage) : storage_(storage) {}

  // Errors: Errc::corrupt, Errc::refused (of a later version); the storage's. Final.
  Result<void> add(std::string_view bytes);
  // The snapshot was complete; what it holds is durable. Errc::corrupt if it was not.
  Result<void> finish();

  // Present once the first frame was read.
  const std::optional<SnapshotHead>& head() const { return head_; }
  std::uint64_t lease_count() const { return lease_count_; }
  std::uint64_t record_count() const { return record_count_; }
  std::uint64_t byte_count() const { return byte_count_; }
  std::uint32_t checksum() const { return crc_; }

  // Written instead of the head's membership by finish(), for a cluster that begins anew.
  void replace_membership(std::string record) { membership_ = std::move(record); }

 private:
  Result<void> take_frame(std::uint8_t kind, std::string_view payload);
  Result<void> take_head(std::string_view payload);
  Result<void> take_pairs(mvcc::Table table, std::string_view payload, std::uint64_t& count);
  Result<void> take_end(std::string_view payload);
  Result<void> commit();

  mvcc::Storage* const storage_;
  std::string buffer_;
  mvcc::Batch batch_;
  std::optional<SnapshotHead> head_;
  std::optional<std::string> membership_;
  std::uint64_t lease_count_ = 0;
  std::uint64_t record_count_ = 0;
  std::uint64_t byte_count_ = 0;
  std::uint32_t crc_ = 0;
  bool ended_ = false;
};

}  // namespace conclave::replica
