// The way of what is applied to the store, and what is then needed no longer: log, and records that
// a compaction has left over.
#include <algorithm>
#include <utility>

#include "conclave/base/planted_bugs.h"
#include "conclave/replica/replica.h"

namespace conclave::replica {
namespace {

using api::Refusal;

// Few enough that requests do not notice the step they wait behind.
constexpr std::size_t kRemovalsPerStep = 250;
constexpr std::size_t kRemovalsPerBatch = 10000;

}  // namespace

void Replica::maybe_take_batch(Instant now) {
  const mvcc::Batch& pending = state_.store().pending_batch();
  // A log that is too long for more waits for one more commit to prove the last one.
  const bool releases_log = raft_.log().payload_bytes() >= options_.max_uncommitted_bytes &&
                            state_.applied_index() > raft_.log().compacted().index;
  if (batch_entry_count_ == 0 && pending.writes.empty() && !releases_log) {
    batch_since_ = now;
    flush_wanted_ = false;
    return;
  }
  if (batch_out_ || installing_) return;
  if (!flush_wanted_ && !releases_log && now - batch_since_ < options_.batch_age &&
      batch_entry_count_ < options_.batch_entries && pending.byte_count < options_.batch_bytes) {
    return;
  }
  output_.batch = state_.take_batch();
  CONCLAVE_CHECK(output_.batch != nullptr, "a batch with the applied index is never empty");
  batch_out_ = true;
  ++batches_taken_;
  flush_wanted_ = false;
  batch_entry_count_ = 0;
  batch_since_ = now;
  batch_applied_ = state_.applied_index();
}

void Replica::batch_committed(std::uint64_t size_bytes, std::uint64_t size_in_use_bytes) {
  CONCLAVE_CHECK(batch_out_, "no batch was on its way");
  batch_out_ = false;
  size_bytes_ = size_bytes;
  size_in_use_bytes_ = size_in_use_bytes;
  state_.store().batch_committed();
  // A power cut may still take back this commit, but no longer the one before it. Of what was found
  // at the start nothing is proven: a sync may have failed, after which the cache shows pages that
  // are on no disk.
  raft::Index proven = std::exchange(committed_applied_, batch_applied_);
  if (CONCLAVE_PLANTED(log_released_too_early)) proven = committed_applied_;
  if (const raft::Index index = compactable(proven); index > raft_.log().compacted().index) {
    raft_.compact(index);
    output_.release_log = index;
  }
}

void Replica::defragmented(bool done, std::uint64_t size_bytes, std::uint64_t size_in_use_bytes) {
  CONCLAVE_CHECK(defragmentation_out_, "no defragmentation was on its way");
  defragmentation_out_ = false;
  size_bytes_ = size_bytes;
  size_in_use_bytes_ = size_in_use_bytes;
  for (const RequestId id : std::exchange(defragmentations_, {})) {
    answer(id, done ? std::nullopt : std::optional(Refusal::not_defragmented));
  }
}

// Removal yields to whatever has to be committed: it fills no more than a part of what may wait for
// the store, and a member that is stopping leaves it to its next start, unless a caller waits.
bool Replica::may_remove_compacted() const {
  const mvcc::Store& store = state_.store();
  return store.compaction_pending() && !store.failure() &&
         (!draining_ || !physical_compactions_.empty()) &&
         store.pending_batch().writes.size() < kRemovalsPerBatch &&
         store.uncommitted_bytes() < options_.max_uncommitted_bytes / 2;
}

void Replica::remove_compacted() {
  mvcc::Store& store = state_.store();
  if (may_remove_compacted()) {
    store.compaction_step(kRemovalsPerStep);
    // As much as goes into one batch: the rest waits for it.
    if (store.compaction_pending() && !may_remove_compacted()) {
      flush_wanted_ = true;
    }
  }
  for (PhysicalCompaction& compaction : physical_compactions_) {
    if (compaction.batch || store.compaction_pending(compaction.revision)) continue;
    const bool all_taken = batch_entry_count_ == 0 && store.pending_batch().writes.empty();
    compaction.batch = all_taken ? batches_taken_ : batches_taken_ + 1;
    flush_wanted_ = true;
  }
}

void Replica::answer_physical_compactions() {
  std::erase_if(physical_compactions_, [&](const PhysicalCompaction& compaction) {
    if (!compaction.batch || *compaction.batch > batches_committed()) return false;
    answer(compaction.id, std::nullopt);
    return true;
  });
}

// Of what the store has for sure, members that are behind are spared a snapshot with the last part.
raft::Index Replica::compactable(raft::Index proven) const {
  if (!is_grouped()) return proven;
  const raft::Log& log = raft_.log();
  // Who is sent a snapshot goes on from the log after it, unless that has become too long.
  if (log.payload_bytes() < options_.max_uncommitted_bytes) {
    for (const Sending& sending : sending_) proven = std::min(proven, sending.index);
  }
  raft::Index index = log.compacted().index;
  std::uint64_t bytes = log.payload_bytes();
  while (index < proven && (bytes > options_.kept_log_bytes ||
                            log.last_index() - index > options_.kept_log_entries)) {
    bytes -= log.at(++index).payload.size();
  }
  return index;
}

}  // namespace conclave::replica
