// Snapshots out, to members that are too far behind, and in.
#include <algorithm>
#include <utility>

#include "conclave/base/planted_bugs.h"
#include "conclave/replica/replica.h"

namespace conclave::replica {

using api::Refusal;

// Everything but the records is taken now. Those are read once the store has all of them, and until
// then, and until the last one is sent, nothing is removed that a compaction leaves over: a reader
// that met a key's first version but not its deletion would bring it back.
std::uint64_t Replica::begin_snapshot(raft::NodeId to, raft::Term term) {
  const std::uint64_t number = next_snapshot_++;
  SnapshotState state = state_.snapshot_state(options_.cluster_id);
  if (to != 0) {
    state.head.set_from(options_.self.id);
    state.head.set_to(to);
    state.head.set_term(term);
  }
  const bool all_taken = batch_entry_count_ == 0 && state_.store().pending_batch().writes.empty();
  sending_.push_back({number, to, state_.applied_index(),
                      all_taken ? batches_taken_ : batches_taken_ + 1, std::move(state),
                      mvcc::Hold(state_.store(), 0)});
  flush_wanted_ = flush_wanted_ || !all_taken;
  return number;
}

void Replica::hand_out_snapshots() {
  for (Sending& sending : sending_) {
    if (!sending.state) continue;
    if (sending.batch > batches_committed() && !CONCLAVE_PLANTED(snapshot_before_store)) continue;
    output_.snapshots.push_back({sending.number, sending.to, *std::move(sending.state)});
    sending.state.reset();
  }
}

void Replica::snapshot_ended(std::uint64_t number, bool sent) {
  const auto ended = std::ranges::find(sending_, number, &Sending::number);
  CONCLAVE_CHECK(ended != sending_.end(), "a snapshot ended that was not begun");
  if (ended->to != 0) raft_.report_snapshot(ended->to, sent);
  sending_.erase(ended);
}

void Replica::snapshot_arrived(std::uint64_t data_incarnation, const SnapshotHead& head,
                               std::unique_ptr<StateMachine> state, Instant now) {
  CONCLAVE_CHECK(arrived_ == nullptr, "one snapshot at a time");
  const raft::Message message = message_of(head);
  if (head.cluster_id() != options_.cluster_id ||
      !state_.membership().accepts(message.from, data_incarnation)) {
    output_.discard_arrived = true;
    return;
  }
  heard_[message.from] = now;
  arrived_ = std::move(state);
  raft_.step(message);
}

// The consensus wants it in place of store and log.
void Replica::install_arrived(const raft::Ready& ready) {
  CONCLAVE_CHECK(arrived_ != nullptr && ready.snapshot->index == arrived_->applied_index(),
                 "only a snapshot whose bytes are here is offered");
  installing_ = ready.number;
  output_.log_writes.push_back({ready.number, ready.entries, ready.hard_state, true,
                                raft::LogPosition{ready.snapshot->term, ready.snapshot->index}});
  unsynced_.push_back(ready.number);
}

// It is durable. Whoever waits for an entry that it covers will never see it applied here.
void Replica::finish_installation(std::uint64_t ready_number) {
  if (!installing_ || ready_number < *installing_) return;
  installing_.reset();
  CONCLAVE_CHECK(!batch_out_, "a batch for a store that is replaced");
  for (const RequestId id : walks_.take_all()) answer(id, Refusal::leader_changed);
  for (const RequestId id : pending_.take_all()) answer(id, Refusal::timeout);
  for (const PhysicalCompaction& compaction : std::exchange(physical_compactions_, {})) {
    answer(compaction.id, Refusal::timeout);
  }
  state_.take_over(std::move(*arrived_));
  arrived_.reset();
  if (!CONCLAVE_PLANTED(watchers_miss_snapshot)) watches_.store_replaced();
  clock_.observe(state_.cluster_time_ms());
  // What waited for the old store: a leader's are of no use any more.
  std::erase_if(sending_, [](const Sending& each) { return each.state && each.to != 0; });
  for (Sending& each : sending_) {
    if (!each.state) continue;
    each.state = state_.snapshot_state(options_.cluster_id);
    each.batch = batches_taken_;  // the new store has all of it
  }
  alarm_sequence_ = 0;
  batch_entry_count_ = 0;
  batch_applied_ = committed_applied_ = state_.applied_index();
  keeper_.restart();
}

}  // namespace conclave::replica
