#include "tests/sim/election_clients.h"

#include <algorithm>
#include <stop_token>
#include <utility>

#include "conclave/session/turn_key.h"

namespace conclave::sim {

using namespace std::chrono_literals;

namespace {

bool same(const LeaderChange& a, const LeaderChange& b) {
  return a.revision == b.revision && a.leader == b.leader;
}

std::string text_of(const LeaderChange& change) {
  const std::string who = change.leader ? change.leader->value : "nobody";
  return who + " at revision " + std::to_string(change.revision);
}

}  // namespace

void ElectionHistory::start() {
  changes_.push_back({std::nullopt, 1, false});
  cluster_.ledger().on_change.emplace_back([this] { changed(); });
}

std::size_t ElectionHistory::count_up_to(std::int64_t revision) const {
  const auto after =
      std::ranges::upper_bound(changes_, revision, std::ranges::less{}, &LeaderChange::revision);
  return static_cast<std::size_t>(after - changes_.begin());
}

void ElectionHistory::changed() {
  const std::string prefix = session::queue_prefix(TurnChecker::election());
  const auto& events = cluster_.ledger().events();
  for (auto at = events.upper_bound(seen_); at != events.end(); ++at) {
    seen_ = at->first;
    for (const mvccpb::Event& event : at->second->events) {
      const mvccpb::KeyValue& kv = event.kv();
      if (!session::is_contender(prefix, kv.key())) continue;
      if (event.type() == mvccpb::Event::PUT) {
        candidates_[kv.create_revision()] = {
            kv.key(), kv.value(), {kv.create_revision()}, kv.lease(), kv.mod_revision()};
      } else {
        std::erase_if(candidates_, [&](const auto& item) { return item.second.key == kv.key(); });
      }
    }
    std::optional<Leader> leader;
    if (!candidates_.empty()) leader = candidates_.begin()->second;
    if (leader != changes_.back().leader) changes_.push_back({leader, seen_, false});
  }
}

void Candidate::act_again() {
  turn_.reset();
  act_later(0ms, 1000ms);
}

void Candidate::act() {
  if (has_session()) {
    campaign();
  } else {
    act_again();
  }
}

std::string Candidate::new_value() {
  return "c" + std::to_string(number_) + "." + std::to_string(++values_);
}

void Candidate::campaign() {
  World& world = cluster_.world();
  session::TurnConfig config;
  config.name = TurnChecker::election();
  config.kind = "elect";
  config.value = new_value();
  config.only_if_free = world.chance(1, 6);
  if (world.chance(1, 4)) config.deadline = executor_.now() + world.between(10ms, 5s);
  turn_ = std::make_shared<session::TurnCore>(session_, std::move(config));
  turn_->start(
      [this](const Result<void>& result) {
        if (!result) return act_again();
        cluster_.trace().note("candidate ", number_, " leads at fence ", turn_->fence().revision);
        checker_.granted(TurnChecker::election(), turn_);
        lead(static_cast<int>(cluster_.world().random().below(5)));
      },
      nullptr);
}

void Candidate::lead(int acts_left) {
  if (turn_->valid()) last_led_ = cluster_.world().now();
  const Duration term = cluster_.world().between(0ms, cluster_.world().chance(1, 20) ? 3s : 300ms);
  executor_.run_at(executor_.now() + term, [this, acts_left] {
    const bool asks = cluster_.world().chance(1, 2);
    if (acts_left == 0 || (asks && !turn_->valid())) return resign();
    if (cluster_.world().chance(1, 2)) return proclaim(acts_left - 1);
    write(acts_left - 1);
  });
}

void Candidate::proclaim(int acts_left) {
  GuardedTxn txn(*store_, turn_->guard());
  txn.then(Put{.key = turn_->key(), .value = new_value(), .lease = session_->lease()});
  commit(std::move(txn), acts_left);
}

void Candidate::write(int acts_left) {
  GuardedTxn txn(*store_, turn_->guard());
  txn.then(Put{.key = TurnChecker::resource_of(TurnChecker::election()),
               .value = std::to_string(turn_->fence().revision)});
  commit(std::move(txn), acts_left);
}

void Candidate::commit(GuardedTxn txn, int acts_left) {
  store_->txn(txn.build(), executor_.now() + 2s, [this, txn, acts_left](Result<TxnResult> answer) {
    const Result<TxnResult> result = txn.read(std::move(answer));
    if (!result && result.error().code == Errc::not_held) return resign();
    lead(acts_left);
  });
}

void Candidate::resign() {
  turn_->release(executor_.now() + 2s, [this](const Result<void>&) { act_again(); });
}

ObserverProcess::~ObserverProcess() {
  if (observer_) observer_->stop();
}

void ObserverProcess::begin(std::int64_t after) {
  if (observer_) observer_->stop();
  knows_ = after != 0;
  observer_ = std::make_shared<election::ObserverCore>(*store_, TurnChecker::election(), after);
  observer_->start();
}

void ObserverProcess::act() {
  if (observer_ == nullptr) begin(0);
  std::stop_source stop;
  stop.request_stop();  // takes what is there, and waits for nothing
  for (;;) {
    const Result<LeaderChange> change = observer_->next(stop.get_token(), std::nullopt);
    if (change) {
      hear(*change);
    } else if (change.error().code == Errc::cancelled) {
      break;
    } else {
      return cluster_.trace().violation("an observer ends: ", change.error().message);
    }
  }
  World& world = cluster_.world();
  if (!settled_ && world.chance(1, 60)) begin(world.chance(1, 3) ? 0 : last_revision_);
  act_later(5ms, 400ms);
}

void ObserverProcess::hear(const LeaderChange& change) {
  Trace& trace = cluster_.trace();
  const std::vector<LeaderChange>& changes = history_.changes();
  ++heard_count_;
  if (change.gap && cluster_.ledger().witness().store().compact_revision() <= last_revision_) {
    trace.violation("an observer was told of a gap after ", last_revision_,
                    ", where nothing is compacted");
  }
  if (knows_ && !change.gap) {
    if (next_ >= changes.size() || !same(change, changes[next_])) {
      trace.violation("an observer was told of ", text_of(change), " after ", last_revision_,
                      next_ < changes.size() ? ", and not of " + text_of(changes[next_])
                                             : ", when nothing had changed");
    }
    ++next_;
  } else {
    next_ = history_.count_up_to(change.revision);
    if (next_ == 0 || changes[next_ - 1].leader != change.leader) {
      trace.violation("an observer was told that matters stood as ", text_of(change));
    }
  }
  if (change.revision < last_revision_ || change.revision > cluster_.ledger().revision()) {
    trace.violation("an observer was told of ", text_of(change), " after ", last_revision_);
  }
  knows_ = true;
  last_revision_ = change.revision;
}

void ObserverProcess::check_complete() const {
  if (!knows_ || next_ != history_.changes().size()) {
    cluster_.trace().violation("an observer was told of ", next_, " of ", history_.changes().size(),
                               " leaders");
  }
}

void ElectionClients::start() {
  history_.start();
  const auto candidate = [this] {
    return std::make_unique<Candidate>(cluster_, checker_, last_led_, ++count_);
  };
  for (int i = 0; i < 3; ++i) candidates_.add(candidate);
  const auto observer = [this] {
    auto process = std::make_unique<ObserverProcess>(cluster_, history_);
    listeners_.push_back(process.get());
    return process;
  };
  for (int i = 0; i < 2; ++i) observers_.add(observer);
  candidates_.begin_strikes();
  observers_.begin_strikes();
}

void ElectionClients::heal() {
  candidates_.heal();
  observers_.heal();
}

void ElectionClients::stop() {
  candidates_.stop();
  for (ObserverProcess* listener : listeners_) listener->settle();
  cluster_.world().after(2s, [this] { candidates_.crash(); });
}

void ElectionClients::check_progress(Instant since) const {
  if (last_led_ >= since) return;
  cluster_.trace().violation("nobody was elected in time after the faults' end");
}

void ElectionClients::check_complete() const {
  for (ObserverProcess* listener : listeners_) {
    if (!listener->executor().crashed()) listener->check_complete();
  }
}

std::uint64_t ElectionClients::heard_count() const {
  std::uint64_t count = 0;
  for (const ObserverProcess* listener : listeners_) count += listener->heard_count();
  return count;
}

}  // namespace conclave::sim
