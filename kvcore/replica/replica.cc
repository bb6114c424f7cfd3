#include "conclave/replica/replica.h"

#include <string>
#include <utility>

#include "conclave/base/bytes.h"

namespace conclave::replica {
namespace {

using api::Refusal;

constexpr std::size_t kExpiriesPerEntry = 1000;
// Few enough that requests do not notice the step they wait behind.
constexpr std::size_t kRemovalsPerStep = 250;
constexpr std::size_t kRemovalsPerBatch = 10000;
// A quota alarm is taken back once this part of the quota is free again: not so little that the
// next few requests raise it anew.
constexpr std::uint64_t kFreeOfQuota = 10;

raft::Options raft_options(const Options& options) {
  raft::Options result;
  result.id = options.self.id;
  result.election_ticks = options.election_ticks;
  result.heartbeat_ticks = options.heartbeat_ticks;
  result.max_uncommitted_bytes = options.max_uncommitted_bytes;
  return result;
}

WatchLimits watch_limits(const Options& options) {
  WatchLimits limits;
  limits.streams_max = options.max_watch_streams;
  limits.watchers_per_stream_max = options.max_watchers_per_stream;
  limits.fragment_bytes = options.max_request_bytes;
  return limits;
}

void set_header_base(google::protobuf::Message* response,
                     const etcdserverpb::ResponseHeader& base) {
  const auto* field = response->GetDescriptor()->FindFieldByNumber(1);
  auto* header = static_cast<etcdserverpb::ResponseHeader*>(
      response->GetReflection()->MutableMessage(response, field));
  header->set_cluster_id(base.cluster_id());
  header->set_member_id(base.member_id());
  header->set_raft_term(base.raft_term());
}

}  // namespace

Result<std::unique_ptr<Replica>> Replica::create(Options options, const mvcc::Storage& storage,
                                                 Recovered recovered, Random random, Instant now) {
  StateMachine state(storage);
  if (Result<void> loaded = state.load(); !loaded) return loaded.error();

  raft::InitialState initial;
  initial.config.voters.insert(options.self.id);
  initial.compacted = {state.applied_term(), state.applied_index()};
  initial.applied = state.applied_index();
  // The log may still hold what the store already has; the node needs only what comes after.
  for (raft::Entry& entry : recovered.entries) {
    if (entry.index > initial.applied) initial.entries.push_back(std::move(entry));
  }
  if (!initial.entries.empty() && initial.entries.front().index != initial.applied + 1) {
    return Error{Errc::corrupt,
                 "log: begins at index " + std::to_string(initial.entries.front().index) +
                     ", but the store has applied only " + std::to_string(initial.applied)};
  }
  initial.hard_state = recovered.hard_state;
  // An applied entry was committed, whatever the last hard state on disk says.
  initial.hard_state.commit = std::max(initial.hard_state.commit, initial.applied);
  initial.hard_state.term = std::max(initial.hard_state.term, state.applied_term());

  std::unique_ptr<Replica> replica(
      new Replica(std::move(options), storage, std::move(initial), std::move(state), random, now));
  // A group of one has nobody to wait for.
  replica->raft_.campaign();
  return replica;
}

Replica::Replica(Options options, const mvcc::Storage& storage, raft::InitialState initial,
                 StateMachine state, Random random, Instant now)
    : options_(std::move(options)),
      random_(random),
      raft_(raft_options(options_), std::move(initial), Random(random_.next())),
      state_(std::move(state)),
      clock_(options_.tick * options_.election_ticks),
      compactor_(options_.retention),
      watches_(state_.store(), watch_limits(options_)),
      walks_(options_.walks),
      batch_since_(now),
      committed_applied_(state_.applied_index()),
      size_bytes_(storage.size_bytes()),
      size_in_use_bytes_(storage.size_in_use_bytes()) {
  clock_.observe(state_.cluster_time_ms());
  watches_.set_progress_interval(options_.progress_interval);
}

std::optional<Instant> Replica::next_deadline() const {
  std::optional<Instant> deadline = keeper_.next_renewal();
  if (!batch_out_ && batch_entry_count_ > 0) {
    const Instant batch_due = batch_since_ + options_.batch_age;
    deadline = deadline ? std::min(*deadline, batch_due) : batch_due;
  }
  return deadline;
}

bool Replica::is_ready() const {
  return raft_.leader() != 0 && state_.applied_term() == raft_.term();
}

void Replica::tick(Instant now) {
  raft_.tick();
  clock_.advance(now);
  watches_.tick(now);
  expire_calls(now);
  if (raft_.role() != raft::Role::leader || draining_) return;
  if (state_.alarms().any(etcdserverpb::CORRUPT)) return;
  const mvcc::Store& store = state_.store();
  if (const auto revision =
          compactor_.due(now, store.current_revision(), store.compact_revision())) {
    Proposal proposal;
    proposal.mutable_compact()->set_revision(*revision);
    propose_own(std::move(proposal), now);
  }
}

Result<void> Replica::process(Instant now) {
  propose_lease_work(now);
  take_back_quota_alarm(now);
  begin_read_round(now);
  while (raft_.has_ready()) {
    raft::Ready ready = raft_.take_ready();
    CONCLAVE_CHECK(ready.messages.empty() && ready.messages_after_persist.empty(),
                   "a group of one has nobody to write to");
    if (!ready.entries.empty() || ready.hard_state) {
      output_.log_writes.push_back(
          {ready.number, std::move(ready.entries), ready.hard_state, ready.must_sync});
    }
    notice_role(now);
    for (const raft::Entry& entry : ready.committed) {
      if (Result<void> applied = apply(entry); !applied) return applied;
    }
    if (!ready.committed.empty()) raft_.applied(ready.committed.back().index);
    for (const raft::ReadState& state : ready.read_states) {
      if (state.context != std::to_string(round_)) continue;  // of a round that was given up
      for (WaitingRead& read : reads_in_round_) confirmed_reads_.emplace(state.index, read);
      reads_in_round_.clear();
    }
    serve_confirmed_reads(now);
    begin_read_round(now);
  }
  watches_.collect({options_.cluster_id, options_.self.id, raft_.term()}, output_.deliveries);
  step_walks(now);
  // Reads and watchers may have met a damaged record; a failed store gives no batch.
  if (state_.store().failure()) return *state_.store().failure();
  remove_compacted();
  maybe_take_batch(now);
  if (!defragmentations_.empty() && !defragmentation_out_) {
    output_.defragment = true;
    defragmentation_out_ = true;
  }
  answer_physical_compactions();
  return {};
}

Output Replica::take_output() {
  return std::exchange(output_, {});
}

Result<void> Replica::apply(const raft::Entry& entry) {
  ++batch_entry_count_;
  if (entry.kind == raft::EntryKind::config_change) {
    return Error{Errc::corrupt, "log entry " + std::to_string(entry.index) +
                                    " changes the membership, which a member that runs alone has "
                                    "no use for"};
  }
  if (entry.payload.empty()) {
    state_.skip(entry);
    return {};
  }
  Proposal proposal;
  if (!parse_proposal(entry.payload, proposal)) {
    return Error{Errc::corrupt, "log entry " + std::to_string(entry.index) + " cannot be read"};
  }
  const bool ours =
      proposal.member() == options_.self.id && proposal.incarnation() == options_.incarnation;
  const auto waiting = ours ? pending_.take(proposal.sequence()) : std::nullopt;
  google::protobuf::Message* response = waiting ? waiting->response : nullptr;
  Result<StateMachine::Outcome> outcome = state_.apply(entry, proposal, response);
  if (!outcome) {
    if (waiting) answer(waiting->id, Refusal::corrupt);
    return outcome.error();
  }
  clock_.observe(state_.cluster_time_ms());
  if (ours && proposal.sequence() == alarm_sequence_) alarm_sequence_ = 0;
  for (const mvcc::SharedEvents& events : outcome->events) watches_.notify(events);
  if (waiting) {
    if (!outcome->refusal) {
      etcdserverpb::ResponseHeader base;
      fill_header(&base);
      set_header_base(response, base);
    }
    answer_proposed(*waiting, proposal, outcome->refusal);
  } else if (ours) {
    answer_applied(proposal, *outcome);
  }
  return {};
}

void Replica::answer_proposed(const PendingCalls::Pending& call, const Proposal& proposal,
                              std::optional<Refusal> refusal) {
  if (refusal || !proposal.has_compact() || !proposal.compact().physical()) {
    return answer(call.id, refusal);
  }
  physical_compactions_.push_back(
      {call.id, proposal.compact().revision(), call.deadline, std::nullopt});
}

// What this member asked of the log by itself has happened.
void Replica::answer_applied(const Proposal& proposal, const StateMachine::Outcome& outcome) {
  keeper_.finish_expiry(proposal.sequence());
  if (!proposal.has_lease_renew()) return;
  const std::vector<LeaseKeeper::Renewal> renewals = keeper_.finish_renewal(proposal.sequence());
  for (std::size_t i = 0; i < renewals.size(); ++i) {
    etcdserverpb::LeaseKeepAliveResponse& response = *renewals[i].response;
    fill_header(response.mutable_header());
    response.mutable_header()->set_revision(state_.store().current_revision());
    response.set_id(renewals[i].lease);
    response.set_ttl(outcome.renewed[i].ttl_s);
    answer(renewals[i].id, std::nullopt);
  }
}

void Replica::notice_role(Instant now) {
  const bool leads = raft_.role() == raft::Role::leader;
  if (leads == was_leader_) return;
  was_leader_ = leads;
  compactor_.restart();
  alarm_sequence_ = 0;
  if (!leads) {
    clock_.stop_leading();
    for (const RequestId id : keeper_.take_all()) answer(id, Refusal::leader_changed);
    return;
  }
  // Stamps grow along the log, so the last one is the highest.
  const raft::Log& log = raft_.log();
  for (raft::Index index = log.last_index(); index > state_.applied_index(); --index) {
    Proposal proposal;
    if (log.at(index).payload.empty()) continue;
    if (!parse_proposal(log.at(index).payload, proposal)) continue;
    clock_.observe(proposal.cluster_time_ms());
    break;
  }
  clock_.start_leading(now);
}

void Replica::propose_lease_work(Instant now) {
  if (raft_.role() != raft::Role::leader) return;
  if (auto renew = keeper_.begin_renewal(next_sequence_, now)) {
    Proposal proposal;
    proposal.mutable_lease_renew()->Swap(&*renew);
    if (!propose_own(std::move(proposal), now)) {
      for (const RequestId id : keeper_.take_all()) answer(id, Refusal::too_many_requests);
    }
  }
  // An expiry must not be decided before what the last leader wrote is known to be applied.
  if (!keeper_.may_expire() || !is_ready() || draining_) return;
  if (state_.alarms().any(etcdserverpb::CORRUPT)) return;
  // Stamps are rounded down to milliseconds: a lease may have been granted one after its stamp.
  const std::vector<std::int64_t> due = state_.lessor().due(clock_.now_ms() - 1, kExpiriesPerEntry);
  if (due.empty()) return;
  Proposal proposal;
  proposal.mutable_lease_expire()->mutable_ids()->Add(due.begin(), due.end());
  const std::uint64_t sequence = next_sequence_;
  if (propose_own(std::move(proposal), now)) keeper_.begin_expiry(sequence);
}

void Replica::take_back_quota_alarm(Instant now) {
  if (state_.alarms().none() || alarm_sequence_ != 0 || draining_) return;
  if (raft_.role() != raft::Role::leader || !is_ready()) return;
  if (!state_.alarms().raised_by_quota(options_.self.id)) return;
  if (size_in_use() >= options_.quota_bytes - options_.quota_bytes / kFreeOfQuota) return;
  propose_quota_alarm(false, now);
}

void Replica::begin_read_round(Instant now) {
  const Duration patience = options_.tick * options_.election_ticks;
  if (!reads_in_round_.empty()) {
    if (now - round_began_ < patience) return;
    waiting_reads_.insert(waiting_reads_.begin(), reads_in_round_.begin(), reads_in_round_.end());
    reads_in_round_.clear();
  }
  if (waiting_reads_.empty()) return;
  if (!raft_.read_index(std::to_string(++round_))) return;  // no leader: asked again, or timed out
  reads_in_round_ = std::exchange(waiting_reads_, {});
  round_began_ = now;
}

void Replica::serve_confirmed_reads(Instant now) {
  while (!confirmed_reads_.empty() && confirmed_reads_.begin()->first <= state_.applied_index()) {
    const WaitingRead read = confirmed_reads_.begin()->second;
    confirmed_reads_.erase(confirmed_reads_.begin());
    serve_read(read.id, read.call, now);
  }
}

void Replica::abandon_read(const google::protobuf::Message* response) {
  if (const auto id = walks_.take(response)) answer(*id, Refusal::stopped);
}

void Replica::step_walks(Instant now) {
  const std::optional<ReadWalks::Done> done = walks_.step(now);
  if (!done) return;
  const bool holds = done->held_bytes > 0;
  output_.answers.push_back(
      {done->id, done->refusal, holds ? done->response : nullptr, done->held_bytes});
}

void Replica::log_persisted(std::uint64_t ready_number) {
  raft_.persisted(ready_number);
}

void Replica::maybe_take_batch(Instant now) {
  const mvcc::Batch& pending = state_.store().pending_batch();
  // A log that is too long for more waits for one more commit to prove the last one.
  const bool releases_log = raft_.log().payload_bytes() >= options_.max_uncommitted_bytes &&
                            committed_applied_ > raft_.log().compacted().index;
  if (batch_entry_count_ == 0 && pending.writes.empty() && !releases_log) {
    batch_since_ = now;
    flush_wanted_ = false;
    return;
  }
  if (batch_out_) return;
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
  // A power cut may still take back this commit, but no longer the one before it.
  const raft::Index proven = std::exchange(committed_applied_, batch_applied_);
  if (proven > raft_.log().compacted().index) {
    raft_.compact(proven);
    output_.release_log = proven;
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
  const std::uint64_t committed = batch_out_ ? batches_taken_ - 1 : batches_taken_;
  std::erase_if(physical_compactions_, [&](const PhysicalCompaction& compaction) {
    if (!compaction.batch || *compaction.batch > committed) return false;
    answer(compaction.id, std::nullopt);
    return true;
  });
}

void Replica::expire_calls(Instant now) {
  for (const RequestId id : pending_.take_expired(now)) answer(id, Refusal::timeout);
  for (const RequestId id : walks_.take_overdue(now)) answer(id, Refusal::too_many_requests);
  if (keeper_.overdue(now)) {
    for (const RequestId id : keeper_.take_all()) answer(id, Refusal::timeout);
  }
  const auto expire = [&](std::vector<WaitingRead>& reads) {
    std::erase_if(reads, [&](const WaitingRead& read) {
      if (read.deadline > now) return false;
      answer(read.id, Refusal::timeout);
      return true;
    });
  };
  expire(waiting_reads_);
  expire(reads_in_round_);
  std::erase_if(confirmed_reads_, [&](const auto& confirmed) {
    if (confirmed.second.deadline > now) return false;
    answer(confirmed.second.id, Refusal::timeout);
    return true;
  });
  std::erase_if(physical_compactions_, [&](const PhysicalCompaction& compaction) {
    if (compaction.deadline > now) return false;
    answer(compaction.id, Refusal::timeout);
    return true;
  });
}

void Replica::abandon(api::Refusal refusal) {
  draining_ = true;
  for (const RequestId id : pending_.take_all()) answer(id, refusal);
  for (const RequestId id : keeper_.take_all()) answer(id, refusal);
  for (const WaitingRead& read : waiting_reads_) answer(read.id, refusal);
  for (const WaitingRead& read : reads_in_round_) answer(read.id, refusal);
  for (const auto& [index, read] : confirmed_reads_) answer(read.id, refusal);
  for (const RequestId id : walks_.take_all()) answer(id, refusal);
  for (const RequestId id : std::exchange(defragmentations_, {})) answer(id, refusal);
  for (const PhysicalCompaction& compaction : physical_compactions_) {
    answer(compaction.id, refusal);
  }
  waiting_reads_.clear();
  reads_in_round_.clear();
  confirmed_reads_.clear();
  physical_compactions_.clear();
}

}  // namespace conclave::replica
