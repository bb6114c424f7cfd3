#include "conclave/replica/state_machine.h"

#include <utility>

#include "conclave/base/bytes.h"
#include "conclave/base/planted_bugs.h"
#include "conclave/replica/peer_message.h"

namespace conclave::replica {
namespace {

constexpr std::string_view kAppliedKey = "applied";  // index, term, cluster time: three u64/i64 LE
constexpr std::string_view kAlarmsKey = "alarms";    // alarms.cc
constexpr std::string_view kMembersKey = "members";  // membership.cc

mvcc::LeaseChecker checker_of(const lease::Lessor& lessor) {
  return [&lessor](std::int64_t id) { return lessor.exists(id); };
}

std::string position(raft::Index index, raft::Term term, std::int64_t cluster_time_ms) {
  std::string bytes;
  append_le<std::uint64_t>(bytes, index);
  append_le<std::uint64_t>(bytes, term);
  append_le<std::int64_t>(bytes, cluster_time_ms);
  return bytes;
}

// What cannot be read is refused when the store is opened.
std::string without_quotas(const std::string& stored) {
  Alarms alarms;
  if (!alarms.restore(stored)) return stored;
  alarms.forget_quotas();
  return alarms.encode();
}

}  // namespace

StateMachine::StateMachine(const mvcc::Storage& storage)
    : storage_(&storage), store_(std::make_unique<mvcc::Store>(storage)) {}

Result<raft::Index> StateMachine::stored_index(const mvcc::Storage& storage) {
  StateMachine position(storage);
  if (Result<void> loaded = position.load_position(); !loaded) return loaded.error();
  return position.applied_index_;
}

Result<Membership> StateMachine::stored_membership(const mvcc::Storage& storage) {
  StateMachine state(storage);
  if (Result<void> loaded = state.load_membership(); !loaded) return loaded.error();
  return std::move(state.membership_);
}

Result<void> StateMachine::load_membership() {
  const Result<std::optional<std::string>> members = storage_->get(mvcc::Table::meta, kMembersKey);
  if (!members) return members.error();
  return *members ? membership_.restore(**members) : Result<void>();
}

Result<void> StateMachine::load_position() {
  Result<std::optional<std::string>> applied = storage_->get(mvcc::Table::meta, kAppliedKey);
  if (!applied) return applied.error();
  if (!*applied) return {};
  ByteReader reader(**applied);
  const auto index = reader.le<std::uint64_t>();
  const auto term = reader.le<std::uint64_t>();
  const auto time_ms = reader.le<std::int64_t>();
  if (!time_ms) return Error{Errc::corrupt, "store: the record of the applied index is cut short"};
  applied_index_ = *index;
  applied_term_ = *term;
  cluster_time_ms_ = *time_ms;
  return {};
}

Result<void> StateMachine::load() {
  if (Result<void> loaded = load_position(); !loaded) return loaded;
  if (Result<void> loaded = store_->load(); !loaded) return loaded;
  const Result<std::optional<std::string>> alarms = storage_->get(mvcc::Table::meta, kAlarmsKey);
  if (!alarms) return alarms.error();
  if (*alarms) {
    if (Result<void> restored = alarms_.restore(**alarms); !restored) return restored;
  }
  if (Result<void> loaded = load_membership(); !loaded) return loaded;
  Result<void> restored;
  const Result<void> scanned = storage_->scan(mvcc::Table::leases, "", "",
                                              [&](std::string_view key, std::string_view value) {
                                                restored = lessor_.restore(key, value);
                                                return restored.has_value();
                                              });
  if (!scanned) return scanned;
  if (!restored) return restored;
  if (CONCLAVE_PLANTED(keys_lose_lease_at_start)) return {};
  store_->visit_attached(
      [this](std::int64_t id, std::string_view key) { lessor_.attach(id, key); });
  return {};
}

Result<StateMachine::Outcome> StateMachine::apply(const raft::Entry& entry,
                                                  const Proposal& proposal,
                                                  google::protobuf::Message* response) {
  CONCLAVE_CHECK(entry.index == applied_index_ + 1, "entries are applied in order, each once");
  if (proposal.version() != kProposalVersion) {
    return Error{Errc::corrupt, "log entry " + std::to_string(entry.index) + " has version " +
                                    std::to_string(proposal.version()) +
                                    ", which this program does not know"};
  }
  // A stamp never runs backwards within the log; taking the larger keeps that true for what
  // follows.
  cluster_time_ms_ = std::max(cluster_time_ms_, proposal.cluster_time_ms());
  Result<Outcome> outcome = apply_request(proposal, response);
  if (!outcome) return outcome;
  if (store_->failure()) return *store_->failure();
  applied_index_ = entry.index;
  applied_term_ = entry.term;
  return outcome;
}

void StateMachine::apply_config(const raft::Entry& entry, const raft::ConfigState& config,
                                const MemberChange* change) {
  if (change != nullptr) {
    membership_.apply(*change, config);
    if (change->kind() == MemberChange::REMOVE) alarms_.forget(change->member().id());
  } else {
    membership_.set_config(config);
  }
  skip(entry);
}

void StateMachine::skip(const raft::Entry& entry) {
  CONCLAVE_CHECK(entry.index == applied_index_ + 1, "entries are applied in order, each once");
  applied_index_ = entry.index;
  applied_term_ = entry.term;
}

void StateMachine::begin(const Membership& membership, raft::Index index, raft::Term term) {
  CONCLAVE_CHECK(applied_index_ <= index, "a state that has gone on does not begin again");
  membership_ = membership;
  applied_index_ = index;
  applied_term_ = term;
}

Result<StateMachine::Outcome> StateMachine::apply_request(const Proposal& proposal,
                                                          google::protobuf::Message* response) {
  Outcome outcome;
  outcome.refusal = alarms_.refusal_of(proposal);
  if (outcome.refusal) return outcome;
  switch (proposal.request_case()) {
    case Proposal::kPut:
      keep(store_->put(proposal.put(), checker_of(lessor_)), response, outcome);
      return outcome;
    case Proposal::kDeleteRange:
      keep(store_->delete_range(proposal.delete_range(), response != nullptr), response, outcome);
      return outcome;
    case Proposal::kTxn:
      keep(store_->txn(proposal.txn(), checker_of(lessor_), response != nullptr), response,
           outcome);
      return outcome;
    case Proposal::kCompact: {
      auto compacted = store_->compact(proposal.compact());
      if (!compacted) {
        outcome.refusal = compacted.error();
      } else if (response != nullptr) {
        response->CopyFrom(*compacted);
      }
      return outcome;
    }
    case Proposal::kLeaseGrant:
      return apply_lease_grant(proposal.lease_grant(), response);
    case Proposal::kLeaseRevoke:
      return apply_lease_revoke(proposal.lease_revoke(), response);
    case Proposal::kLeaseRenew: {
      const auto& ids = proposal.lease_renew().ids();
      outcome.renewed = lessor_.renew(std::span(ids.data(), static_cast<std::size_t>(ids.size())),
                                      cluster_time_ms_);
      return outcome;
    }
    case Proposal::kLeaseExpire: {
      const auto& ids = proposal.lease_expire().ids();
      for (const lease::Revoked& revoked : lessor_.expire(
               std::span(ids.data(), static_cast<std::size_t>(ids.size())), cluster_time_ms_)) {
        delete_keys_of(revoked, outcome);
      }
      return outcome;
    }
    case Proposal::kAlarmChange:
      return apply_alarm_change(proposal.alarm_change(), response);
    case Proposal::kMemberPublish:
      outcome.refusal = membership_.apply(proposal.member_publish());
      return outcome;
    case Proposal::kMemberChange:  // stands in entries of another kind
    case Proposal::REQUEST_NOT_SET:
      break;
  }
  return Error{Errc::corrupt, "log entry " + std::to_string(applied_index_ + 1) +
                                  " is of a kind that this program does not know"};
}

template <class Response>
void StateMachine::keep(api::Reply<mvcc::Applied<Response>> applied,
                        google::protobuf::Message* response, Outcome& outcome) {
  if (!applied) {
    outcome.refusal = applied.error();
    return;
  }
  for (const mvcc::LeaseChange& change : applied->lease_changes) {
    if (change.detached != 0 && !CONCLAVE_PLANTED(detach_forgotten)) {
      lessor_.detach(change.detached, change.key);
    }
    if (change.attached != 0) lessor_.attach(change.attached, change.key);
  }
  if (applied->events != nullptr) outcome.events.push_back(std::move(applied->events));
  if (response == nullptr) return;
  if (applied->response_too_large) outcome.refusal = api::Refusal::done_without_response;
  static_cast<Response*>(response)->Swap(&applied->response);
}

// One revision for each revoked lease, and none if it had no keys.
void StateMachine::delete_keys_of(const lease::Revoked& revoked, Outcome& outcome) {
  auto deleted = store_->delete_keys(revoked.keys);
  CONCLAVE_CHECK(deleted || store_->failure(), "deleting the keys of a lease cannot be refused");
  if (deleted && deleted->events != nullptr) outcome.events.push_back(std::move(deleted->events));
}

StateMachine::Outcome StateMachine::apply_lease_grant(
    const etcdserverpb::LeaseGrantRequest& request, google::protobuf::Message* response) {
  Outcome outcome;
  auto granted = lessor_.grant(request.id(), request.ttl(), cluster_time_ms_);
  if (!granted) {
    outcome.refusal = granted.error();
  } else if (response != nullptr) {
    auto* answer = static_cast<etcdserverpb::LeaseGrantResponse*>(response);
    answer->set_id(granted->id);
    answer->set_ttl(granted->ttl_s);
    answer->mutable_header()->set_revision(store_->current_revision());
  }
  return outcome;
}

StateMachine::Outcome StateMachine::apply_lease_revoke(
    const etcdserverpb::LeaseRevokeRequest& request, google::protobuf::Message* response) {
  Outcome outcome;
  auto revoked = lessor_.revoke(request.id());
  if (!revoked) {
    outcome.refusal = revoked.error();
    return outcome;
  }
  delete_keys_of(*revoked, outcome);
  if (response != nullptr) {
    auto* answer = static_cast<etcdserverpb::LeaseRevokeResponse*>(response);
    answer->mutable_header()->set_revision(store_->current_revision());
  }
  return outcome;
}

// What the quota raises stands for the request that it refuses.
StateMachine::Outcome StateMachine::apply_alarm_change(const AlarmChange& change,
                                                       google::protobuf::Message* response) {
  Outcome outcome;
  auto* answer = static_cast<etcdserverpb::AlarmResponse*>(response);
  alarms_.apply(change, answer);
  const bool raises = change.request().action() == etcdserverpb::AlarmRequest::ACTIVATE;
  if (change.by_quota() && raises) outcome.refusal = api::Refusal::no_space;
  if (answer != nullptr) answer->mutable_header()->set_revision(store_->current_revision());
  return outcome;
}

void StateMachine::take_over(StateMachine&& other) {
  storage_ = other.storage_;
  store_->take_over(std::move(*other.store_));
  lessor_ = std::move(other.lessor_);
  alarms_ = std::move(other.alarms_);
  membership_.take_over(std::move(other.membership_));
  applied_index_ = other.applied_index_;
  applied_term_ = other.applied_term_;
  cluster_time_ms_ = std::max(cluster_time_ms_, other.cluster_time_ms_);
}

SnapshotState StateMachine::snapshot_state(std::uint64_t cluster_id) const {
  SnapshotState state;
  state.head.set_cluster_id(cluster_id);
  state.head.mutable_place()->set_index(applied_index_);
  state.head.mutable_place()->set_term(applied_term_);
  encode(membership_.config(), *state.head.mutable_place()->mutable_config());
  state.head.set_cluster_time_ms(cluster_time_ms_);
  state.head.set_revision(store_->current_revision());
  state.head.set_compact_revision(store_->compact_revision());
  state.head.set_membership(membership_.encode());
  state.head.set_alarms(alarms_.encode());
  if (!CONCLAVE_PLANTED(snapshot_lacks_leases)) state.leases = lessor_.records();
  return state;
}

std::vector<mvcc::Write> StateMachine::position_of(const SnapshotHead& head,
                                                   const std::optional<std::string>& membership) {
  std::vector<mvcc::Write> writes = mvcc::Store::writes_of(head.compact_revision());
  writes.push_back({mvcc::Table::meta, std::string(kAppliedKey),
                    position(head.place().index(), head.place().term(), head.cluster_time_ms())});
  writes.push_back(
      {mvcc::Table::meta, std::string(kMembersKey), membership ? *membership : head.membership()});
  writes.push_back({mvcc::Table::meta, std::string(kAlarmsKey),
                    membership ? without_quotas(head.alarms()) : head.alarms()});
  return writes;
}

std::shared_ptr<const mvcc::Batch> StateMachine::take_batch() {
  if (std::optional<std::string> alarms = alarms_.take_write()) {
    store_->add_write({mvcc::Table::meta, std::string(kAlarmsKey), std::move(alarms)});
  }
  if (std::optional<std::string> members = membership_.take_write()) {
    store_->add_write({mvcc::Table::meta, std::string(kMembersKey), std::move(members)});
  }
  for (lease::RecordWrite& write : lessor_.take_writes()) {
    store_->add_write({mvcc::Table::leases, std::move(write.key), std::move(write.value)});
  }
  if (!store_->pending_batch().writes.empty() && CONCLAVE_PLANTED(applied_index_apart)) {
    return store_->take_batch();
  }
  store_->add_write({mvcc::Table::meta, std::string(kAppliedKey),
                     position(applied_index_, applied_term_, cluster_time_ms_)});
  return store_->take_batch();
}

}  // namespace conclave::replica
