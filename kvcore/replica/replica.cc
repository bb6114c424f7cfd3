#include "conclave/replica/replica.h"

#include <string>
#include <utility>

#include "conclave/api/limits.h"
#include "conclave/base/bytes.h"
#include "conclave/base/planted_bugs.h"

namespace conclave::replica {
namespace {

using api::Refusal;

constexpr std::size_t kExpiriesPerEntry = 1000;
// A quota alarm is taken back once this part of the quota is free again: not so little that the
// next few requests raise it anew.
constexpr std::uint64_t kFreeOfQuota = 10;
// How much later than due a lease may end because its leader died.
constexpr std::int64_t kStampIntervalMs = 500;

raft::Options raft_options(const Options& options) {
  raft::Options result;
  result.id = options.self.id;
  result.election_ticks = options.election_ticks;
  result.heartbeat_ticks = options.heartbeat_ticks;
  result.pre_vote = options.pre_vote;
  result.max_uncommitted_bytes = options.max_uncommitted_bytes;
  return result;
}

WatchLimits watch_limits(const Options& options) {
  WatchLimits limits;
  limits.streams_max = options.max_watch_streams;
  limits.watchers_per_stream_max = options.max_watchers_per_stream;
  // As etcd: a client takes as much as it may send, and what gRPC adds.
  limits.fragment_bytes = options.max_request_bytes + api::kWireOverheadBytes;
  return limits;
}

// Of what the store has already, the node needs what members that are behind may ask for.
void forget_needless(const Options& options, raft::InitialState& initial, raft::Term applied_term) {
  const bool grouped = initial.config.voters.size() + initial.config.learners.size() > 1;
  std::uint64_t kept_bytes = 0;
  std::size_t first = 0;
  for (std::size_t i = initial.entries.size(); i-- > 0;) {
    const raft::Entry& entry = initial.entries[i];
    if (entry.index > initial.applied) continue;
    kept_bytes += entry.payload.size();
    if (grouped && kept_bytes <= options.kept_log_bytes) continue;
    first = i + 1;
    break;
  }
  if (first > 0) {
    initial.compacted = {initial.entries[first - 1].term, initial.entries[first - 1].index};
    initial.entries.erase(initial.entries.begin(),
                          initial.entries.begin() + static_cast<std::ptrdiff_t>(first));
  }
  if (initial.entries.empty() && initial.compacted.index < initial.applied) {
    initial.compacted = {applied_term, initial.applied};
  }
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

  const raft::LogPosition previous = recovered.previous;
  if (state.membership().empty() && !options.joins && !options.repairs) {
    std::vector<Member> members = options.initial_members;
    if (members.empty()) members.push_back(options.self);
    const bool untouched = state.applied_index() == 0 && previous.index == 1;
    state.begin(Membership(members), untouched ? 1 : state.applied_index(),
                untouched ? 1 : state.applied_term());
  }
  if (previous.index > state.applied_index()) {
    return Error{Errc::corrupt, "log: begins after index " + std::to_string(previous.index) +
                                    ", but the store has applied only " +
                                    std::to_string(state.applied_index())};
  }
  raft::InitialState initial;
  initial.voteless = options.repairs;
  initial.config = state.membership().config();
  initial.applied = state.applied_index();
  initial.compacted = previous;
  initial.entries = std::move(recovered.entries);
  forget_needless(options, initial, state.applied_term());
  initial.hard_state = recovered.hard_state;
  // An applied entry was committed, whatever the last hard state on disk says.
  initial.hard_state.commit = std::max(initial.hard_state.commit, initial.applied);
  initial.hard_state.term = std::max(initial.hard_state.term, state.applied_term());

  std::unique_ptr<Replica> replica(
      new Replica(std::move(options), storage, std::move(initial), std::move(state), random, now));
  // A group of one has nobody to wait for.
  if (!replica->is_grouped()) replica->raft_.campaign();
  return replica;
}

Replica::Replica(Options options, const mvcc::Storage& storage, raft::InitialState initial,
                 StateMachine state, Random random, Instant now)
    : options_(std::move(options)),
      random_(random),
      raft_(raft_options(options_), std::move(initial), Random(random_.next())),
      state_(std::move(state)),
      clock_(CONCLAVE_PLANTED(stall_counts_in_full) ? std::chrono::hours(1)
                                                    : options_.tick * options_.election_ticks),
      compactor_(options_.retention),
      watches_(state_.store(), watch_limits(options_)),
      walks_(options_.walks),
      batch_since_(now),
      committed_applied_(CONCLAVE_PLANTED(start_proves_commit) ? state_.applied_index() : 0),
      size_bytes_(storage.size_bytes()),
      size_in_use_bytes_(storage.size_in_use_bytes()) {
  clock_.observe(state_.cluster_time_ms());
  watches_.set_progress_interval(options_.progress_interval);
}

std::optional<Instant> Replica::next_deadline() const {
  std::optional<Instant> deadline = watches_.next_deadline();
  const auto not_after = [&deadline](Instant due) {
    deadline = deadline ? std::min(*deadline, due) : due;
  };
  if (const auto renewal = keeper_.next_renewal(); renewal && may_send()) not_after(*renewal);
  if (campaign_at_ && raft_.leader() == 0) not_after(*campaign_at_);
  if (!batch_out_ && !installing_ && batch_entry_count_ > 0) {
    not_after(batch_since_ + options_.batch_age);
  }
  return deadline;
}

bool Replica::is_ready() const {
  return raft_.leader() != 0 && state_.applied_term() == raft_.term();
}

// As in etcd three election timeouts.
bool Replica::is_cut_off(Instant now) const {
  return !has_leader() && now - led_at_ > 3 * options_.election_ticks * options_.tick;
}

std::optional<Refusal> Replica::refuse_watches() const {
  const raft::ConfigState& config = raft_.config();
  if (config.is_voter(options_.self.id)) return std::nullopt;
  return config.is_learner(options_.self.id) ? Refusal::learner_serves_little : Refusal::no_leader;
}

void Replica::tick(Instant now) {
  raft_.tick();
  if (has_leader() || led_at_ == Instant{}) led_at_ = now;
  clock_.advance(now);
  watches_.tick(now);
  expire_calls(now);
  // What was handed to the leader may be lost on the way.
  const auto renewal_begun = keeper_.renewal_begun();
  const Duration patience = options_.tick * options_.election_ticks;
  if (renewal_begun && now - *renewal_begun > patience) keeper_.restart();
  if (alarm_sequence_ != 0 && now - alarm_proposed_ > patience) alarm_sequence_ = 0;
  send_again(now);
  hand_over_if_disk_hangs(now);
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
  if (ends_as_removed(now)) {
    return Error{Errc::refused, "this member was removed from the cluster"};
  }
  if (log_lost_) {
    return Error{Errc::corrupt,
                 "this member has acknowledged log entries that its data directory does not hold; "
                 "when it is started again it asks the others for everything anew, and they say "
                 "whether they still know it"};
  }
  if (dismissal_) return Error{Errc::refused, *dismissal_};
  notice_leader(now);
  replace_leader(now);
  publish_self(now);
  if (draining_) hand_over();
  ask_for_vote(now);
  regain_vote_if_due();
  // What the first round brings to light, a leader say, lets more go.
  for (int round = 0; round == 0 || (round == 1 && may_send() && !parked_.empty()); ++round) {
    send_parked(now);
    propose_lease_work(now);
    take_back_quota_alarm(now);
    begin_read_round(now);
    while (raft_.has_ready()) {
      if (Result<void> taken = take_ready(now); !taken) return taken;
      serve_confirmed_reads(now);
      begin_read_round(now);
    }
  }
  answer_leader_moves();
  if (arrived_ != nullptr && !installing_) {
    arrived_.reset();
    output_.discard_arrived = true;
  }
  watches_.collect({options_.cluster_id, options_.self.id, raft_.term()}, now, output_.deliveries);
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
  hand_out_snapshots();
  return {};
}

Result<void> Replica::take_ready(Instant now) {
  raft::Ready ready = raft_.take_ready();
  send_messages(std::move(ready.messages));
  if (ready.snapshot) {
    install_arrived(ready);
  } else if (!ready.entries.empty() || ready.hard_state) {
    output_.log_writes.push_back(
        {ready.number, std::move(ready.entries), ready.hard_state, ready.must_sync, std::nullopt});
    if (ready.must_sync) unsynced_.push_back(ready.number);
  }
  if (!ready.messages_after_persist.empty()) {
    held_messages_.push_back({ready.number, std::move(ready.messages_after_persist)});
    send_persisted_messages();
  }
  notice_leader(now);
  for (const raft::Entry& entry : ready.committed) {
    if (Result<void> applied = apply(entry); !applied) return applied;
    clock_.note_observed(now);
  }
  if (!ready.committed.empty()) raft_.applied(ready.committed.back().index);
  confirm_reads(ready.read_states);
  return {};
}

Output Replica::take_output() {
  return std::exchange(output_, {});
}

Result<void> Replica::apply(const raft::Entry& entry) {
  ++batch_entry_count_;
  if (entry.term > state_.applied_term()) lose_before(entry.term);
  if (entry.kind == raft::EntryKind::config_change) return apply_config(entry);
  if (entry.payload.empty()) {
    state_.skip(entry);
    return {};
  }
  Proposal proposal;
  if (!parse_proposal(entry.payload, proposal)) {
    return Error{Errc::corrupt, "log entry " + std::to_string(entry.index) + " cannot be read"};
  }
  const bool ours =
      proposal.member() == options_.self.id &&
      (proposal.incarnation() == options_.incarnation || CONCLAVE_PLANTED(earlier_life_answers));
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

void Replica::propose_lease_work(Instant now) {
  if (!may_send()) return;
  if (auto renew = keeper_.begin_renewal(next_sequence_, now)) {
    Proposal proposal;
    proposal.mutable_lease_renew()->Swap(&*renew);
    if (!propose_own(std::move(proposal), now)) {
      for (const RequestId id : keeper_.take_all()) answer(id, Refusal::too_many_requests);
    }
  }
  if (raft_.role() != raft::Role::leader) return;
  // An expiry must not be decided before what the last leader wrote is known to be applied.
  if (!keeper_.may_expire() || !is_ready() || draining_) return;
  if (state_.alarms().any(etcdserverpb::CORRUPT)) return;
  stamp_log(now);
  // Stamps are rounded down to milliseconds: a lease may have been granted one after its stamp.
  const std::vector<std::int64_t> due = state_.lessor().due(
      clock_.now_ms() - 1, CONCLAVE_PLANTED(expires_one_by_one) ? 1 : kExpiriesPerEntry);
  if (due.empty()) return;
  Proposal proposal;
  proposal.mutable_lease_expire()->mutable_ids()->Add(due.begin(), due.end());
  const std::uint64_t sequence = next_sequence_;
  if (propose_own(std::move(proposal), now)) keeper_.begin_expiry(sequence);
}

// Leases live on the log's stamps: time that no stamp shows is lost with the leader. So while there
// are leases, the log has a stamp of late, even if nobody writes.
void Replica::stamp_log(Instant now) {
  if (state_.lessor().size() == 0) return;
  if (clock_.now_ms() < std::max(state_.cluster_time_ms(), stamped_ms_) + kStampIntervalMs) return;
  stamped_ms_ = clock_.now_ms();
  Proposal stamp;
  stamp.mutable_lease_renew();  // of none
  propose_own(std::move(stamp), now);
}

void Replica::take_back_quota_alarm(Instant now) {
  if (state_.alarms().none() || alarm_sequence_ != 0 || draining_) return;
  if (!may_send() || !is_ready()) return;
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
  ++round_;
  if (!raft_.read_index(read_context())) return;  // no leader: asked again, or timed out
  reads_in_round_ = std::exchange(waiting_reads_, {});
  round_began_ = now;
}

// Never the same twice, in no life of this process: an old answer must not pass for a new one.
std::string Replica::read_context() const {
  const std::uint64_t round = CONCLAVE_PLANTED(read_ids_reused) ? 0 : round_;
  return std::to_string(options_.incarnation) + "." + std::to_string(round);
}

void Replica::confirm_reads(const std::vector<raft::ReadState>& states) {
  for (const raft::ReadState& state : states) {
    if (take_repair_answer(state)) continue;
    if (state.context != read_context()) continue;  // of a round that was given up
    for (WaitingRead& read : reads_in_round_) confirmed_reads_.emplace(state.index, read);
    reads_in_round_.clear();
  }
}

void Replica::serve_confirmed_reads(Instant now) {
  while (!confirmed_reads_.empty() && (confirmed_reads_.begin()->first <= state_.applied_index() ||
                                       CONCLAVE_PLANTED(reads_before_applied))) {
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
  finish_installation(ready_number);
  while (!unsynced_.empty() && unsynced_.front() <= ready_number) unsynced_.pop_front();
  send_persisted_messages();
}

void Replica::expire_calls(Instant now) {
  const Refusal late =
      CONCLAVE_PLANTED(timeout_called_loss) ? Refusal::no_leader : Refusal::timeout;
  for (const RequestId id : pending_.take_expired(now)) answer(id, late);
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
  for (const RequestId id : parked_.take_expired(now)) answer(id, Refusal::no_leader);
  std::erase_if(leader_moves_, [&](const LeaderMove& move) {
    if (move.deadline > now) return false;
    answer(move.id, Refusal::leader_transfer_timeout);
    return true;
  });
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
  // No log has these.
  for (const RequestId id : parked_.take_all()) answer(id, Refusal::no_leader);
  for (const LeaderMove& move : std::exchange(leader_moves_, {})) answer(move.id, refusal);
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
