// Changes of the membership, as an operator asks for them.
#include <algorithm>
#include <utility>

#include "conclave/replica/replica.h"

namespace conclave::replica {
namespace {

using api::Refusal;

// As etcd's: a learner is close enough to vote once it has nine tenths of the leader's log.
constexpr raft::Index kReadyTenths = 9;

raft::ConfigStep step_of(const MemberChange& change) {
  using Kind = raft::ConfigStepKind;
  const raft::NodeId id = change.member().id();
  switch (change.kind()) {
    case MemberChange::ADD:
      return {change.member().islearner() ? Kind::add_learner : Kind::add_voter, id};
    case MemberChange::REMOVE:
      return {Kind::remove_node, id};
    case MemberChange::PROMOTE:
      return {Kind::add_voter, id};
    default:
      return {Kind::update_node, id};
  }
}

// A member that was added has no name until it says so itself.
bool is_started(const Member& member) {
  return !member.name.empty();
}

}  // namespace

// By the leader; one change at a time, so what is checked here still holds when it is applied.
std::optional<Refusal> Replica::propose_member_change(const MemberChange& change,
                                                      std::string context, Instant now) {
  if (const auto refusal = refusal_of_change(change, now)) return refusal;
  raft::ConfigChange config;
  config.steps.push_back(step_of(change));
  config.context = std::move(context);
  const auto proposed = raft_.propose_config_change(config);
  if (proposed) return std::nullopt;
  switch (proposed.error()) {
    case raft::Refusal::change_in_progress:
      return Refusal::too_many_requests;
    case raft::Refusal::impossible_change:
      return Refusal::unhealthy;
    default:
      return Refusal::no_leader;
  }
}

std::optional<Refusal> Replica::refusal_of_change(const MemberChange& change, Instant now) const {
  const etcdserverpb::Member& named = change.member();
  const Membership& membership = state_.membership();
  const bool adds = change.kind() == MemberChange::ADD;
  const Member* member = membership.find(named.id());
  if (!adds && member == nullptr) return Refusal::member_not_found;
  for (const std::string& url : named.peerurls()) {
    if (membership.has_peer_url(url, named.id())) return Refusal::member_urls_taken;
  }
  if (adds) return refuse_addition(named, now);
  if (change.kind() == MemberChange::REMOVE) return refuse_removal(*member, now);
  if (change.kind() == MemberChange::PROMOTE) return refuse_promotion(*member);
  return std::nullopt;
}

bool Replica::is_active(raft::NodeId member, Instant now) const {
  if (member == options_.self.id) return true;
  const auto heard = heard_.find(member);
  return heard != heard_.end() && now - heard->second < options_.tick * options_.election_ticks;
}

std::optional<Refusal> Replica::refuse_addition(const etcdserverpb::Member& member,
                                                Instant now) const {
  const raft::ConfigState& config = state_.membership().config();
  if (member.islearner()) {
    return config.learners.size() >= options_.max_learners
               ? std::optional(Refusal::too_many_learners)
               : std::nullopt;
  }
  if (!options_.strict_reconfig_check) return std::nullopt;
  const std::size_t quorum_after = (config.voters.size() + 1) / 2 + 1;
  // The first member may always get a second one.
  if (config.voters.size() > 1 && voters_started() < quorum_after) {
    return Refusal::not_enough_started;
  }
  return voters_active(now) < config.voters.size() ? std::optional(Refusal::unhealthy)
                                                   : std::nullopt;
}

// One that is down is no part of what could be lost.
std::optional<Refusal> Replica::refuse_removal(const Member& member, Instant now) const {
  const raft::ConfigState& config = state_.membership().config();
  if (!options_.strict_reconfig_check || !config.is_voter(member.id)) return std::nullopt;
  if (config.voters.size() == 1) return Refusal::not_enough_started;
  const std::size_t quorum_after = (config.voters.size() - 1) / 2 + 1;
  if (voters_started() - (is_started(member) ? 1 : 0) < quorum_after) {
    return Refusal::not_enough_started;
  }
  if (!is_active(member.id, now)) return std::nullopt;
  return voters_active(now) - 1 < quorum_after ? std::optional(Refusal::unhealthy) : std::nullopt;
}

std::size_t Replica::voters_started() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(state_.membership().config().voters, [this](raft::NodeId id) {
        const Member* member = state_.membership().find(id);
        return member != nullptr && is_started(*member);
      }));
}

std::size_t Replica::voters_active(Instant now) const {
  return static_cast<std::size_t>(std::ranges::count_if(
      state_.membership().config().voters, [&](raft::NodeId id) { return is_active(id, now); }));
}

std::optional<Refusal> Replica::refuse_promotion(const Member& member) const {
  if (!member.learner) return Refusal::not_a_learner;
  const auto progress = raft_.progress();
  const auto found = progress.find(member.id);
  if (found == progress.end() ||
      found->second.match * 10 < raft_.log().last_index() * kReadyTenths) {
    return Refusal::learner_not_ready;
  }
  return std::nullopt;
}

Result<void> Replica::apply_config(const raft::Entry& entry) {
  const Result<raft::ConfigChange> change = raft::decode_config_change(entry.payload);
  Proposal proposal;
  if (!change || (!change->context.empty() && !parse_proposal(change->context, proposal))) {
    return Error{Errc::corrupt, "log entry " + std::to_string(entry.index) + " cannot be read"};
  }
  const bool fits = raft::apply_change(raft_.config(), *change).has_value();
  const auto config = raft_.apply_config_change(entry.index, *change);
  CONCLAVE_CHECK(config, "a snapshot that is installed is applied");
  const bool changes_members = fits && proposal.has_member_change();
  state_.apply_config(entry, *config, changes_members ? &proposal.member_change() : nullptr);
  const bool ours =
      proposal.member() == options_.self.id && proposal.incarnation() == options_.incarnation;
  const auto waiting = ours ? pending_.take(proposal.sequence()) : std::nullopt;
  if (!waiting) return {};
  if (fits) show_members(proposal.member_change(), *waiting->response);
  answer(waiting->id, fits ? std::nullopt : std::optional(Refusal::unhealthy));
  return {};
}

void Replica::show_members(const MemberChange& change, google::protobuf::Message& response) const {
  const auto fill = [this](auto& typed) {
    fill_header(typed.mutable_header());
    for (const Member& member : state_.membership().all()) show(member, *typed.add_members());
  };
  switch (change.kind()) {
    case MemberChange::ADD: {
      auto& added = static_cast<etcdserverpb::MemberAddResponse&>(response);
      if (const Member* member = state_.membership().find(change.member().id())) {
        show(*member, *added.mutable_member());
      }
      return fill(added);
    }
    case MemberChange::REMOVE:
      return fill(static_cast<etcdserverpb::MemberRemoveResponse&>(response));
    case MemberChange::PROMOTE:
      return fill(static_cast<etcdserverpb::MemberPromoteResponse&>(response));
    default:
      return fill(static_cast<etcdserverpb::MemberUpdateResponse&>(response));
  }
}

std::optional<Refusal> Replica::move_leader(RequestId id, raft::NodeId to, Instant now) {
  if (raft_.role() != raft::Role::leader) return Refusal::not_leader;
  if (!raft_.transfer_leadership(to)) return Refusal::bad_transferee;
  leader_moves_.push_back({id, to, now + options_.request_timeout});
  return std::nullopt;
}

void Replica::answer_leader_moves() {
  std::erase_if(leader_moves_, [this](const LeaderMove& move) {
    if (raft_.leader() == 0 || (raft_.leader() != move.to && raft_.transferring_to() != 0)) {
      return false;
    }
    // Another leads, or still the same one: the successor did not take over in time.
    answer(move.id, raft_.leader() == move.to ? std::nullopt
                                              : std::optional(Refusal::leader_transfer_timeout));
    return true;
  });
}

}  // namespace conclave::replica
