#include "tests/sim/run.h"

#include <algorithm>
#include <memory>

#include "tests/sim/batch_client.h"
#include "tests/sim/cluster.h"
#include "tests/sim/drains.h"
#include "tests/sim/election_clients.h"
#include "tests/sim/faults.h"
#include "tests/sim/kv_clients.h"
#include "tests/sim/lease_clients.h"
#include "tests/sim/lock_clients.h"
#include "tests/sim/operator.h"
#include "tests/sim/space_keeper.h"
#include "tests/sim/watch_clients.h"

namespace conclave::sim {

using namespace std::chrono_literals;

namespace {

constexpr Duration kProgress = 10 * SimNode::kTick * SimNode::kElectionTicks;
constexpr Duration kQuietEnd = 8s;  // longer than any lease lives
// With the revisions that answers carry, a search is straight; this is for those that are not.
constexpr test::SearchLimits kSearch{.max_configurations = 20'000};

class Run {
 public:
  Run(std::uint64_t seed, const RunOptions& options)
      : options_(options),
        world_(seed),
        trace_(world_, options.trace),
        plan_(draw_plan(world_, options.nodes)),
        cluster_(world_, trace_, plan_),
        network_(cluster_),
        leases_(cluster_),
        operator_(cluster_, network_),
        space_keeper_(cluster_, network_),
        drains_(cluster_, operator_),
        lease_client_(cluster_, network_, leases_, 1),
        turns_(cluster_),
        locks_(cluster_, turns_),
        election_(cluster_, turns_),
        batch_client_(cluster_, network_),
        faults_(cluster_, network_, leases_, lease_client_, operator_, drains_) {
    trace_.note("seed ", seed, ", ", plan_.nodes, " nodes");
    for (const Fault fault : plan_.faults) trace_.note("plan: ", name_of(fault));
  }

  // Members hold what callers wait for, and must let go of it while those are here.
  ~Run() {
    for (SimNode* node : cluster_.nodes()) node->kill();
  }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  RunResult run() {
    start();
    const Duration calm = kProgress + kQuietEnd;
    advance(std::max<Duration>(options_.length - calm, options_.length / 4));
    const Instant healed = world_.now();
    cluster_.heal();
    locks_.heal();
    election_.heal();
    advance(kProgress);
    check_progress(healed);
    stop();
    advance(kQuietEnd);
    check_end();
    return result();
  }

 private:
  void start() {
    cluster_.start();
    const int count = 3 + static_cast<int>(world_.random().below(4));
    for (int i = 0; i < count; ++i) {
      kv_clients_.push_back(std::make_unique<KvClient>(cluster_, network_, knowledge_, i + 1));
      kv_clients_.back()->start();
    }
    lease_client_.start();
    for (int i = 0; i < 2; ++i) {
      more_leases_.push_back(std::make_unique<LeaseClient>(cluster_, network_, leases_, i + 2));
      more_leases_.back()->start();
    }
    for (const char* prefix : {"kv/", "kv/3", "lease/", BatchClient::kPrefix}) {
      watches_.push_back(std::make_unique<WatchClient>(cluster_, prefix));
      watches_.back()->start();
    }
    turns_.start();
    locks_.start();
    election_.start();
    batch_client_.start();
    faults_.start();
    operator_.start();
    space_keeper_.start();
  }

  void stop() {
    for (const auto& client : kv_clients_) client->stop();
    for (const auto& client : more_leases_) client->stop();
    lease_client_.stop();
    locks_.stop();
    election_.stop();
    batch_client_.stop();
    for (const auto& watch : watches_) watch->stop();
  }

  void advance(Duration length) {
    const Instant end = world_.now() + length;
    // The first violation is the one to read.
    while (trace_.violations().empty() && world_.step(end)) {
    }
  }

  void check_progress(Instant healed) {
    if (!trace_.violations().empty()) return;
    if (knowledge_.last_write < healed) {
      trace_.violation("no write got through within ten election timeouts after the faults' end");
    }
    election_.check_progress(healed);
  }

  void check_end() {
    if (!trace_.violations().empty()) return;
    const Ledger& ledger = cluster_.ledger();
    for (const std::string& value : knowledge_.refused) {
      if (ledger.revision_of_value(value) != 0) {
        trace_.violation("the write of ", value, " was refused, and carried out");
      }
    }
    for (const auto& watch : watches_) watch->check_complete();
    batch_client_.check_kept();
    if (const std::size_t left = ledger.witness().lessor().size(); left != 0) {
      trace_.violation(left, " leases that nobody renews have not expired");
    }
    if (!turns_.queues_are_empty()) trace_.violation("a contender was left behind");
    election_.check_complete();
    for (SimNode* node : cluster_.nodes()) check_member(*node);
    check_linearizability();
  }

  void check_linearizability() {
    const test::Verdict verdict = test::check_etcd_history(knowledge_.history, kSearch);
    if (verdict.answer == test::Verdict::Answer::not_linearizable) {
      trace_.violation("not linearizable: ", verdict.text());
    }
    undecided_ = verdict.answer == test::Verdict::Answer::undecided;
  }

  void check_member(const SimNode& node) {
    const replica::StateMachine& witness = cluster_.ledger().witness();
    if (node.wiped() || witness.membership().find(node.id()) == nullptr) return;
    if (!node.is_running()) return trace_.violation("node ", node.id(), " does not run again");
    const replica::StateMachine& state = node.replica()->state();
    if (state.applied_index() != witness.applied_index()) {
      return trace_.violation("node ", node.id(), " has applied ", state.applied_index(), " of ",
                              witness.applied_index(), " entries");
    }
    const auto hash = state.store().hash_kv(0);
    const auto expected = witness.store().hash_kv(0);
    if (digest_of(state) != digest_of(witness) || !hash || hash->hash() != expected->hash()) {
      trace_.violation("node ", node.id(), " differs from the witness at the end");
    }
  }

  RunResult result() {
    RunResult result;
    result.digest = trace_.digest();
    result.violations = trace_.violations();
    Counts& counts = result.counts;
    counts.entries = cluster_.ledger().last_index();
    counts.answered = knowledge_.answered;
    counts.unanswered = knowledge_.unknown;
    for (const auto& watch : watches_) counts.watch_events += watch->event_count();
    counts.leases = leases_.count();
    counts.leases_expired = leases_.expired_count();
    for (SimNode* node : cluster_.nodes()) counts.starts += (node->lives() + 1) / 2;
    counts.turns = turns_.granted_count();
    counts.guarded_writes = turns_.write_count();
    counts.leader_changes = election_.change_count();
    counts.observed = election_.heard_count();
    counts.drains = drains_.count();
    counts.calm_drains = drains_.calm_count();
    counts.undecided = undecided_ ? 1 : 0;
    counts.terms = cluster_.ledger().witness().applied_term();
    return result;
  }

  const RunOptions options_;
  World world_;
  Trace trace_;
  const Plan plan_;
  Cluster cluster_;
  ClientNetwork network_;
  Leases leases_;
  Operator operator_;
  SpaceKeeper space_keeper_;
  Drains drains_;
  LeaseClient lease_client_;
  TurnChecker turns_;
  LockClients locks_;
  ElectionClients election_;
  BatchClient batch_client_;
  Faults faults_;
  Knowledge knowledge_;
  std::vector<std::unique_ptr<KvClient>> kv_clients_;
  std::vector<std::unique_ptr<LeaseClient>> more_leases_;
  std::vector<std::unique_ptr<WatchClient>> watches_;
  bool undecided_ = false;
};

}  // namespace

Counts& Counts::operator+=(const Counts& other) {
  entries += other.entries;
  answered += other.answered;
  unanswered += other.unanswered;
  watch_events += other.watch_events;
  leases += other.leases;
  leases_expired += other.leases_expired;
  starts += other.starts;
  turns += other.turns;
  guarded_writes += other.guarded_writes;
  leader_changes += other.leader_changes;
  observed += other.observed;
  drains += other.drains;
  calm_drains += other.calm_drains;
  undecided += other.undecided;
  terms += other.terms;
  return *this;
}

RunResult run_seed(std::uint64_t seed, const RunOptions& options) {
  return Run(seed, options).run();
}

}  // namespace conclave::sim
