// A member whose disk was damaged gets everything anew from the others.
//
// What it promised before is lost: votes, and entries that it acknowledged and that may be
// committed on no more than a bare majority with it. So it has no vote at first, and says so in its
// answers: leaders find their majorities without it (raft::Node::counts()). It asks the leader, as
// a read does, how far the group had committed after the question was asked; a leader that can
// answer has all that this member ever helped to commit. Once its own log has come that far it
// counts again.
#include <utility>

#include "conclave/replica/replica.h"

namespace conclave::replica {
namespace {

constexpr char kQuestion[] = "vote.";

}  // namespace

// The leader takes this member's log for what it was: it would wait for appends to fit, and tells
// of commits that are not here. False: the message is not to be heard.
bool Replica::notice_lost_log(const raft::Message& message, Instant now) {
  const bool is_heartbeat = message.kind == raft::MessageKind::heartbeat;
  if (!is_heartbeat && message.kind != raft::MessageKind::append) return true;
  const raft::Index presumed = is_heartbeat ? message.commit : message.log_index;
  const bool is_here = raft_.log().last_index() >= presumed;
  if (!raft_.voteless()) {
    // An append may begin too far ahead; a heartbeat's commit is never beyond what was
    // acknowledged.
    log_lost_ = log_lost_ || (is_heartbeat && !is_here);
    return !log_lost_;
  }
  if (is_here) return true;
  const Duration pause = options_.tick * options_.election_ticks;
  if (told_of_lost_log_ != Instant{} && now - told_of_lost_log_ < pause) return true;
  told_of_lost_log_ = now;
  output_.to_peers.push_back({message.from, LogLost{}});
  return true;
}

void Replica::ask_for_vote(Instant now) {
  if (!raft_.voteless() || vote_at_ || raft_.leader() == 0 ||
      !raft_.config().contains(options_.self.id)) {
    return;
  }
  if (asked_for_vote_ != Instant{} && now - asked_for_vote_ < options_.tick) return;
  asked_for_vote_ = now;
  ++vote_question_;
  static_cast<void>(raft_.read_index(kQuestion + std::to_string(options_.incarnation) + "." +
                                     std::to_string(vote_question_)));
}

bool Replica::take_repair_answer(const raft::ReadState& state) {
  if (!state.context.starts_with(kQuestion)) return false;
  const std::string mine = kQuestion + std::to_string(options_.incarnation) + ".";
  if (raft_.voteless() && state.context.starts_with(mine)) vote_at_ = state.index;
  return true;
}

void Replica::regain_vote_if_due() {
  if (!vote_at_ || !raft_.voteless() || raft_.leader() == 0) return;
  if (raft_.log().persisted() < *vote_at_ || state_.applied_index() < *vote_at_) return;
  raft_.regain_vote();
}

}  // namespace conclave::replica
