#include <algorithm>
#include <utility>

#include "conclave/api/version.h"
#include "conclave/base/url.h"
#include "conclave/mvcc/validate.h"
#include "conclave/replica/replica.h"

namespace conclave::replica {
namespace {

using api::Refusal;
using google::protobuf::Message;

template <class... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};
template <class... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>;

// What a request would add to the store if it were carried out; deletes are let through when it is
// full.
bool adds_data(const AnyCall& call) {
  return std::visit(
      Overloaded{[](const PutCall&) { return true; }, [](const LeaseGrantCall&) { return true; },
                 [](const TxnCall& txn) { return mvcc::has_put(*txn.request); },
                 [](const auto&) { return false; }},
      call);
}

// What needs an entry of its own in the log. Renewals travel together and replace each other.
bool is_write(const AnyCall& call) {
  return std::visit(
      Overloaded{
          [](const PutCall&) { return true; }, [](const DeleteRangeCall&) { return true; },
          [](const TxnCall& txn) { return !mvcc::is_read_only(*txn.request); },
          [](const CompactCall&) { return true; }, [](const LeaseGrantCall&) { return true; },
          [](const LeaseRevokeCall&) { return true; },
          [](const AlarmCall& alarm) {
            return alarm.request->action() != etcdserverpb::AlarmRequest::GET;
          },
          [](const MemberAddCall&) { return true; }, [](const MemberRemoveCall&) { return true; },
          [](const MemberUpdateCall&) { return true; },
          [](const MemberPromoteCall&) { return true; }, [](const auto&) { return false; }},
      call);
}

std::optional<Refusal> refusal_of(const api::Reply<void>& validated) {
  if (validated) return std::nullopt;
  return validated.error();
}

}  // namespace

// One request on its way in. Each overload answers it at once with a refusal, or sees to it that
// the answer comes: nullopt means that it is under way.
struct Replica::Submission {
  Replica& replica;
  const RequestId id;
  const Instant now;

  std::optional<Refusal> operator()(const RangeCall& call) {
    if (auto refusal = refusal_of(mvcc::validate(*call.request))) return refusal;
    return read_or_wait(call, call.request->serializable());
  }
  std::optional<Refusal> operator()(const PutCall& call) {
    if (auto refusal = refusal_of(mvcc::validate(*call.request))) return refusal;
    Proposal proposal;
    *proposal.mutable_put() = *call.request;
    return replica.propose(id, call.response, std::move(proposal), now);
  }
  std::optional<Refusal> operator()(const DeleteRangeCall& call) {
    if (auto refusal = refusal_of(mvcc::validate(*call.request))) return refusal;
    Proposal proposal;
    *proposal.mutable_delete_range() = *call.request;
    return replica.propose(id, call.response, std::move(proposal), now);
  }
  std::optional<Refusal> operator()(const TxnCall& call) {
    const auto valid = mvcc::validate(*call.request, replica.options_.max_txn_operations);
    if (auto refusal = refusal_of(valid)) return refusal;
    if (mvcc::is_read_only(*call.request)) {
      return read_or_wait(call, mvcc::is_serializable(*call.request));
    }
    Proposal proposal;
    *proposal.mutable_txn() = *call.request;
    return replica.propose(id, call.response, std::move(proposal), now);
  }
  std::optional<Refusal> operator()(const CompactCall& call) {
    Proposal proposal;
    *proposal.mutable_compact() = *call.request;
    return replica.propose(id, call.response, std::move(proposal), now);
  }
  std::optional<Refusal> operator()(const LeaseGrantCall& call) {
    Proposal proposal;
    *proposal.mutable_lease_grant() = *call.request;
    while (proposal.lease_grant().id() == 0) {
      // Positive, so that every client's signed and unsigned prints of it agree.
      const auto drawn = static_cast<std::int64_t>(replica.random_.next() >> 1);
      if (!replica.state_.lessor().exists(drawn)) proposal.mutable_lease_grant()->set_id(drawn);
    }
    return replica.propose(id, call.response, std::move(proposal), now);
  }
  std::optional<Refusal> operator()(const LeaseRevokeCall& call) {
    Proposal proposal;
    *proposal.mutable_lease_revoke() = *call.request;
    return replica.propose(id, call.response, std::move(proposal), now);
  }
  std::optional<Refusal> operator()(const LeaseKeepAliveCall& call) {
    replica.keeper_.add(
        {id, call.request->id(), call.response, now + replica.options_.request_timeout});
    return std::nullopt;
  }
  std::optional<Refusal> operator()(const LeaseTimeToLiveCall& call) {
    return read_or_wait(call, false);
  }
  std::optional<Refusal> operator()(const LeaseLeasesCall& call) {
    return read_or_wait(call, false);
  }
  std::optional<Refusal> operator()(const StatusCall& call) { return read_or_wait(call, true); }
  // A member is asked for its own hash, to be compared with those of others at the same revision.
  std::optional<Refusal> operator()(const HashKvCall& call) { return read_or_wait(call, true); }
  // Concerns this member's file alone. Whoever asks while a copy is made waits for that one.
  std::optional<Refusal> operator()(const DefragmentCall&) {
    replica.defragmentations_.push_back(id);
    return std::nullopt;
  }
  std::optional<Refusal> operator()(const MemberListCall& call) {
    return read_or_wait(call, !call.request->linearizable());
  }

  std::optional<Refusal> operator()(const AlarmCall& call) {
    if (call.request->action() == etcdserverpb::AlarmRequest::GET) return read_or_wait(call, false);
    Proposal proposal;
    *proposal.mutable_alarm_change()->mutable_request() = *call.request;
    return replica.propose(id, call.response, std::move(proposal), now);
  }

  std::optional<Refusal> operator()(const MemberAddCall& call) {
    if (!are_urls(call.request->peerurls())) return Refusal::member_urls_invalid;
    etcdserverpb::Member member;
    do {
      member.set_id(replica.random_.next());
    } while (member.id() == 0 || replica.state_.membership().find(member.id()) != nullptr);
    *member.mutable_peerurls() = call.request->peerurls();
    member.set_islearner(call.request->islearner());
    return change_members(MemberChange::ADD, std::move(member), call.response);
  }
  std::optional<Refusal> operator()(const MemberRemoveCall& call) {
    return change_members(MemberChange::REMOVE, named(call.request->id()), call.response);
  }
  std::optional<Refusal> operator()(const MemberUpdateCall& call) {
    if (!are_urls(call.request->peerurls())) return Refusal::member_urls_invalid;
    etcdserverpb::Member member = named(call.request->id());
    *member.mutable_peerurls() = call.request->peerurls();
    return change_members(MemberChange::UPDATE, std::move(member), call.response);
  }
  std::optional<Refusal> operator()(const MemberPromoteCall& call) {
    return change_members(MemberChange::PROMOTE, named(call.request->id()), call.response);
  }
  std::optional<Refusal> operator()(const MoveLeaderCall& call) {
    return replica.move_leader(id, call.request->targetid(), now);
  }

  static etcdserverpb::Member named(std::uint64_t member_id) {
    etcdserverpb::Member member;
    member.set_id(member_id);
    return member;
  }
  static bool are_urls(const google::protobuf::RepeatedPtrField<std::string>& texts) {
    return !texts.empty() && std::ranges::all_of(texts, [](const std::string& text) {
      return parse_url(text).has_value();
    });
  }
  std::optional<Refusal> change_members(MemberChange::Kind kind, etcdserverpb::Member member,
                                        Message* response) {
    Proposal proposal;
    proposal.mutable_member_change()->set_kind(kind);
    *proposal.mutable_member_change()->mutable_member() = std::move(member);
    return replica.propose(id, response, std::move(proposal), now);
  }

  std::optional<Refusal> read_or_wait(const AnyCall& call, bool serializable) {
    if (serializable) {
      replica.serve_read(id, call, now);
    } else {
      replica.waiting_reads_.push_back({id, call, now + replica.options_.request_timeout});
    }
    return std::nullopt;
  }
};

void Replica::submit(RequestId id, const AnyCall& call, Instant now) {
  if (auto refusal = refuse_for_role(call)) return answer(id, refusal);
  if (auto refusal = refuse_for_load(call)) return answer(id, refusal);
  if (adds_data(call) && size_in_use() >= options_.quota_bytes) return refuse_for_space(id, now);
  if (auto refusal = std::visit(Submission{*this, id, now}, call)) answer(id, refusal);
}

std::optional<Refusal> Replica::refuse_for_role(const AnyCall& call) const {
  // Of a group, others serve, and the caller may ask them: nothing was proposed.
  if (draining_) return is_grouped() ? Refusal::no_leader : Refusal::stopped;
  const raft::ConfigState& config = raft_.config();
  if (config.is_voter(options_.self.id)) return std::nullopt;
  // One that has just joined knows nothing that it could answer from.
  if (!config.is_learner(options_.self.id)) return Refusal::no_leader;
  // As etcd's: clients go to another member at the refusal.
  const bool served = std::visit(
      Overloaded{[](const RangeCall& range) { return range.request->serializable(); },
                 [](const StatusCall&) { return true; }, [](const auto&) { return false; }},
      call);
  return served ? std::nullopt : std::optional(Refusal::learner_serves_little);
}

std::optional<Refusal> Replica::refuse_for_load(const AnyCall& call) const {
  const std::size_t waiting = pending_.size() + parked_.size() + leader_moves_.size() +
                              waiting_reads_.size() + reads_in_round_.size() +
                              confirmed_reads_.size() + keeper_.size() + walks_.size() +
                              physical_compactions_.size() + defragmentations_.size();
  if (waiting >= options_.max_waiting_calls) return Refusal::too_many_requests;
  if (!is_write(call)) return std::nullopt;
  // What waits for a leader, or for its answer, is here twice: as the call and as the proposal.
  if (pending_.bytes() + parked_.bytes() >= 4 * options_.max_uncommitted_bytes) {
    return Refusal::too_many_requests;
  }
  return refuse_for_growth();
}

std::optional<Refusal> Replica::refuse_for_growth() const {
  const std::uint64_t uncommitted = state_.store().uncommitted_bytes();
  if (uncommitted >= options_.max_uncommitted_bytes) return Refusal::too_many_requests;
  // What changes nothing makes no batch larger, but stays in the log until the store has gone on.
  if (raft_.log().payload_bytes() >= 2 * options_.max_uncommitted_bytes) {
    return Refusal::too_many_requests;
  }
  return std::nullopt;
}

std::uint64_t Replica::size_in_use() const {
  return size_in_use_bytes_ + state_.store().uncommitted_bytes();
}

// The first request that finds no room raises the alarm, and is answered when that is known:
// whoever was refused finds the alarm in the list.
void Replica::refuse_for_space(RequestId id, Instant now) {
  const bool raised = state_.alarms().raised(etcdserverpb::NOSPACE, options_.self.id);
  if (!raised && alarm_sequence_ == 0 && propose_quota_alarm(true, now)) {
    pending_.add(alarm_sequence_, {id, nullptr, now + options_.request_timeout, raft_.term(), {}});
  } else {
    answer(id, Refusal::no_space);
  }
}

bool Replica::propose_quota_alarm(bool raise, Instant now) {
  using etcdserverpb::AlarmRequest;
  Proposal proposal;
  AlarmChange& change = *proposal.mutable_alarm_change();
  change.set_by_quota(true);
  change.mutable_request()->set_action(raise ? AlarmRequest::ACTIVATE : AlarmRequest::DEACTIVATE);
  change.mutable_request()->set_memberid(options_.self.id);
  change.mutable_request()->set_alarm(etcdserverpb::NOSPACE);
  const std::uint64_t sequence = next_sequence_;
  if (!propose_own(std::move(proposal), now)) return false;
  alarm_sequence_ = sequence;
  alarm_proposed_ = now;
  return true;
}

std::optional<Refusal> Replica::propose(RequestId id, Message* response, Proposal proposal,
                                        Instant now) {
  // The limit is for requests: what the leader asks by itself has a bound of its own, and leases
  // must live and end under the smallest limit too.
  if (response != nullptr && proposal.ByteSizeLong() > options_.max_request_bytes) {
    return Refusal::request_too_large;
  }
  if (response != nullptr) {
    if (auto refusal = state_.alarms().refusal_of(proposal)) return refusal;
  }
  return send_to_log({id, response, std::move(proposal), now + options_.request_timeout}, now);
}

// For what this member asks of the log by itself; nobody waits for it.
bool Replica::propose_own(Proposal proposal, Instant now) {
  return !propose(0, nullptr, std::move(proposal), now).has_value();
}

void Replica::answer(RequestId id, std::optional<Refusal> refusal) {
  output_.answers.push_back({id, refusal});
}

void Replica::fill_header(etcdserverpb::ResponseHeader* header) const {
  header->set_cluster_id(options_.cluster_id);
  header->set_member_id(options_.self.id);
  header->set_raft_term(raft_.term());
}

void Replica::list_errors(etcdserverpb::StatusResponse& response) const {
  if (raft_.leader() == 0) response.add_errors(std::string(api::text_of(Refusal::no_leader).text));
  etcdserverpb::AlarmResponse raised;
  state_.alarms().list(etcdserverpb::NONE, raised);
  for (const auto& alarm : raised.alarms()) response.add_errors(text_of(alarm));
}

// Answers from the applied state, now or step by step. Whoever calls it has seen to it that the
// state is recent enough.
void Replica::serve_read(RequestId id, const AnyCall& call, Instant now) {
  const mvcc::Store& store = state_.store();
  const auto answer_by_walk = [&](const auto& c) {
    walk(
        id, c.response, [&store, c] { return mvcc::ReadWalk(store, *c.request, *c.response); },
        now);
  };
  std::visit(Overloaded{[&](const RangeCall& c) { answer_by_walk(c); },
                        [&](const TxnCall& c) { answer_by_walk(c); },
                        [&](const HashKvCall& c) {
                          const auto begin = [&store, c] {
                            return mvcc::HashWalk(store, c.request->revision(), *c.response);
                          };
                          walk(id, c.response, begin, now);
                        },
                        [&](const auto&) { answer(id, read(call, now)); }},
             call);
}

// A walk that ends in its first step, as nearly all do, never gets into the list.
template <class Response, class Begin>
void Replica::walk(RequestId id, Response* response, Begin begin, Instant now) {
  auto walk = begin();
  mvcc::WalkBudget budget = ReadWalks::budget_of_first_step();
  const api::Reply<bool> done = walk.step(budget);
  fill_header(response->mutable_header());
  if (!done) return answer(id, done.error());
  if (*done) {
    const std::uint64_t bytes = walk.byte_count();
    if (bytes < ReadWalks::kLongResponse) return answer(id, std::nullopt);
    if (!walks_.count_short(bytes)) return answer(id, Refusal::too_many_requests);
    return output_.answers.push_back({id, std::nullopt, response, bytes});
  }
  if (!walks_.full()) return walks_.add(id, response, std::move(walk), now);
  response->Clear();
  const auto begin_later = [this, response, begin = std::move(begin)] {
    auto later = begin();
    fill_header(response->mutable_header());
    return ReadWalks::Walk(std::move(later));
  };
  walks_.add_later(id, response, begin_later, now);
}

std::optional<Refusal> Replica::read(const AnyCall& call, Instant now) {
  const auto start = [this](auto* response) {
    fill_header(response->mutable_header());
    response->mutable_header()->set_revision(state_.store().current_revision());
  };
  return std::visit(
      Overloaded{[&](const LeaseTimeToLiveCall& c) -> std::optional<Refusal> {
                   start(c.response);
                   const auto found = state_.lessor().time_to_live(
                       c.request->id(), c.request->keys(), clock_.estimate_ms(now));
                   c.response->set_id(c.request->id());
                   c.response->set_ttl(found ? found->remaining_s : -1);
                   if (!found) return std::nullopt;
                   c.response->set_grantedttl(found->granted_ttl_s);
                   for (const std::string& key : found->keys) c.response->add_keys(key);
                   return std::nullopt;
                 },
                 [&](const LeaseLeasesCall& c) -> std::optional<Refusal> {
                   start(c.response);
                   for (const std::int64_t lease : state_.lessor().ids_by_expiry()) {
                     c.response->add_leases()->set_id(lease);
                   }
                   return std::nullopt;
                 },
                 [&](const StatusCall& c) -> std::optional<Refusal> {
                   start(c.response);
                   c.response->set_version(std::string(api::kApiVersion));
                   c.response->set_storageversion(std::string(api::kStorageVersion));
                   c.response->mutable_downgradeinfo()->set_enabled(false);
                   c.response->set_dbsize(static_cast<std::int64_t>(size_bytes_));
                   c.response->set_dbsizeinuse(static_cast<std::int64_t>(size_in_use_bytes_));
                   c.response->set_dbsizequota(static_cast<std::int64_t>(options_.quota_bytes));
                   c.response->set_leader(raft_.leader());
                   c.response->set_raftindex(raft_.log().committed());
                   c.response->set_raftterm(raft_.term());
                   c.response->set_islearner(raft_.config().is_learner(options_.self.id));
                   c.response->set_raftappliedindex(state_.applied_index());
                   list_errors(*c.response);
                   return std::nullopt;
                 },
                 [&](const MemberListCall& c) -> std::optional<Refusal> {
                   fill_header(c.response->mutable_header());
                   for (const Member& member : state_.membership().all()) {
                     show(member, *c.response->add_members());
                   }
                   return std::nullopt;
                 },
                 [&](const AlarmCall& c) -> std::optional<Refusal> {
                   start(c.response);
                   state_.alarms().list(c.request->alarm(), *c.response);
                   return std::nullopt;
                 },
                 [](const auto&) -> std::optional<Refusal> {
                   CONCLAVE_CHECK(false, "a write or a walk on the way of a read");
                 }},
      call);
}

}  // namespace conclave::replica
