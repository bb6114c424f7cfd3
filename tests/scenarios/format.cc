#include "tests/scenarios/format.h"

#include <set>

namespace conclave::scenarios {
namespace {

using raft::Entry;
using raft::EntryKind;
using raft::MessageKind;

std::string name_of(MessageKind kind) {
  switch (kind) {
    case MessageKind::append:
      return "MsgApp";
    case MessageKind::append_response:
      return "MsgAppResp";
    case MessageKind::vote:
      return "MsgVote";
    case MessageKind::vote_response:
      return "MsgVoteResp";
    case MessageKind::pre_vote:
      return "MsgPreVote";
    case MessageKind::pre_vote_response:
      return "MsgPreVoteResp";
    case MessageKind::heartbeat:
      return "MsgHeartbeat";
    case MessageKind::heartbeat_response:
      return "MsgHeartbeatResp";
    case MessageKind::snapshot:
      return "MsgSnap";
    case MessageKind::timeout_now:
      return "MsgTimeoutNow";
    case MessageKind::read_index:
      return "MsgReadIndex";
    case MessageKind::read_index_response:
      return "MsgReadIndexResp";
  }
  return "?";
}

std::string list(const std::set<raft::NodeId>& nodes) {
  std::string out = "[";
  for (const raft::NodeId node : nodes) out += (out.size() > 1 ? " " : "") + std::to_string(node);
  return out + "]";
}

std::string position(raft::Term term, raft::Index index) {
  return std::to_string(term) + "/" + std::to_string(index);
}

std::string join(const std::vector<Entry>& entries) {
  std::string out;
  for (const Entry& entry : entries) out += format(entry) + '\n';
  return out;
}

}  // namespace

std::string format(const Entry& entry) {
  std::string out = position(entry.term, entry.index);
  if (entry.kind == EntryKind::normal) return out + " EntryNormal \"" + entry.payload + "\"";
  out += " EntryConfChange";
  const auto change = raft::decode_config_change(entry.payload);
  if (!change) return out + " (corrupt)";
  for (const raft::ConfigStep& step : change->steps) {
    switch (step.kind) {
      case raft::ConfigStepKind::add_voter:
        out += " v";
        break;
      case raft::ConfigStepKind::remove_node:
        out += " r";
        break;
      case raft::ConfigStepKind::update_node:
        out += " u";
        break;
      case raft::ConfigStepKind::add_learner:
        out += " l";
        break;
    }
    out += std::to_string(step.node);
  }
  return out;
}

std::string format(const raft::SnapshotMetadata& snapshot) {
  const raft::ConfigState& config = snapshot.config;
  return "Index:" + std::to_string(snapshot.index) + " Term:" + std::to_string(snapshot.term) +
         " ConfState:Voters:" + list(config.voters) +
         " VotersOutgoing:" + list(config.voters_outgoing) + " Learners:" + list(config.learners) +
         " LearnersNext:" + list(config.learners_next) +
         " AutoLeave:" + (config.auto_leave ? "true" : "false");
}

std::string format(const raft::Message& message) {
  if (message.kind == MessageKind::vote_response ||
      message.kind == MessageKind::pre_vote_response) {
    // The files know nothing of the commit index that a refusal brings along.
    raft::Message plain = message;
    plain.commit = plain.log_term = 0;
    if (plain != message) return format(plain);
  }
  std::string out = std::to_string(message.from) + "->" + std::to_string(message.to) + " " +
                    name_of(message.kind) + " Term:" + std::to_string(message.term) +
                    " Log:" + position(message.log_term, message.log_index);
  if (message.rejected) out += " Rejected (Hint: " + std::to_string(message.reject_hint) + ")";
  if (message.commit != 0) out += " Commit:" + std::to_string(message.commit);
  if (message.entries.size() == 1) out += " Entries:[" + format(message.entries.front()) + "]";
  if (message.entries.size() > 1) {
    out += " Entries:[\n";
    for (const Entry& entry : message.entries) out += "  " + format(entry) + "\n";
    out += "]";
  }
  if (message.snapshot) out += "\n  Snapshot: " + format(*message.snapshot);
  return out;
}

std::string format(const raft::Ready& ready, const std::vector<raft::Message>& messages) {
  std::string out = std::string("Ready MustSync=") + (ready.must_sync ? "true" : "false") + ":\n";
  if (ready.soft_state) {
    out += "Lead:" + std::to_string(ready.soft_state->leader) +
           " State:" + format(ready.soft_state->role) + "\n";
  }
  if (ready.hard_state) {
    out += "HardState Term:" + std::to_string(ready.hard_state->term);
    if (ready.hard_state->vote != 0) out += " Vote:" + std::to_string(ready.hard_state->vote);
    out += " Commit:" + std::to_string(ready.hard_state->commit) + "\n";
  }
  if (!ready.entries.empty()) out += "Entries:\n" + join(ready.entries);
  if (ready.snapshot) out += "Snapshot " + format(*ready.snapshot) + "\n";
  if (!ready.committed.empty()) out += "CommittedEntries:\n" + join(ready.committed);
  if (!messages.empty()) out += "Messages:\n";
  for (const raft::Message& message : messages) out += format(message) + "\n";
  out.pop_back();
  return out;
}

std::string format(raft::NodeId id, const raft::ProgressView& view, std::size_t window) {
  std::string out = std::to_string(id) + ": ";
  switch (view.state) {
    case raft::ProgressState::probe:
      out += "StateProbe";
      break;
    case raft::ProgressState::replicate:
      out += "StateReplicate";
      break;
    case raft::ProgressState::snapshot:
      out += "StateSnapshot";
      break;
  }
  out += " match=" + std::to_string(view.match) + " next=" + std::to_string(view.next);
  if (view.learner) out += " learner";
  if (view.paused) out += " paused";
  if (view.pending_snapshot != 0) out += " pendingSnap=" + std::to_string(view.pending_snapshot);
  if (!view.recently_active) out += " inactive";
  if (view.inflight != 0) {
    out += " inflight=" + std::to_string(view.inflight) + (view.inflight == window ? "[full]" : "");
  }
  return out;
}

std::string format(raft::Role role) {
  switch (role) {
    case raft::Role::follower:
      return "StateFollower";
    case raft::Role::pre_candidate:
      return "StatePreCandidate";
    case raft::Role::candidate:
      return "StateCandidate";
    case raft::Role::leader:
      return "StateLeader";
  }
  return "?";
}

}  // namespace conclave::scenarios
