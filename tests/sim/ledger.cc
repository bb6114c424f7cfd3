#include "tests/sim/ledger.h"

#include <algorithm>
#include <set>
#include <utility>

#include "conclave/base/crc32c.h"

namespace conclave::sim {
namespace {

// Taking a digest reads every key; members pass by many indices together, so that some are enough.
constexpr raft::Index kDigestEvery = 8;

std::uint32_t crc_of(const raft::Entry& entry) {
  const char kind = static_cast<char>(entry.kind);
  return crc32c(entry.payload, crc32c(std::string_view(&kind, 1)));
}

// Of the clients that write each value once.
bool is_unique(const std::string& value) {
  return value.starts_with('u');
}

}  // namespace

bool is_quorum(const raft::ConfigState& config, const std::function<bool(raft::NodeId)>& has) {
  const auto majority = [&](const std::set<raft::NodeId>& voters) {
    const auto count = static_cast<std::size_t>(std::ranges::count_if(voters, has));
    return voters.empty() || count > voters.size() / 2;
  };
  return majority(config.voters) && majority(config.voters_outgoing);
}

std::uint64_t digest_of(const replica::StateMachine& state) {
  etcdserverpb::RangeRequest everything;
  everything.set_key(std::string(1, '\0'));
  everything.set_range_end(std::string(1, '\0'));
  const auto response = state.store().range(everything);
  std::string text;
  if (response) response->AppendToString(&text);
  for (const lease::RecordWrite& record : state.lessor().records()) {
    text += record.key + record.value.value_or("");
  }
  text += state.membership().encode();
  text += state.alarms().encode();
  text += std::to_string(state.store().current_revision()) + "," +
          std::to_string(state.store().compact_revision()) + "," +
          std::to_string(state.cluster_time_ms()) + "," + std::to_string(state.applied_term());
  return (std::uint64_t{crc32c(text)} << 32) | text.size();
}

Ledger::Ledger(Trace& trace, const std::vector<replica::Member>& members)
    : trace_(trace), witness_(storage_) {
  CONCLAVE_CHECK(witness_.load(), "an empty storage");
  witness_.begin(replica::Membership(members), kFirst, 1);
}

raft::Term Ledger::term_of(raft::Index index) const {
  if (index == kFirst) return 1;
  return index < kFirst || index > last_index() ? 0 : entries_[index - kFirst - 1].term;
}

void Ledger::observe(raft::NodeId id, const replica::Replica& replica, raft::Index& seen) {
  check_leader(id, replica);
  const raft::Log& log = replica.raft().log();
  const raft::Index committed = log.committed();
  if (committed < seen) {
    trace_.violation("node ", id, " takes its commit index back from ", seen, " to ", committed);
  }
  for (raft::Index index = std::max(seen, log.compacted().index) + 1; index <= committed; ++index) {
    commit(id, replica, log.at(index));
  }
  if (seen == 0) compared_.erase(id);
  seen = committed;
  if (raft::ConfigState& config = configs_[id]; config != replica.raft().config()) {
    config = replica.raft().config();
  }
  check_state(id, replica);
}

void Ledger::commit(raft::NodeId id, const replica::Replica& replica, const raft::Entry& entry) {
  if (entry.index <= last_index()) {
    const Known& known = entries_[entry.index - kFirst - 1];
    if (known.term != entry.term || known.crc != crc_of(entry)) {
      trace_.violation("node ", id, " has committed another entry at ", entry.index, ": term ",
                       entry.term, ", not ", known.term);
    }
    return;
  }
  if (entry.index != last_index() + 1) {
    trace_.violation("node ", id, " has committed ", entry.index, ", but nobody ",
                     last_index() + 1);
    return;
  }
  check_quorum(id, replica, entry);
  entries_.push_back({entry.term, crc_of(entry)});
  apply(entry);
}

void Ledger::check_quorum(raft::NodeId id, const replica::Replica& replica,
                          const raft::Entry& entry) {
  const auto has = [&](raft::NodeId node) { return is_durable(node, entry.index, entry.term); };
  // Which configuration counted depends on what the leader had applied: it may have been the one
  // before this step.
  if (is_quorum(replica.raft().config(), has)) return;
  if (const auto before = configs_.find(id);
      before != configs_.end() && is_quorum(before->second, has)) {
    return;
  }
  if (is_quorum(witness_.membership().config(), has)) return;
  trace_.violation("node ", id, " takes entry ", entry.index,
                   " for committed, which is not on the disks of a quorum");
}

void Ledger::check_leader(raft::NodeId id, const replica::Replica& replica) {
  if (replica.raft().role() != raft::Role::leader) return;
  const auto [known, is_new] = leaders_.emplace(replica.raft().term(), id);
  if (known->second != id) {
    trace_.violation("term ", replica.raft().term(), " has two leaders: ", known->second, " and ",
                     id);
  }
  if (!is_new) return;
  trace_.note("node ", id, " leads in term ", replica.raft().term());
  const raft::Log& log = replica.raft().log();
  const raft::Index last = last_index();
  // One that was paused may count its votes late: what was committed in later terms it need not
  // have, and it can commit nothing.
  if (term_of(last) >= replica.raft().term()) return;
  if (log.last_index() < last ||
      (log.compacted().index <= last && log.term_at(last) && *log.term_at(last) != term_of(last))) {
    trace_.violation("node ", id, " leads in term ", replica.raft().term(), " without entry ", last,
                     ", which was committed");
  }
}

void Ledger::check_state(raft::NodeId id, const replica::Replica& replica) {
  const raft::Index applied = replica.state().applied_index();
  if (applied % kDigestEvery != 0) return;
  const auto expected = digests_.find(applied);
  if (expected == digests_.end() || std::exchange(compared_[id], applied) == applied) return;
  if (digest_of(replica.state()) != expected->second) {
    trace_.violation("node ", id, " has another state than the witness after entry ", applied);
  }
}

void Ledger::apply(const raft::Entry& entry) {
  const std::int64_t before = revision();
  std::vector<LeaseEnd> ended;
  if (entry.kind == raft::EntryKind::config_change) {
    apply_config(entry);
  } else if (entry.payload.empty()) {
    witness_.skip(entry);
  } else {
    replica::Proposal proposal;
    const bool readable = replica::parse_proposal(entry.payload, proposal);
    CONCLAVE_CHECK(readable, "a committed entry that cannot be read");
    std::vector<std::int64_t> leases(proposal.lease_expire().ids().begin(),
                                     proposal.lease_expire().ids().end());
    if (proposal.has_lease_revoke()) leases.push_back(proposal.lease_revoke().id());
    std::erase_if(leases, [&](std::int64_t id) { return !witness_.lessor().exists(id); });
    const bool is_new = !witness_.lessor().exists(proposal.lease_grant().id());
    const bool full = witness_.alarms().any(etcdserverpb::NOSPACE);
    auto outcome = witness_.apply(entry, proposal, nullptr);
    CONCLAVE_CHECK(outcome, "an entry that the witness cannot apply");
    if (full && proposal.has_put() && revision() != before) {
      trace_.violation("entry ", entry.index, " puts where there is no space");
    }
    keep_alarms(entry.index);
    for (const mvcc::SharedEvents& events : outcome->events) keep(events);
    for (const std::int64_t id : leases) {
      if (!witness_.lessor().exists(id)) ended.push_back({id, proposal.has_lease_expire()});
    }
    tell_of_touches(proposal, is_new);
    trace_.note("entry ", entry.index, " term ", entry.term, " kind ",
                static_cast<int>(proposal.request_case()), " revision ", revision());
  }
  if (entry.index % kDigestEvery == 0) digests_[entry.index] = digest_of(witness_);
  if (!ended.empty() && on_leases_ended) on_leases_ended(ended);
  if (ended.empty() && revision() == before) return;
  for (const auto& listener : on_change) listener();
}

void Ledger::tell_of_touches(const replica::Proposal& proposal, bool granted) const {
  if (!on_lease_touched) return;
  const std::int64_t grant = proposal.lease_grant().id();
  if (granted && witness_.lessor().exists(grant)) on_lease_touched(grant, false);
  for (const std::int64_t id : proposal.lease_renew().ids()) {
    if (witness_.lessor().exists(id)) on_lease_touched(id, true);
  }
}

void Ledger::apply_config(const raft::Entry& entry) {
  const auto change = raft::decode_config_change(entry.payload);
  CONCLAVE_CHECK(change, "a committed change that cannot be read");
  replica::Proposal proposal;
  if (!change->context.empty()) replica::parse_proposal(change->context, proposal);
  const auto config = raft::apply_change(witness_.membership().config(), *change);
  const bool changes_members = config && proposal.has_member_change();
  witness_.apply_config(entry, config ? *config : witness_.membership().config(),
                        changes_members ? &proposal.member_change() : nullptr);
  trace_.note("entry ", entry.index, " config ", raft::describe(witness_.membership().config()));
}

void Ledger::keep(const mvcc::SharedEvents& events) {
  events_[events->revision] = events;
  for (const mvccpb::Event& event : events->events) {
    std::vector<Version>& versions = versions_[event.kv().key()];
    const bool erased = event.type() == mvccpb::Event::DELETE;
    versions.push_back({events->revision, std::nullopt});
    if (erased) continue;
    versions.back().kv = event.kv();
    const auto [earlier, is_new] = values_.emplace(event.kv().value(), events->revision);
    if (!is_new && is_unique(event.kv().value())) {
      trace_.violation("the write of ", event.kv().value(), " was carried out twice, at revisions ",
                       earlier->second, " and ", events->revision);
    }
  }
}

void Ledger::keep_alarms(raft::Index index) {
  etcdserverpb::AlarmResponse raised;
  if (!witness_.alarms().none()) witness_.alarms().list(etcdserverpb::NONE, raised);
  std::string text = raised.SerializeAsString();
  if (text == alarms_.rbegin()->second) return;
  trace_.note("alarms: ", raised.alarms_size());
  alarms_[index] = std::move(text);
}

bool Ledger::had_alarms(const etcdserverpb::AlarmResponse& response, raft::Index first,
                        raft::Index last) const {
  etcdserverpb::AlarmResponse told;
  *told.mutable_alarms() = response.alarms();
  const std::string text = told.SerializeAsString();
  for (auto at = std::prev(alarms_.upper_bound(first)); at != alarms_.end() && at->first <= last;
       ++at) {
    if (at->second == text) return true;
  }
  return false;
}

const std::vector<Version>& Ledger::versions(const std::string& key) const {
  static const std::vector<Version> none;
  const auto found = versions_.find(key);
  return found == versions_.end() ? none : found->second;
}

const mvccpb::KeyValue* Ledger::at(const std::string& key, std::int64_t revision) const {
  const std::vector<Version>& all = versions(key);
  for (auto version = all.rbegin(); version != all.rend(); ++version) {
    if (version->revision <= revision) return version->kv ? &*version->kv : nullptr;
  }
  return nullptr;
}

std::vector<const mvccpb::KeyValue*> Ledger::range(const std::string& begin, const std::string& end,
                                                   std::int64_t revision) const {
  std::vector<const mvccpb::KeyValue*> kvs;
  for (auto key = versions_.lower_bound(begin); key != versions_.end() && key->first < end; ++key) {
    if (const mvccpb::KeyValue* kv = at(key->first, revision)) kvs.push_back(kv);
  }
  return kvs;
}

std::int64_t Ledger::revision_of_value(const std::string& value) const {
  const auto found = values_.find(value);
  return found == values_.end() ? 0 : found->second;
}

}  // namespace conclave::sim
