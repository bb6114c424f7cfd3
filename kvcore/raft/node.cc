#include "conclave/raft/node.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "conclave/base/check.h"
#include "conclave/base/planted_bugs.h"

namespace conclave::raft {

std::string_view name_of(Refusal refusal) {
  switch (refusal) {
    case Refusal::not_leader:
      return "not_leader";
    case Refusal::no_leader:
      return "no_leader";
    case Refusal::transferring:
      return "transferring";
    case Refusal::too_many_uncommitted:
      return "too_many_uncommitted";
    case Refusal::change_in_progress:
      return "change_in_progress";
    case Refusal::impossible_change:
      return "impossible_change";
    case Refusal::not_a_member:
      return "not_a_member";
  }
  return "unnamed";
}

Node::Node(Options options, InitialState initial, Random random)
    : options_(options),
      random_(random),
      log_(initial.compacted, std::move(initial.entries), initial.hard_state.commit,
           initial.applied),
      config_(std::move(initial.config)),
      config_index_(initial.applied),
      applied_config_(config_),
      voteless_(initial.voteless),
      hard_state_(initial.hard_state),
      taken_(log_.last_index()),
      applying_(log_.applied()) {
  CONCLAVE_CHECK(options_.id != 0, "a node without an id");
  CONCLAVE_CHECK(options_.heartbeat_ticks > 0 && options_.heartbeat_ticks < options_.election_ticks,
                 "heartbeats must be more frequent than elections");
  CONCLAVE_CHECK(options_.max_inflight_messages > 0, "an in-flight window of nothing");
  hard_state_taken_ = hard_state();
  // A crash can come between an entry and the hard state after it. Then no vote or acknowledgement
  // of the entry's term has left, and its term counts as seen.
  const bool has_entries = log_.last_index() > log_.compacted().index;
  if (has_entries && log_.last_term() > hard_state_.term) hard_state_ = {.term = log_.last_term()};
  rebuild_progress();
  become_follower(hard_state_.term, 0);
  soft_state_taken_ = {leader_, role_};
}

void Node::reset(Term term) {
  if (hard_state_.term != term) {
    CONCLAVE_CHECK(term > hard_state_.term, "a term that goes back");
    hard_state_.term = term;
    hard_state_.vote = 0;
  }
  leader_ = 0;
  election_elapsed_ = 0;
  heartbeat_elapsed_ = 0;
  randomize_election_timeout();
  votes_received_.clear();
  own_vote_wanted_ = 0;
  transferee_ = 0;
  pending_config_index_ = 0;
  uncommitted_bytes_ = 0;
  reads_.clear();
  for (auto& [id, progress] : progress_) progress = new_progress(log_.last_index() + 1);
}

void Node::become_follower(Term term, NodeId leader) {
  reset(term);
  role_ = Role::follower;
  leader_ = leader;
}

void Node::randomize_election_timeout() {
  const auto ticks = static_cast<std::uint64_t>(options_.election_ticks);
  randomized_election_ticks_ = options_.election_ticks + static_cast<int>(random_.below(ticks));
}

HardState Node::hard_state() const {
  return {hard_state_.term, hard_state_.vote, log_.committed()};
}

// Promises (votes, acknowledgements) wait for the disk; everything else may leave at once.
void Node::send(Message message) {
  message.from = options_.id;
  if (message.term == 0) message.term = hard_state_.term;
  const bool promises = (message.kind == MessageKind::append_response &&
                         !CONCLAVE_PLANTED(acknowledges_before_sync)) ||
                        message.kind == MessageKind::vote_response ||
                        message.kind == MessageKind::pre_vote_response;
  (promises ? messages_after_persist_ : messages_).push_back(std::move(message));
}

void Node::tick() {
  if (role_ == Role::leader) {
    tick_leader();
    return;
  }
  ++election_elapsed_;
  if (votes() && election_elapsed_ >= randomized_election_ticks_) {
    election_elapsed_ = 0;
    campaign();
  }
}

void Node::step(Message message) {
  if (message.to != options_.id || message.from == 0 || message.from == options_.id ||
      message.term == 0) {
    return;
  }
  if (voteless_ && !CONCLAVE_PLANTED(damaged_member_votes) &&
      (message.kind == MessageKind::vote || message.kind == MessageKind::pre_vote)) {
    return;
  }
  if (message.term != hard_state_.term && !step_other_term(message)) return;
  if (message.kind == MessageKind::vote || message.kind == MessageKind::pre_vote) {
    handle_vote_request(message);
  } else if (role_ == Role::leader) {
    step_leader(std::move(message));
  } else {
    step_follower(std::move(message));
  }
}

Index Node::committable() const {
  if (installing_ != 0 || snapshot_to_install_) return applying_;
  if (CONCLAVE_PLANTED(applies_uncommitted)) return log_.persisted();
  if (CONCLAVE_PLANTED(applies_unsynced)) return log_.committed();
  return options_.synchronous_storage ? log_.committed()
                                      : std::min(log_.committed(), log_.persisted());
}

bool Node::has_ready() const {
  return SoftState{leader_, role_} != soft_state_taken_ || hard_state() != hard_state_taken_ ||
         log_.last_index() > taken_ || snapshot_to_install_ || !messages_.empty() ||
         !messages_after_persist_.empty() || !read_states_.empty() || committable() > applying_;
}

Ready Node::take_ready() {
  check_invariants();
  Ready ready;
  ready.number = ++last_number_;
  if (const SoftState soft{leader_, role_}; soft != soft_state_taken_) {
    ready.soft_state = soft_state_taken_ = soft;
  }
  Unpersisted unpersisted{.number = ready.number};
  if (const HardState hard = hard_state(); hard != hard_state_taken_) {
    ready.must_sync =
        (hard.term != hard_state_taken_.term || hard.vote != hard_state_taken_.vote) &&
        !CONCLAVE_PLANTED(vote_needs_no_sync);
    ready.hard_state = hard_state_taken_ = hard;
  }
  unpersisted.vote_term = std::exchange(own_vote_wanted_, 0);
  if (snapshot_to_install_) {
    installing_ = unpersisted.snapshot_index = snapshot_to_install_->index;
    ready.snapshot = std::exchange(snapshot_to_install_, std::nullopt);
  }
  if (log_.last_index() > taken_) {
    ready.entries =
        log_.slice(taken_ + 1, log_.last_index(), std::numeric_limits<std::uint64_t>::max());
    taken_ = unpersisted.last_index = log_.last_index();
    ready.must_sync = true;
  }
  if (const Index to = committable(); to > applying_) {
    ready.committed = log_.slice(applying_ + 1, to, options_.max_bytes_per_apply);
    applying_ = ready.committed.back().index;
  }
  ready.messages = std::exchange(messages_, {});
  ready.messages_after_persist = std::exchange(messages_after_persist_, {});
  ready.read_states = std::exchange(read_states_, {});
  unpersisted_.push_back(unpersisted);
  return ready;
}

void Node::persisted(std::uint64_t number) {
  CONCLAVE_CHECK(number <= last_number_, "a Ready is on disk before it was taken");
  Term voted_in = 0;
  while (!unpersisted_.empty() && unpersisted_.front().number <= number) {
    const Unpersisted done = unpersisted_.front();
    unpersisted_.pop_front();
    if (done.snapshot_index != 0 && done.snapshot_index == installing_) {
      log_.applied_to(installing_);
      log_.persisted_to(installing_);
      applying_ = std::max(applying_, installing_);
      installing_ = 0;
    }
    if (done.last_index != 0) log_.persisted_to(done.last_index);
    voted_in = std::max(voted_in, done.vote_term);
  }
  if (role_ == Role::candidate && voted_in == hard_state_.term) record_vote(options_.id, true);
  if (role_ != Role::leader) return;
  Progress* own = progress_of(options_.id);
  if (own != nullptr && own->accepted(log_.persisted()) && try_commit()) broadcast_append();
}

// What is on its way to the disk for `from` and above is about to be overwritten there: it must
// never be taken for persisted, not even if entries of the same index and term come back.
void Node::truncate_log(Index from) {
  log_.truncate(from);
  taken_ = std::min(taken_, from - 1);
  if (CONCLAVE_PLANTED(overwritten_counts_as_synced)) return;
  for (Unpersisted& unpersisted : unpersisted_) {
    unpersisted.last_index = std::min(unpersisted.last_index, from - 1);
  }
}

void Node::applied(Index index) {
  CONCLAVE_CHECK(index <= applying_, "applied what was not handed out");
  if (index <= log_.applied()) return;
  log_.applied_to(index);
  if (applied_config_ != config_) applied_config_ = config_;
  leave_joint_if_due();
}

void Node::compact(Index index) {
  log_.compact(index);
}

void Node::check_invariants() const {
  CONCLAVE_CHECK(log_.applied() <= applying_ && applying_ <= log_.committed(),
                 "applied <= handed out <= committed");
  CONCLAVE_CHECK(log_.persisted() <= log_.last_index() && taken_ <= log_.last_index(),
                 "the disk is ahead of the log");
  CONCLAVE_CHECK(role_ != Role::leader || leader_ == options_.id, "a leader that follows another");
  for (const auto& [id, progress] : progress_) {
    CONCLAVE_CHECK(progress.match() < progress.next(), "a node's log is followed beyond its match");
  }
}

}  // namespace conclave::raft
