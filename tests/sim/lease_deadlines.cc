#include "tests/sim/lease_deadlines.h"

#include <algorithm>

namespace conclave::sim {

using namespace std::chrono_literals;

namespace {

constexpr Duration kLook = 20ms;
// For a leader to notice, at a tick, that a lease is due, and to have it ended.
constexpr Duration kPromised = 1s;
// What a disturbance kept from being sent goes at the leader's next tick.
constexpr Duration kSettling = SimNode::kTick;
// A leader writes its time into the log each half second, at a tick: what it led since is lost with
// it.
constexpr Duration kUnstamped = 500ms + SimNode::kTick;
// A renewal that nobody waits for any more may still be on its way from a member to the leader.
constexpr Duration kOnItsWay = 500ms;
// Clocks are up to a hundredth slow.
constexpr int kRateAllowance = 99;

// What it takes more, where the network is slow, until an entry has committed.
Duration commit_delay(const Plan& plan) {
  return plan.has(Fault::delay) ? 2 * plan.weather.delay_max : Duration(0);
}

}  // namespace

void ServedTime::look(Duration pause) {
  SimNode* leader = cluster_.leader();
  const bool served = leader != nullptr && is_served(*leader);
  const raft::LogPosition now_led =
      served ? raft::LogPosition{leader->replica()->raft().term(), leader->id()} : leader_;
  const bool goes_on = served && served_ && now_led == leader_;
  const Duration delay = commit_delay(cluster_.plan());
  if (served && !goes_on) settling_ = kSettling + delay;
  if (now_led != leader_) lost_ += kUnstamped + delay;
  served_ = served;
  leader_ = now_led;
  if (!goes_on) return;
  for (Duration* uncounted : {&settling_, &lost_}) {
    const Duration part = std::min(*uncounted, pause);
    *uncounted -= part;
    pause -= part;
  }
  total_ += pause;
}

// A majority has what was committed so far, and takes more.
bool ServedTime::is_served(const SimNode& leader) {
  // While it hands its post over it takes nothing into its log.
  const replica::Replica& replica = *leader.replica();
  if (!replica.is_ready() || replica.raft().transferring_to() != 0) return false;
  if (!hears(leader, leader)) return false;
  const Ledger& ledger = cluster_.ledger();
  const raft::Index last = ledger.last_index();
  return is_quorum(ledger.witness().membership().config(), [&](raft::NodeId id) {
    const SimNode* voter = cluster_.find(id);
    return voter != nullptr && hears(*voter, leader) &&
           voter->has_durable(last, ledger.term_of(last));
  });
}

// Whoever is stopped, paused, cut off, ending, to be repaired or stalled by its disk does not.
bool ServedTime::hears(const SimNode& voter, const SimNode& leader) {
  if (!voter.is_running() || voter.drains() || voter.is_damaged() || voter.writes_slowly()) {
    return false;
  }
  const raft::Node& raft = voter.replica()->raft();
  const SimNetwork& network = cluster_.network();
  return raft.leader() == leader.id() && raft.term() == leader.replica()->raft().term() &&
         network.is_open(voter.id(), leader.id()) && network.is_open(leader.id(), voter.id());
}

LeaseDeadlines::LeaseDeadlines(Cluster& cluster)
    : cluster_(cluster),
      served_(cluster),
      // One that comes due while others are being ended waits until that has committed.
      grace_(kPromised + commit_delay(cluster.plan())) {
  cluster.on_renewal_asked = [this](std::int64_t id) { return ask(id); };
  cluster.ledger().on_lease_touched = [this](std::int64_t id, bool by_renewal) {
    touch(id, by_renewal);
  };
  cluster.world().after(kLook, [this] { look(); });
}

std::shared_ptr<void> LeaseDeadlines::ask(std::int64_t id) {
  auto call = std::make_shared<bool>();
  asked_[id].calls.emplace_back(call);
  return call;
}

void LeaseDeadlines::touch(std::int64_t id, bool by_renewal) {
  Lease& lease = leases_[id];
  const auto found = cluster_.ledger().witness().lessor().time_to_live(id, false, 0);
  lease.ttl = std::chrono::seconds(found->granted_ttl_s);
  Duration until = served_.total();
  if (by_renewal) {
    const Asked& asked = asked_[id];
    if (asked.calls.empty()) until = std::min(until, asked.until + kOnItsWay);
  }
  lease.touched = std::max(lease.touched, until);
}

void LeaseDeadlines::look() {
  cluster_.world().after(kLook, [this] { look(); });
  served_.look(kLook);
  for (auto& [id, asked] : asked_) {
    if (asked.calls.empty()) continue;
    asked.until = served_.total();
    std::erase_if(asked.calls, [](const std::weak_ptr<void>& call) { return call.expired(); });
  }
  const lease::Lessor& lessor = cluster_.ledger().witness().lessor();
  std::erase_if(asked_, [&](const auto& asked) {
    return asked.second.calls.empty() && !lessor.exists(asked.first);
  });
  std::erase_if(leases_, [&](const auto& lease) { return !lessor.exists(lease.first); });
  for (const auto& [id, lease] : leases_) {
    const Duration longest = lease.ttl + lease.ttl / kRateAllowance + grace_;
    if (served_.total() - lease.touched <= longest) continue;
    cluster_.trace().violation("lease ", id, " has a TTL of ", lease.ttl / 1s,
                               " s and is there after ", (served_.total() - lease.touched) / 1ms,
                               " ms with a leader");
  }
}

}  // namespace conclave::sim
