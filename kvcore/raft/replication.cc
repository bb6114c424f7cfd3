// The leader's side: paper, section 5.3 and 5.4.2; pipelining: thesis, 10.2; reads: thesis, 6.4.
#include <algorithm>
#include <utility>

#include "conclave/base/check.h"
#include "conclave/base/planted_bugs.h"
#include "conclave/raft/node.h"

namespace conclave::raft {

void Node::tick_leader() {
  ++election_elapsed_;
  ++heartbeat_elapsed_;
  if (election_elapsed_ >= options_.election_ticks) {
    election_elapsed_ = 0;
    if (options_.check_quorum) check_quorum_active();
    if (role_ != Role::leader) return;
    transferee_ = 0;
  }
  if (heartbeat_elapsed_ < options_.heartbeat_ticks) return;
  heartbeat_elapsed_ = 0;
  if (reads_.any_pending()) {
    // The messages of the last round may be lost.
    begin_read_round();
  } else {
    broadcast_heartbeat();
  }
}

void Node::check_quorum_active() {
  Votes active;
  for (auto& [id, progress] : progress_) {
    active.emplace(id, id == options_.id || (progress.recently_active && counts(progress)));
    progress.recently_active = id == options_.id;
  }
  if (quorum_vote(config_, active) != VoteResult::won) become_follower(hard_state_.term, 0);
}

// What a damaged member helped to decide before, it has forgotten. So a leader that others have
// replaced with its help must not find a majority with its help: that is to overlap with every
// earlier one in another member. Of an even number of voters it does, if only one is damaged.
bool Node::counts(const Progress& progress) const {
  if (!progress.voteless || CONCLAVE_PLANTED(damaged_member_counts)) return true;
  const auto damaged =
      std::ranges::count_if(progress_, [](const auto& entry) { return entry.second.voteless; });
  return damaged == 1 && config_.voters_outgoing.empty() && config_.voters.size() % 2 == 0;
}

Result<LogPosition, Refusal> Node::propose(std::vector<std::string> payloads) {
  CONCLAVE_CHECK(!payloads.empty(), "a proposal of nothing");
  if (role_ != Role::leader) return Refusal::not_leader;
  if (!progress_.contains(options_.id)) return Refusal::not_a_member;
  if (transferee_ != 0) return Refusal::transferring;
  std::uint64_t bytes = 0;
  std::vector<Entry> entries(payloads.size());
  for (std::size_t i = 0; i < payloads.size(); ++i) {
    bytes += payloads[i].size();
    entries[i].payload = std::move(payloads[i]);
  }
  // One proposal always passes when nothing else is uncommitted, whatever its size.
  if (options_.max_uncommitted_bytes != 0 && bytes > 0 && uncommitted_bytes_ > 0 &&
      uncommitted_bytes_ + bytes > options_.max_uncommitted_bytes) {
    return Refusal::too_many_uncommitted;
  }
  const LogPosition position = append_own(std::move(entries));
  broadcast_append();
  return position;
}

LogPosition Node::append_own(std::vector<Entry> entries) {
  const LogPosition first{hard_state_.term, log_.last_index() + 1};
  for (Entry& entry : entries) {
    entry.term = hard_state_.term;
    entry.index = log_.last_index() + 1;
    uncommitted_bytes_ += entry.payload.size();
    log_.append(std::move(entry));
  }
  if (CONCLAVE_PLANTED(leader_counts_unsynced)) {
    progress_.at(options_.id).accepted(log_.last_index());
  }
  return first;
}

void Node::step_leader(Message message) {
  Progress* progress = progress_of(message.from);
  if (progress == nullptr) return;
  switch (message.kind) {
    case MessageKind::append_response:
      progress->recently_active = true;
      progress->voteless = message.voteless;
      handle_append_response(message);
      return;
    case MessageKind::heartbeat_response:
      progress->recently_active = true;
      progress->voteless = message.voteless;
      handle_heartbeat_response(message);
      return;
    case MessageKind::read_index:
      queue_read({message.from, std::move(message.context), 0});
      return;
    default:
      return;
  }
}

void Node::handle_append_response(const Message& message) {
  Progress& progress = progress_.at(message.from);
  if (message.rejected) {
    handle_append_rejection(progress, message);
    return;
  }
  // An index that we never had is none of ours.
  if (message.log_index > log_.last_index()) return;
  const bool was_probing =
      progress.state() == ProgressState::probe && progress.match() == message.log_index;
  if (!progress.accepted(message.log_index) && !was_probing) return;
  switch (progress.state()) {
    case ProgressState::probe:
      progress.become_replicate();
      break;
    case ProgressState::replicate:
      progress.free_window(message.log_index);
      break;
    case ProgressState::snapshot:
      // The log reaches down to what it has, wherever that came from.
      if (progress.match() + 1 >= log_.first_index()) progress.become_replicate();
      break;
  }
  progress.resume();
  if (try_commit()) {
    broadcast_append();
  } else if (progress.can_bump_commit(log_.committed())) {
    send_append(message.from);
  }
  while (send_append(message.from, /*even_if_empty=*/false)) {
  }
  if (message.from == transferee_ && progress.match() == log_.last_index()) {
    send({.kind = MessageKind::timeout_now, .to = message.from});
  }
}

void Node::handle_append_rejection(Progress& progress, const Message& message) {
  Index hint = message.reject_hint;
  if (message.log_term > 0) hint = log_.last_not_above(hint, message.log_term).index;
  if (!progress.rejected(message.log_index, hint)) return;
  if (progress.state() == ProgressState::replicate) progress.become_probe();
  send_append(message.from);
}

void Node::handle_heartbeat_response(const Message& message) {
  Progress& progress = progress_.at(message.from);
  progress.resume();
  // All its appends may have been lost; an empty one finds out.
  if (progress.match() < log_.last_index() || progress.state() == ProgressState::probe) {
    send_append(message.from);
  }
  if (message.round > progress.read_round_acked && message.round <= reads_.round()) {
    progress.read_round_acked = message.round;
    confirm_reads();
  }
}

bool Node::committed_in_own_term() const {
  return log_.term_at(log_.committed()) == hard_state_.term;
}

// Paper, 5.4.2: only an entry of the own term is committed by counting.
bool Node::try_commit() {
  const Index index = quorum_index(config_, [this](NodeId id) -> Index {
    const auto found = progress_.find(id);
    return found == progress_.end() || !counts(found->second) ? 0 : found->second.match();
  });
  if (index <= log_.committed() || index > log_.last_index()) return false;
  if (log_.term_at(index) != hard_state_.term && !CONCLAVE_PLANTED(commits_older_term)) {
    return false;
  }
  uncommitted_bytes_ -= log_.payload_bytes(log_.committed() + 1, index);
  log_.commit_to(index);
  for (ReadRequest& request : reads_.take_held()) queue_read(std::move(request));
  return true;
}

bool Node::send_append(NodeId to, bool even_if_empty) {
  if (to == options_.id) return false;
  Progress& progress = progress_.at(to);
  if (progress.paused()) return false;
  const Index previous = progress.next() - 1;
  const std::optional<Term> previous_term = log_.term_at(previous);
  if (!previous_term) return send_snapshot(to);
  Message message{.kind = MessageKind::append,
                  .to = to,
                  .log_index = previous,
                  .log_term = *previous_term,
                  .commit = log_.committed()};
  if (progress.may_carry_entries()) {
    message.entries = log_.slice(progress.next(), log_.last_index(), options_.max_bytes_per_append);
  }
  if (message.entries.empty() && !even_if_empty) return false;
  std::uint64_t bytes = 0;
  for (const Entry& entry : message.entries) bytes += entry.payload.size();
  progress.sent_append(message.entries.size(), bytes);
  progress.sent_commit(log_.committed());
  send(std::move(message));
  return true;
}

bool Node::send_snapshot(NodeId to) {
  Progress& progress = progress_.at(to);
  // Not to somebody who may not even run: a snapshot is expensive, and heartbeats go on.
  if (!progress.recently_active) return false;
  const Index index = log_.applied();
  const std::optional<Term> term = log_.term_at(index);
  CONCLAVE_CHECK(index != 0 && term, "the log was cut, but there is no state to send instead");
  progress.become_snapshot(index);
  send({.kind = MessageKind::snapshot,
        .to = to,
        .snapshot = SnapshotMetadata{index, *term, applied_config_}});
  return true;
}

void Node::broadcast_append() {
  for (const auto& [id, progress] : progress_) send_append(id);
}

void Node::broadcast_heartbeat() {
  for (auto& [id, progress] : progress_) {
    if (id == options_.id) continue;
    // Not beyond its match: it may have other entries there.
    const Index commit = CONCLAVE_PLANTED(heartbeat_commits_unmatched)
                             ? log_.committed()
                             : std::min(progress.match(), log_.committed());
    progress.sent_commit(commit);
    send({.kind = MessageKind::heartbeat, .to = id, .commit = commit, .round = reads_.round()});
  }
}

Result<void, Refusal> Node::read_index(std::string context) {
  if (role_ == Role::leader) {
    queue_read({options_.id, std::move(context), 0});
    return {};
  }
  if (leader_ == 0) return Refusal::no_leader;
  send({.kind = MessageKind::read_index, .to = leader_, .context = std::move(context)});
  return {};
}

void Node::queue_read(ReadRequest request) {
  if (!committed_in_own_term() && !CONCLAVE_PLANTED(reads_before_own_commit)) {
    reads_.hold(std::move(request));
    return;
  }
  request.index = log_.committed();
  reads_.add(std::move(request));
  if (reads_.round_wanted()) begin_read_round();
}

void Node::begin_read_round() {
  const std::uint64_t round = reads_.begin_round();
  if (Progress* own = progress_of(options_.id); own != nullptr) own->read_round_acked = round;
  broadcast_heartbeat();
  confirm_reads();
}

void Node::confirm_reads() {
  const std::uint64_t round = quorum_index(config_, [this](NodeId id) -> std::uint64_t {
    const auto found = progress_.find(id);
    return found == progress_.end() || !counts(found->second) ? 0 : found->second.read_round_acked;
  });
  const bool unasked = CONCLAVE_PLANTED(reads_without_quorum);
  for (ReadRequest& request : reads_.confirmed(unasked ? reads_.round() : round)) {
    if (request.from == options_.id) {
      read_states_.push_back({std::move(request.context), request.index});
    } else {
      send({.kind = MessageKind::read_index_response,
            .to = request.from,
            .log_index = request.index,
            .context = std::move(request.context)});
    }
  }
  if (reads_.round_wanted()) begin_read_round();
}

Result<void, Refusal> Node::transfer_leadership(NodeId successor) {
  if (role_ != Role::leader) return Refusal::not_leader;
  if (!config_.is_voter(successor) || !progress_.contains(successor)) return Refusal::not_a_member;
  if (successor == options_.id || successor == transferee_) return {};
  // It is to be over within an election timeout, counted from here.
  election_elapsed_ = 0;
  transferee_ = successor;
  if (progress_.at(successor).match() == log_.last_index() ||
      CONCLAVE_PLANTED(hands_over_too_early)) {
    send({.kind = MessageKind::timeout_now, .to = successor});
  } else {
    send_append(successor);
  }
  return {};
}

void Node::forget_leader() {
  if (role_ != Role::leader) leader_ = 0;
}

void Node::report_unreachable(NodeId peer) {
  Progress* progress = progress_of(peer);
  if (role_ != Role::leader || progress == nullptr) return;
  if (progress->state() == ProgressState::replicate) progress->become_probe();
}

void Node::report_snapshot(NodeId peer, bool success) {
  Progress* progress = progress_of(peer);
  if (role_ != Role::leader || progress == nullptr) return;
  if (progress->state() != ProgressState::snapshot) return;
  if (!success) progress->drop_pending_snapshot();
  progress->become_probe();
  // Wait for its answer, or the next heartbeat's: a probe now would be refused.
  progress->pause();
}

std::map<NodeId, ProgressView> Node::progress() const {
  std::map<NodeId, ProgressView> views;
  if (role_ != Role::leader) return views;
  for (const auto& [id, progress] : progress_) {
    views[id] = {.state = progress.state(),
                 .match = progress.match(),
                 .next = progress.next(),
                 .learner = config_.is_learner(id),
                 .paused = progress.paused(),
                 .recently_active = progress.recently_active,
                 .pending_snapshot = progress.pending_snapshot(),
                 .inflight = progress.window().size()};
  }
  return views;
}

}  // namespace conclave::raft
