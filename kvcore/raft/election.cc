// Elections: paper, section 5.2 and 5.4.1; PreVote and CheckQuorum: thesis, 9.6 and 6.2; the
// transfer's immediate campaign: thesis, 3.10.
#include <algorithm>
#include <utility>

#include "conclave/base/check.h"
#include "conclave/base/planted_bugs.h"
#include "conclave/raft/node.h"

namespace conclave::raft {

bool Node::in_lease() const {
  return options_.check_quorum && leader_ != 0 && election_elapsed_ < options_.election_ticks;
}

// Whether the message, of another term than ours, is to be handled on (after our term has followed
// it, if it should).
bool Node::step_other_term(const Message& message) {
  const bool vote_request =
      message.kind == MessageKind::vote || message.kind == MessageKind::pre_vote;
  if (message.term > hard_state_.term) {
    // Whoever has lost touch with a leader that we hear must not depose it.
    if (vote_request && !message.leadership_transfer && in_lease()) return false;
    if (message.kind == MessageKind::pre_vote) return true;
    // A granted pre-vote speaks of a term in which nobody is yet.
    if (message.kind == MessageKind::pre_vote_response && !message.rejected) return true;
    const bool from_leader = message.kind == MessageKind::append ||
                             message.kind == MessageKind::heartbeat ||
                             message.kind == MessageKind::snapshot;
    become_follower(message.term, from_leader ? message.from : 0);
    return true;
  }
  if (message.kind == MessageKind::pre_vote) {
    send({.kind = MessageKind::pre_vote_response,
          .to = message.from,
          .log_term = log_.term_at(log_.committed()).value_or(0),
          .commit = log_.committed(),
          .rejected = true});
  } else if ((options_.check_quorum || options_.pre_vote) &&
             (message.kind == MessageKind::append || message.kind == MessageKind::heartbeat)) {
    // A leader of an old term whose messages we ignore can also not be deposed by our vote
    // requests, which others ignore: our term, in any answer, makes it step down.
    send({.kind = MessageKind::append_response, .to = message.from});
  }
  return message.kind == MessageKind::vote_response && CONCLAVE_PLANTED(old_vote_counts);
}

// A removed leader may be the only one that knows that its removal is committed, refuse its vote
// for the longer log it has, and be no candidate itself. Then its refusal must bring the news, or
// nobody ever leads again. The same entry at the same place: so all before it is the same, too.
void Node::learn_commit(const Message& refusal) {
  if (log_.matches({.term = refusal.log_term, .index = refusal.commit})) {
    log_.commit_to(refusal.commit);
  }
}

bool Node::can_campaign() const {
  if (!votes() || installing_ != 0 || snapshot_to_install_) return false;
  // It might be our removal, or decide whose votes count.
  return !log_.has_config_change(std::max(log_.applied(), log_.compacted().index) + 1,
                                 log_.committed());
}

void Node::campaign() {
  if (role_ == Role::leader || !can_campaign()) return;
  start_campaign(options_.pre_vote ? Campaign::pre_election : Campaign::election);
}

void Node::start_campaign(Campaign kind) {
  if (kind == Campaign::pre_election) {
    // The term stays, and with it the vote.
    votes_received_.clear();
    role_ = Role::pre_candidate;
    leader_ = 0;
    send_vote_requests(kind);
    record_vote(options_.id, true);
    return;
  }
  reset(hard_state_.term + 1);
  role_ = Role::candidate;
  hard_state_.vote = options_.id;
  own_vote_wanted_ = hard_state_.term;
  send_vote_requests(kind);
}

void Node::send_vote_requests(Campaign kind) {
  const bool pre = kind == Campaign::pre_election;
  std::set<NodeId> voters = config_.voters;
  voters.insert(config_.voters_outgoing.begin(), config_.voters_outgoing.end());
  voters.erase(options_.id);
  for (const NodeId voter : voters) {
    send({.kind = pre ? MessageKind::pre_vote : MessageKind::vote,
          .to = voter,
          .term = hard_state_.term + (pre ? 1 : 0),
          .log_index = log_.last_index(),
          .log_term = log_.last_term(),
          .leadership_transfer = kind == Campaign::transfer});
  }
}

void Node::handle_vote_request(const Message& message) {
  const bool pre = message.kind == MessageKind::pre_vote;
  const bool free_to_vote = hard_state_.vote == message.from || CONCLAVE_PLANTED(votes_twice) ||
                            (hard_state_.vote == 0 && leader_ == 0) ||
                            (pre && message.term > hard_state_.term);
  const bool granted =
      free_to_vote && (log_.up_to_date({.term = message.log_term, .index = message.log_index}) ||
                       CONCLAVE_PLANTED(votes_for_older_log));
  Message response{.kind = pre ? MessageKind::pre_vote_response : MessageKind::vote_response,
                   .to = message.from,
                   .rejected = !granted};
  // A granted pre-vote names the term that it is for, a refusal the term we are in.
  if (granted) response.term = message.term;
  if (granted && !pre) {
    election_elapsed_ = 0;
    hard_state_.vote = message.from;
  }
  if (!granted) {
    response.commit = log_.committed();
    response.log_term = log_.term_at(log_.committed()).value_or(0);
  }
  send(std::move(response));
}

void Node::record_vote(NodeId from, bool granted) {
  votes_received_.emplace(from, granted);
  const VoteResult result = quorum_vote(config_, votes_received_);
  if (result == VoteResult::lost) {
    become_follower(hard_state_.term, 0);
  } else if (result == VoteResult::won && role_ == Role::pre_candidate) {
    start_campaign(Campaign::election);
  } else if (result == VoteResult::won &&
             (votes_received_.contains(options_.id) || CONCLAVE_PLANTED(leads_before_own_vote))) {
    // Not before the own vote is on disk, even if the others suffice: after a crash this node could
    // otherwise win the same term again and fill the same positions with other entries.
    become_leader();
    broadcast_append();
  }
}

void Node::become_leader() {
  CONCLAVE_CHECK(role_ == Role::candidate, "a leader that was no candidate");
  reset(hard_state_.term);
  role_ = Role::leader;
  leader_ = options_.id;
  if (Progress* own = progress_of(options_.id); own != nullptr) {
    own->accepted(log_.persisted());
    own->become_replicate();
    own->recently_active = true;
  }
  // A change of configuration may be among the entries of others; it must be applied before the
  // next.
  pending_config_index_ = log_.last_index();
  uncommitted_bytes_ = log_.payload_bytes(log_.committed() + 1, log_.last_index());
  // Entries of earlier terms commit only below one of the own (paper, 5.4.2): have one at once.
  std::vector<Entry> first(1);
  append_own(std::move(first));
}

}  // namespace conclave::raft
