// The side of those who do not lead: append, heartbeat and snapshot messages.
#include <algorithm>
#include <utility>

#include "conclave/base/check.h"
#include "conclave/base/planted_bugs.h"
#include "conclave/raft/node.h"

namespace conclave::raft {
namespace {

// What no correct leader sends, so that a garbled message cannot become a broken log.
bool well_formed(const Message& message) {
  Index index = message.log_index;
  Term term = message.log_term;
  for (const Entry& entry : message.entries) {
    if (entry.index != ++index || entry.term < term || entry.term > message.term) return false;
    term = entry.term;
  }
  return true;
}

}  // namespace

void Node::step_follower(Message message) {
  switch (message.kind) {
    case MessageKind::append:
    case MessageKind::heartbeat:
    case MessageKind::snapshot:
      // The term has a leader: a candidate of it gives up.
      if (role_ != Role::follower) become_follower(hard_state_.term, message.from);
      election_elapsed_ = 0;
      leader_ = message.from;
      if (message.kind == MessageKind::append) {
        handle_append(std::move(message));
      } else if (message.kind == MessageKind::heartbeat) {
        handle_heartbeat(message);
      } else if (message.snapshot) {
        handle_snapshot(message);
      }
      return;
    case MessageKind::vote_response:
      if (message.rejected) learn_commit(message);
      if (role_ == Role::candidate) record_vote(message.from, !message.rejected);
      return;
    case MessageKind::pre_vote_response:
      if (message.rejected) learn_commit(message);
      if (role_ != Role::pre_candidate) return;
      if (message.rejected || message.term == hard_state_.term + 1) {
        record_vote(message.from, !message.rejected);
      }
      return;
    case MessageKind::timeout_now:
      if (role_ == Role::follower && can_campaign()) start_campaign(Campaign::transfer);
      return;
    case MessageKind::read_index_response:
      read_states_.push_back({std::move(message.context), message.log_index});
      return;
    default:
      return;
  }
}

void Node::handle_append(Message message) {
  if (!well_formed(message)) return;
  Message response{.kind = MessageKind::append_response, .to = message.from, .voteless = voteless_};
  if (message.log_index < log_.committed()) {
    response.log_index = log_.committed();
    send(std::move(response));
    return;
  }
  if (log_.matches({.term = message.log_term, .index = message.log_index})) {
    const Index last_new = message.log_index + message.entries.size();
    append_from_leader(std::move(message.entries));
    log_.commit_to(std::min(message.commit, last_new));
    response.log_index = CONCLAVE_PLANTED(acknowledges_whole_log) ? log_.last_index() : last_new;
  } else {
    // Skip at once over everything that cannot match: all of ours with a term above the leader's
    // at that place (paper, end of 5.3, by terms).
    const LogPosition hint =
        log_.last_not_above(std::min(message.log_index, log_.last_index()), message.log_term);
    response.log_index = message.log_index;
    response.rejected = true;
    response.reject_hint = hint.index;
    response.log_term = hint.term;
  }
  send(std::move(response));
}

void Node::append_from_leader(std::vector<Entry> entries) {
  for (Entry& entry : entries) {
    // An old message must not cut off what came after it: only a conflict does.
    if (log_.matches({.term = entry.term, .index = entry.index}) &&
        !CONCLAVE_PLANTED(old_append_truncates)) {
      continue;
    }
    if (entry.index <= log_.last_index()) truncate_log(entry.index);
    log_.append(std::move(entry));
  }
}

void Node::handle_heartbeat(const Message& message) {
  // The leader may still go by what a node acknowledged before it lost it.
  if (!voteless_) log_.commit_to(message.commit);
  send({.kind = MessageKind::heartbeat_response,
        .to = message.from,
        .voteless = voteless_,
        .round = message.round});
}

void Node::handle_snapshot(const Message& message) {
  Message response{.kind = MessageKind::append_response, .to = message.from, .voteless = voteless_};
  response.log_index = restore(*message.snapshot) ? log_.last_index() : log_.committed();
  send(std::move(response));
}

// Whether the snapshot replaces the log. It does not if we have all of it already.
bool Node::restore(const SnapshotMetadata& snapshot) {
  if (snapshot.index <= log_.committed() && !CONCLAVE_PLANTED(older_snapshot_installed)) {
    return false;
  }
  if (!snapshot.config.contains(options_.id)) return false;
  if (log_.matches({.term = snapshot.term, .index = snapshot.index})) {
    log_.commit_to(snapshot.index);
    return false;
  }
  log_.restore({.term = snapshot.term, .index = snapshot.index});
  for (Unpersisted& unpersisted : unpersisted_) unpersisted.last_index = 0;
  taken_ = snapshot.index;
  snapshot_to_install_ = snapshot;
  config_ = snapshot.config;
  config_index_ = snapshot.index;
  applied_config_ = config_;
  rebuild_progress();
  return true;
}

}  // namespace conclave::raft
