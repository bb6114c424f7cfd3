#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "conclave/api/errors.h"
#include "conclave/api/kv.pb.h"
#include "conclave/api/rpc.pb.h"
#include "conclave/mvcc/events.h"
#include "conclave/mvcc/key_index.h"
#include "conclave/mvcc/overlay.h"
#include "conclave/mvcc/revision.h"
#include "conclave/mvcc/storage.h"

namespace conclave::mvcc {

// Whether a lease exists at this point of the log.
using LeaseChecker = std::function<bool(std::int64_t lease_id)>;

// What a change means for the leases: from now on `key` belongs to lease `attached`, and no longer
// to `detached`; 0 is no lease.
struct LeaseChange {
  std::string key;
  std::int64_t detached = 0;
  std::int64_t attached = 0;

  friend bool operator==(const LeaseChange&, const LeaseChange&) = default;
};

// Everything that one applied request brings about, besides its writes, which wait in the pending
// batch.
template <class Response>
struct Applied {
  Response response;    // its header carries the revision only
  SharedEvents events;  // null if nothing changed, and then there is no new revision either
  std::vector<LeaseChange> lease_changes;
  bool response_too_large = false;  // everything was done, but the response has not all of it
};

// The multi-version key-value state of a node: what every revision since the last compaction looked
// like.
//
// Caveats
// - Deterministic: the same requests in the same order give the same replies, events, records and
//   hashes on every node, whatever each has committed to its disk or physically compacted.
// - Requests are taken to have passed validate.h. What depends on the state is decided here, and a
//   refused request has changed nothing.
// - A storage read that fails is final: the call answers Refusal::corrupt, failure() is set from
//   then on, take_batch() gives nothing more, and the owner stops the node. The state must not be
//   used any further.
//
// Values live in the storage; in memory are the key index and the *overlay*: the writes that the
// storage has not committed yet. Reads look there first. The way of a write to the disk:
//
//   store.put(request, leases);        // any number of changes, with add_write() between them
//   auto batch = store.take_batch();   // to the committing thread: storage.commit(*batch)
//   store.put(other, leases);          // more changes may be applied meanwhile
//   store.batch_committed();           // after commit() returned: the overlay lets go of it
//
// Threads: one (the core's). The batches handed out are immutable and may go to another.
// Lifetime: `storage` must outlive the store. Blocks only in storage reads.
class Store {
 public:
  explicit Store(const Storage& storage);
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // Rebuilds the key index from the records. Once, before anything else.
  // Errors: those of the storage; Errc::corrupt for a record that cannot be read, or is
  // missing.
  Result<void> load();

  // The revision of the last change; 1 in an empty store.
  std::int64_t current_revision() const { return current_; }
  // Reads and watches below it are refused. -1 before the first compaction, as in etcd.
  std::int64_t compact_revision() const { return compacted_; }
  std::size_t key_count() const {
    return index_.size();
  }  // deleted keys that are not yet compacted too
  const std::optional<Error>& failure() const { return failure_; }

  // Becomes what `other`, freshly loaded, is: the state of a snapshot that replaces this one.
  // Nothing may walk through the store; what is not committed yet is dropped. The storage is the
  // other's from now on.
  void take_over(Store&& other);

  // Calls `visit` for every live key that has a lease: to rebuild the lessor's side after load().
  void visit_attached(
      const std::function<void(std::int64_t lease_id, std::string_view key)>& visit) const;

  // --- Reads. Refusals: compacted, future_revision.
  // -------------------------------------------------

  // The first three in one go, however much there is to read; the walks of walk.h do the same in
  // steps.
  api::Reply<etcdserverpb::RangeResponse> range(const etcdserverpb::RangeRequest& request) const;
  // Responses above so many bytes are refused as too large. Protocol Buffers encodes no message of
  // 2 GiB, which is the bound unless set.
  void set_response_bytes_max(std::uint64_t bytes) { response_bytes_max_ = bytes; }
  // A transaction that is_read_only() (validate.h), without a log entry of its own.
  api::Reply<etcdserverpb::TxnResponse> read_txn(const etcdserverpb::TxnRequest& request) const;
  // The value that `key` had just before main revision `revision`; empty if it had none, or if that
  // is compacted. This is an event's prev_kv.
  std::optional<mvccpb::KeyValue> value_before(std::string_view key, std::int64_t revision) const;
  // The events of the revisions in [from, current], oldest first, at most `max_revisions` of those
  // that have any record left, and not many more than `max_bytes`; a revision is never split.
  // `next` is where to go on: current + 1 if nothing is left. `from` must not be below the compact
  // revision.
  struct EventPage {
    std::vector<SharedEvents> revisions;
    std::int64_t next = 0;
  };
  api::Reply<EventPage> events_from(std::int64_t from, std::size_t max_revisions,
                                    std::uint64_t max_bytes) const;
  // etcd's hash over the records up to `revision` (0: current): equal histories hash equal.
  api::Reply<etcdserverpb::HashKVResponse> hash_kv(std::int64_t revision) const;

  // --- Applying.
  // -----------------------------------------------------------------------------------

  // Not `is_answered`: nobody waits, so that what only a response would show is not read. What is
  // read never decides what is changed.
  //
  // Refusals: lease_not_found; key_not_found (ignore_value or ignore_lease on an absent key).
  api::Reply<Applied<etcdserverpb::PutResponse>> put(const etcdserverpb::PutRequest& request,
                                                     const LeaseChecker& leases);
  // Deletes what is there; nothing there is no error and no revision.
  api::Reply<Applied<etcdserverpb::DeleteRangeResponse>> delete_range(
      const etcdserverpb::DeleteRangeRequest& request, bool is_answered = true);
  // All compares, nested ones too, see the state before the transaction; then the operations of the
  // chosen branches are checked, and only if none is refused are they carried out, each seeing
  // those before it. Refusals: those of put(), and of range() for a range with a revision.
  api::Reply<Applied<etcdserverpb::TxnResponse>> txn(const etcdserverpb::TxnRequest& request,
                                                     const LeaseChecker& leases,
                                                     bool is_answered = true);
  // Deletes those of `keys` that exist, in the given order, in one revision: what revoking a lease
  // does.
  api::Reply<Applied<etcdserverpb::DeleteRangeResponse>> delete_keys(
      std::span<const std::string> keys);
  // Logical, at once: from now on `revision` is the oldest that can be read. Physical removal is
  // compaction_step(). Refusals: compacted (also for the compact revision itself), future_revision.
  api::Reply<etcdserverpb::CompactionResponse> compact(
      const etcdserverpb::CompactionRequest& request);

  // Whether records that nobody can read any more are still stored. What a walk holds can be read.
  bool compaction_pending() const { return index_.removal_pending(removable()); }
  // The same of what a compaction at `revision`, which has been applied, was to remove.
  bool compaction_pending(std::int64_t revision) const { return index_.removal_pending(revision); }
  // Adds the erasure of some of them to the pending batch, in about `max_work` steps of work;
  // returns how many. A deletion made at the compact revision itself stays, for the watch that
  // starts there.
  std::size_t compaction_step(std::size_t max_work);

  // --- The way to the storage.
  // ---------------------------------------------------------------------

  // Adds a write of the owner's (applied index, leases, …) to the pending batch. Not to
  // Table::records.
  void add_write(Write write);
  // What a store keeps beside the records, of a state that was compacted to this revision: to make
  // one from a snapshot.
  static std::vector<Write> writes_of(std::int64_t compact_revision);
  // What waits for take_batch(). Its sizes are what the commit policy looks at.
  const Batch& pending_batch() const { return overlay_.pending(); }
  // Bytes of all batches that are not committed yet, the pending one included.
  std::uint64_t uncommitted_bytes() const { return overlay_.uncommitted_bytes(); }
  // Closes the pending batch and hands it out; null if it is empty or the store has failed. Batches
  // must be committed in the order in which they were taken.
  std::shared_ptr<const Batch> take_batch();
  // The oldest batch taken is committed: storage reads that start from now on see it.
  void batch_committed();

 private:
  class Transaction;
  friend class Hold;
  friend class RangeWalk;
  friend class ReadWalk;
  friend class HashWalk;
  using Branches =
      std::vector<bool>;  // of a transaction and those nested in it, in order of appearance
  using OperationChecker = std::function<api::Reply<void>(const etcdserverpb::RequestOp&)>;

  std::int64_t removable() const {
    return holds_.empty() ? compacted_ : std::min(compacted_, holds_.begin()->first);
  }
  api::Refusal fail(Error error) const;
  bool read_record(Revision revision, mvccpb::KeyValue& record) const;

  bool holds(const etcdserverpb::Compare& compare) const;
  void choose_branches(const etcdserverpb::TxnRequest& request, Branches& branches) const;
  static api::Reply<void> check_lease(const etcdserverpb::PutRequest& request,
                                      const LeaseChecker& leases);
  api::Reply<void> check_ignored(const etcdserverpb::PutRequest& request) const;
  api::Reply<void> check_range(const etcdserverpb::RangeRequest& request) const;
  api::Reply<void> check_operations(const etcdserverpb::TxnRequest& request,
                                    const Branches& branches, std::size_t& next_branch,
                                    const OperationChecker& check) const;
  api::Reply<void> check_operations(const etcdserverpb::TxnRequest& request,
                                    const LeaseChecker& leases, const Branches& branches) const;

  const Storage* storage_;
  KeyIndex index_;
  Overlay overlay_;
  std::int64_t current_ = 1;
  std::int64_t compacted_ = -1;
  std::uint64_t response_bytes_max_ = 2'000'000'000;
  mutable std::map<std::int64_t, std::size_t> holds_;  // revision -> how many walks need it
  mutable std::optional<Error> failure_;
};

}  // namespace conclave::mvcc
