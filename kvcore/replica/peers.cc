// Between members: the consensus's messages, and writes on their way to the leader's log.
#include <algorithm>
#include <charconv>
#include <limits>
#include <utility>

#include "conclave/base/planted_bugs.h"
#include "conclave/replica/replica.h"

namespace conclave::replica {
namespace {

using api::Refusal;

// After a leader's sure end the members take turns to ask for votes, so that two seldom begin
// together: the first after what it takes all to learn of the end, the others so much later each.
constexpr Duration kCampaignWait = std::chrono::milliseconds(4);
constexpr Duration kCampaignTurn = std::chrono::milliseconds(8);
// Who failed, or sees another ask, waits for up to this part of the election timeout, then for
// twice as long, and so on to half of it: where a vote takes its time to be on disk, two that ask
// again at once depose each other for ever.
constexpr int kCampaignPause = 20;
constexpr int kCampaignDoublings = 3;
// Where a vote takes longer than that, the next try comes before it: then raft's own timer has to
// do, which leaves an election its time.
constexpr int kCampaignTries = 8;

// What a member asks by itself is bounded by itself, and keeps leases and members alive.
bool is_of_a_caller(const Proposal& proposal) {
  switch (proposal.request_case()) {
    case Proposal::kPut:
    case Proposal::kDeleteRange:
    case Proposal::kTxn:
    case Proposal::kCompact:
    case Proposal::kLeaseGrant:
    case Proposal::kLeaseRevoke:
      return true;
    default:
      return false;
  }
}

std::string serialized(const Proposal& proposal) {
  std::string payload;
  proposal.SerializeToString(&payload);
  return payload;
}

// Entries that leave together for one follower travel in one message.
bool merge(raft::Message& first, raft::Message& next, std::uint64_t bytes_max) {
  if (first.kind != raft::MessageKind::append || next.kind != first.kind) return false;
  if (first.term != next.term || first.log_index + first.entries.size() != next.log_index) {
    return false;
  }
  std::uint64_t bytes = 0;
  for (const auto* message : {&first, &next}) {
    for (const raft::Entry& entry : message->entries) bytes += entry.payload.size();
  }
  if (!next.entries.empty() && bytes > bytes_max) return false;
  std::ranges::move(next.entries, std::back_inserter(first.entries));
  first.commit = next.commit;
  return true;
}

}  // namespace

bool Replica::is_grouped() const {
  const raft::ConfigState& config = raft_.config();
  return config.voters.size() + config.learners.size() > 1 || !config.contains(options_.self.id);
}

bool Replica::may_send() const {
  return raft_.leader() != 0 &&
         (raft_.role() != raft::Role::leader || raft_.transferring_to() == 0);
}

// Into the log, if this member leads; else to the leader, or to where it waits for one.
std::optional<Refusal> Replica::send_to_log(Write write, Instant now) {
  const std::uint64_t sequence = next_sequence_++;
  write.proposal.set_version(kProposalVersion);
  write.proposal.set_member(options_.self.id);
  write.proposal.set_incarnation(options_.incarnation);
  write.proposal.set_sequence(sequence);
  PendingCalls::Pending pending{write.id, write.response, write.deadline, raft_.term(), {}};
  std::optional<Refusal> refusal = Refusal::no_leader;
  std::string payload;
  if (raft_.role() == raft::Role::leader) {
    // It may lead since a moment ago, and its clock stand where it last applied an entry.
    notice_leader(now);
    clock_.advance(now);
    refusal = append(write, payload, now);
  } else if (may_send()) {
    payload = serialized(write.proposal);
    output_.to_peers.push_back(
        {raft_.leader(), Forward{raft_.term(), options_.incarnation, sequence, payload}});
    refusal = std::nullopt;
  } else {
    payload = serialized(write.proposal);
  }
  if (refusal && (*refusal != Refusal::no_leader || write.response == nullptr)) return refusal;
  if (write.response == nullptr) return std::nullopt;
  if (is_grouped()) pending.proposal = std::move(payload);
  if (refusal) {
    if (pending.proposal.empty()) return refusal;
    parked_.add(next_parked_++, std::move(pending));
  } else {
    pending_.add(sequence, std::move(pending));
  }
  return std::nullopt;
}

// `payload` is what the entry holds; the caller may propose it again if it is lost.
std::optional<Refusal> Replica::append(Write& write, std::string& payload, Instant now) {
  write.proposal.set_cluster_time_ms(clock_.now_ms());
  payload = serialized(write.proposal);
  if (write.proposal.has_member_change()) {
    return propose_member_change(write.proposal.member_change(), payload, now);
  }
  std::vector<std::string> payloads;
  // Only in a group can an entry be lost.
  payloads.push_back(is_grouped() ? payload : std::move(payload));
  if (const auto proposed = raft_.propose(std::move(payloads)); !proposed) {
    return proposed.error() == raft::Refusal::too_many_uncommitted ? Refusal::too_many_requests
                                                                   : Refusal::no_leader;
  }
  return std::nullopt;
}

void Replica::send_parked(Instant now) {
  if (!may_send()) return;
  for (PendingCalls::Pending& call : parked_.take_before(std::numeric_limits<raft::Term>::max())) {
    Write write{call.id, call.response, {}, call.deadline};
    const bool readable = parse_proposal(call.proposal, write.proposal);
    CONCLAVE_CHECK(readable, "a proposal of this member's own");
    if (const auto refusal = send_to_log(std::move(write), now)) answer(call.id, refusal);
  }
}

// What was forwarded on a link that broke, or was not there yet, is lost, and only a new leader's
// first entry would settle it. The leader of this term takes nothing twice.
void Replica::send_again(Instant now) {
  constexpr Duration kPatience = std::chrono::seconds(1);
  constexpr std::uint64_t kBytesAtOnce = 1 << 20;
  if (now < send_again_at_) return;
  send_again_at_ = now + std::max<Duration>(kPatience, options_.tick * options_.election_ticks);
  const std::uint64_t before = std::exchange(sent_before_, next_sequence_);
  if (raft_.role() == raft::Role::leader || !may_send()) return;
  std::uint64_t bytes = 0;
  pending_.visit_older(before, raft_.term(), [&](std::uint64_t sequence, const std::string& sent) {
    output_.to_peers.push_back(
        {raft_.leader(), Forward{raft_.term(), options_.incarnation, sequence, sent}});
    bytes += sent.size();
    return bytes < kBytesAtOnce;
  });
}

void Replica::receive(raft::NodeId from, std::uint64_t data_incarnation, PeerContent content,
                      Instant now) {
  if (!state_.membership().accepts(from, data_incarnation)) return;
  heard_[from] = now;
  if (auto* message = std::get_if<raft::Message>(&content)) {
    // A snapshot comes with its bytes, another way.
    if (message->from != from || message->kind == raft::MessageKind::snapshot) return;
    note_leader_time(*message);
    give_way(*message, now);
    if (notice_lost_log(*message, now)) raft_.step(std::move(*message));
  } else if (auto* forward = std::get_if<Forward>(&content)) {
    handle_forward(from, std::move(*forward), now);
  } else if (const auto* refused = std::get_if<ForwardRefused>(&content)) {
    handle_forward_refused(*refused);
  } else {
    raft_.forget_match(from);
  }
}

// A leader's heartbeats carry its cluster time, so that who follows it at its post need not go back
// to the log's last stamp.
void Replica::note_leader_time(const raft::Message& message) {
  if (message.kind != raft::MessageKind::heartbeat || message.context.empty()) return;
  const char* const end = message.context.data() + message.context.size();
  std::int64_t time_ms = 0;
  if (std::from_chars(message.context.data(), end, time_ms).ptr != end) return;
  leader_time_ = std::max(leader_time_, {message.term, time_ms});
}

// Where the log's last entry is of the leader whose time was heard, nobody has led since who could
// have renewed a lease by less.
std::int64_t Replica::time_before_leading() const {
  const raft::Log& log = raft_.log();
  std::int64_t time_ms = state_.cluster_time_ms();
  raft::Index index = log.last_index();
  while (index > log.compacted().index && log.term_at(index) == raft_.term()) --index;
  const bool led_last = log.term_at(index) == leader_time_.term;
  if ((led_last && !CONCLAVE_PLANTED(lease_time_lost)) || CONCLAVE_PLANTED(deposed_time_counts)) {
    time_ms = std::max(time_ms, leader_time_.time_ms);
  }
  // Stamps grow along the log, so the last one is the highest.
  for (; index > state_.applied_index(); --index) {
    Proposal proposal;
    if (log.at(index).kind != raft::EntryKind::normal || log.at(index).payload.empty()) continue;
    if (!parse_proposal(log.at(index).payload, proposal)) continue;
    return std::max(time_ms, proposal.cluster_time_ms());
  }
  return time_ms;
}

void Replica::handle_forward(raft::NodeId from, Forward forward, Instant now) {
  const auto refuse = [&](Refusal refusal) {
    output_.to_peers.push_back(
        {from, ForwardRefused{forward.incarnation, forward.sequence, refusal}});
  };
  // A copy of one that was appended must not be refused: whoever is told so sends it again, under
  // another number. So only of the last term that this member led in does it know enough to refuse;
  // what is refused counts as seen, too. Without an answer, the next leader's first entry settles
  // it.
  if (forward.term != led_term_ ||
      (!forwarded_once_.first(from, forward.incarnation, forward.sequence) &&
       !CONCLAVE_PLANTED(forward_appended_twice))) {
    return;
  }
  if (raft_.role() != raft::Role::leader || forward.term != raft_.term()) {
    return refuse(Refusal::no_leader);
  }
  Write write;
  if (!parse_proposal(forward.proposal, write.proposal) ||
      write.proposal.version() != kProposalVersion || write.proposal.member() != from ||
      write.proposal.request_case() == Proposal::REQUEST_NOT_SET) {
    return refuse(Refusal::corrupt);
  }
  if (const auto refusal = state_.alarms().refusal_of(write.proposal)) return refuse(*refusal);
  if (is_of_a_caller(write.proposal)) {
    if (const auto refusal = refuse_for_growth()) return refuse(*refusal);
  }
  clock_.advance(now);
  std::string payload;
  if (const auto refusal = append(write, payload, now)) refuse(*refusal);
}

void Replica::handle_forward_refused(const ForwardRefused& refused) {
  if (refused.incarnation != options_.incarnation) return;
  if (refused.sequence == alarm_sequence_) alarm_sequence_ = 0;
  if (keeper_.is_renewing(refused.sequence)) keeper_.restart();
  std::optional<PendingCalls::Pending> call = pending_.take(refused.sequence);
  if (!call) return;
  if (refused.refusal == Refusal::no_leader && !call->proposal.empty()) {
    parked_.add(next_parked_++, *std::move(call));
  } else {
    answer(call->id, refused.refusal);
  }
}

// An entry of this term is applied: what leaders of earlier terms were given and has not been seen
// by now is in no log that can still win (terms only grow along a log), and nobody of a later term
// takes it. So it is surely lost, and may be proposed again.
void Replica::lose_before(raft::Term term) {
  for (PendingCalls::Pending& call : pending_.take_before(term)) {
    if (call.proposal.empty()) {
      answer(call.id, Refusal::no_space);  // waited for the alarm to be raised
    } else {
      parked_.add(next_parked_++, std::move(call));
    }
  }
}

void Replica::send_messages(std::vector<raft::Message> messages) {
  std::map<raft::NodeId, raft::Message*> last_append;
  output_.to_peers.reserve(output_.to_peers.size() + messages.size());
  std::vector<raft::Message*> kept;
  for (raft::Message& message : messages) {
    if (message.kind == raft::MessageKind::snapshot) {
      begin_snapshot(message.to, message.term);
      continue;
    }
    if (message.kind == raft::MessageKind::append) {
      raft::Message*& last = last_append[message.to];
      if (last != nullptr && merge(*last, message, raft::Options().max_bytes_per_append)) continue;
      last = &message;
    }
    if (message.kind == raft::MessageKind::heartbeat && state_.lessor().size() > 0) {
      message.context = std::to_string(clock_.now_ms());
    }
    kept.push_back(&message);
  }
  for (raft::Message* message : kept) {
    const raft::NodeId to = message->to;
    output_.to_peers.push_back({to, std::move(*message)});
  }
}

// Promises: not before what was to be synced up to them is.
void Replica::send_persisted_messages() {
  while (!held_messages_.empty() &&
         (unsynced_.empty() || unsynced_.front() > held_messages_.front().ready_number)) {
    send_messages(std::move(held_messages_.front().messages));
    held_messages_.pop_front();
  }
}

void Replica::peer_unreachable(raft::NodeId peer) {
  raft_.report_unreachable(peer);
}

void Replica::peer_gone(raft::NodeId peer, Instant now) {
  raft_.report_unreachable(peer);
  if (raft_.leader() != peer || raft_.role() == raft::Role::leader) return;
  raft_.forget_leader();
  campaigns_ = 0;
  campaign_at_ = now + kCampaignWait;
  for (const raft::NodeId voter : raft_.config().voters) {
    if (voter < options_.self.id && voter != peer) *campaign_at_ += kCampaignTurn;
  }
}

// One of those who know that the leader is gone asks to be the next one; the others have forgotten
// it by then. Where that fails, the next try comes soon, and at last the election timeout. It ends
// with a leader that can commit, since one may depose the other that has only just won.
void Replica::replace_leader(Instant now) {
  if (!campaign_at_) return;
  if (is_ready() || campaigns_ >= kCampaignTries) {
    campaign_at_.reset();
  } else if (raft_.leader() == 0 && *campaign_at_ <= now) {
    raft_.campaign();
    campaign_at_ = now + campaign_wait();
  }
}

// To another that asks for votes and can win.
void Replica::give_way(const raft::Message& message, Instant now) {
  if (!campaign_at_) return;
  if (message.kind != raft::MessageKind::vote && message.kind != raft::MessageKind::pre_vote)
    return;
  if (!raft_.log().up_to_date({message.log_term, message.log_index})) return;
  campaign_at_ = std::max(*campaign_at_, now + campaign_wait());
}

Duration Replica::campaign_wait() {
  const Duration longest = options_.tick * options_.election_ticks / kCampaignPause *
                           (1 << std::min(campaigns_, kCampaignDoublings));
  ++campaigns_;
  const auto half = static_cast<std::uint64_t>(longest.count() / 2);
  return longest / 2 + Duration(static_cast<std::int64_t>(random_.below(half + 1)));
}

void Replica::notice_leader(Instant now) {
  const raft::LogPosition leader{raft_.term(), raft_.leader()};
  if (leader == last_leader_) return;
  last_leader_ = leader;
  if (CONCLAVE_PLANTED(resent_at_election)) lose_before(raft_.term());
  // Whoever was asked has forgotten it, or may have.
  waiting_reads_.insert(waiting_reads_.begin(), reads_in_round_.begin(), reads_in_round_.end());
  reads_in_round_.clear();
  const bool keeps_expiry = CONCLAVE_PLANTED(lost_expiry_awaited) && !keeper_.may_expire();
  keeper_.restart();
  if (keeps_expiry) keeper_.begin_expiry(~std::uint64_t{0});
  alarm_sequence_ = 0;
  publish_again_ = now;
  const bool leads = raft_.role() == raft::Role::leader;
  if (leads == was_leader_) return;
  was_leader_ = leads;
  compactor_.restart();
  if (!leads) return clock_.stop_leading();
  forwarded_once_.clear();
  led_term_ = raft_.term();
  stamped_ms_ = 0;
  clock_.start_leading(time_before_leading(), now);
  if (!CONCLAVE_PLANTED(election_renews_leases)) return;
  Proposal renewal;
  const std::vector<std::int64_t> all = state_.lessor().ids_by_expiry();
  renewal.mutable_lease_renew()->mutable_ids()->Add(all.begin(), all.end());
  propose_own(std::move(renewal), now);
}

// What the others cannot know of this member; again until it is in the membership.
void Replica::publish_self(Instant now) {
  if (!may_send() || draining_ || now < publish_again_) return;
  const Member* known = state_.membership().find(options_.self.id);
  if (known == nullptr) return;
  const Member& self = options_.self;
  if (known->name == self.name && known->client_urls == self.client_urls &&
      known->data_incarnation == self.data_incarnation) {
    return;
  }
  if (!state_.membership().accepts(self.id, self.data_incarnation)) return;
  Proposal proposal;
  MemberPublish& publish = *proposal.mutable_member_publish();
  publish.set_id(self.id);
  publish.set_name(self.name);
  for (const std::string& url : self.client_urls) publish.add_client_urls(url);
  publish.set_data_incarnation(self.data_incarnation);
  propose_own(std::move(proposal), now);
  publish_again_ = now + 2 * options_.tick * options_.election_ticks;
}

void Replica::drain() {
  draining_ = true;
}

// A leader makes the member that is furthest its successor, so that nobody has to wait for an
// election. To be tried again until it succeeds.
void Replica::hand_over() {
  if (raft_.role() != raft::Role::leader || raft_.transferring_to() != 0) return;
  if (const raft::NodeId successor = best_successor(); successor != 0) {
    static_cast<void>(raft_.transfer_leadership(successor));
  }
}

// The others commit without this member's disk, but it answers and applies nothing; its heartbeats
// would keep the cluster standing for as long as the disk hangs.
void Replica::hand_over_if_disk_hangs(Instant now) {
  const std::uint64_t first = unsynced_.empty() ? 0 : unsynced_.front();
  if (first == 0 || first != hanging_) {
    hanging_ = first;
    hangs_since_ = now;
    return;
  }
  // A disk that is merely slow is slow for the next leader, too.
  if (now - hangs_since_ >= 3 * options_.election_ticks * options_.tick) hand_over();
}

raft::NodeId Replica::best_successor() const {
  raft::NodeId best = 0;
  raft::Index best_match = 0;
  for (const auto& [id, progress] : raft_.progress()) {
    if (id == options_.self.id || !raft_.config().is_voter(id) || !progress.recently_active) {
      continue;
    }
    if (best != 0 && progress.match <= best_match) continue;
    best = id;
    best_match = progress.match;
  }
  return best;
}

}  // namespace conclave::replica
