// Configuration changes: paper, section 6; learners: thesis, 4.2.1.
#include <algorithm>
#include <utility>

#include "conclave/base/check.h"
#include "conclave/base/planted_bugs.h"
#include "conclave/raft/node.h"

namespace conclave::raft {

Progress Node::new_progress(Index next) const {
  return Progress(next, InflightWindow(static_cast<std::size_t>(options_.max_inflight_messages),
                                       options_.max_inflight_bytes));
}

Progress* Node::progress_of(NodeId id) {
  const auto found = progress_.find(id);
  return found == progress_.end() ? nullptr : &found->second;
}

void Node::rebuild_progress() {
  std::set<NodeId> members = config_.voters;
  members.insert(config_.voters_outgoing.begin(), config_.voters_outgoing.end());
  members.insert(config_.learners.begin(), config_.learners.end());
  std::erase_if(progress_, [&](const auto& item) { return !members.contains(item.first); });
  for (const NodeId member : members) {
    if (progress_.contains(member)) continue;
    const auto added =
        progress_.emplace(member, new_progress(std::max<Index>(log_.last_index(), 1))).first;
    // Else the next quorum check might depose the leader that has just added it.
    added->second.recently_active = true;
  }
}

Result<LogPosition, Refusal> Node::propose_config_change(const ConfigChange& change) {
  if (role_ != Role::leader) return Refusal::not_leader;
  if (!progress_.contains(options_.id)) return Refusal::not_a_member;
  if (transferee_ != 0) return Refusal::transferring;
  if (pending_config_index_ > log_.applied() && !CONCLAVE_PLANTED(changes_overlap)) {
    return Refusal::change_in_progress;
  }
  if (!apply_change(config_, change)) return Refusal::impossible_change;
  std::vector<Entry> entries(1);
  entries[0].kind = EntryKind::config_change;
  entries[0].payload = encode(change);
  const LogPosition position = append_own(std::move(entries));
  pending_config_index_ = position.index;
  broadcast_append();
  return position;
}

std::optional<ConfigState> Node::apply_config_change(Index index, const ConfigChange& change) {
  CONCLAVE_CHECK(index <= applying_ || index <= config_index_, "applied what was not handed out");
  if (index <= config_index_) return std::nullopt;
  config_index_ = index;
  Result<ConfigState> changed = apply_change(config_, change);
  if (changed) switch_config(*std::move(changed));
  return config_;
}

void Node::switch_config(ConfigState config) {
  config_ = std::move(config);
  rebuild_progress();
  if (role_ != Role::leader) return;
  if (!votes() && options_.step_down_on_removal) {
    become_follower(hard_state_.term, 0);
    return;
  }
  // The new quorum may be smaller; and the new nodes need not wait for a heartbeat.
  if (try_commit()) {
    broadcast_append();
  } else {
    for (const auto& [id, progress] : progress_) send_append(id, /*even_if_empty=*/false);
  }
  if (transferee_ != 0 && !config_.is_voter(transferee_)) transferee_ = 0;
}

void Node::leave_joint_if_due() {
  if (role_ != Role::leader || !config_.joint() || !config_.auto_leave) return;
  if (pending_config_index_ > log_.applied()) return;
  std::vector<Entry> entries(1);
  entries[0].kind = EntryKind::config_change;
  entries[0].payload = encode(ConfigChange{});
  pending_config_index_ = append_own(std::move(entries)).index;
  broadcast_append();
}

// It may have voted in this term before it lost its memory; since the term has a leader, a vote for
// that one is the only one that can be repeated without harm.
void Node::regain_vote() {
  CONCLAVE_CHECK(voteless_ && leader_ != 0, "the vote comes back from a leader");
  voteless_ = false;
  if (hard_state_.vote == 0) hard_state_.vote = leader_;
}

void Node::forget_match(NodeId peer) {
  Progress* progress = progress_of(peer);
  if (role_ != Role::leader || progress == nullptr || peer == options_.id) return;
  *progress = new_progress(log_.last_index() + 1);
  progress->recently_active = true;
  send_append(peer);
}

}  // namespace conclave::raft
