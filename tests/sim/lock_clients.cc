#include "tests/sim/lock_clients.h"

#include <algorithm>

#include "conclave/session/turn_key.h"

namespace conclave::sim {

using namespace std::chrono_literals;

const std::vector<std::string>& LockChecker::names() {
  static const std::vector<std::string> names{"lock/a", "lock/b"};
  return names;
}

std::int64_t LockChecker::head(const std::string& name) const {
  const auto queue = queues_.find(name);
  return queue == queues_.end() || queue->second.empty() ? 0 : queue->second.begin()->first;
}

bool LockChecker::queues_are_empty() const {
  return std::ranges::all_of(names(), [this](const auto& name) { return head(name) == 0; });
}

void LockChecker::changed() {
  const auto& history = cluster_.ledger().events();
  for (auto at = history.upper_bound(seen_); at != history.end(); ++at) {
    take(*at->second);
    seen_ = at->first;
  }
  check_held();
}

void LockChecker::take(const mvcc::RevisionEvents& events) {
  for (const mvccpb::Event& event : events.events) {
    const mvccpb::KeyValue& kv = event.kv();
    for (const std::string& name : names()) {
      if (event.type() == mvccpb::Event::PUT && kv.key() == resource_of(name))
        check_write(name, kv);
      if (!session::is_contender(session::queue_prefix(name), kv.key())) continue;
      if (event.type() == mvccpb::Event::PUT) {
        queues_[name].emplace(kv.create_revision(), kv.key());
      } else {
        std::erase_if(queues_[name], [&](const auto& entry) { return entry.second == kv.key(); });
      }
    }
  }
  for (const std::string& name : names()) were_head_.insert(head(name));
}

void LockChecker::check_write(const std::string& name, const mvccpb::KeyValue& kv) {
  const std::int64_t fence = std::stoll(kv.value());
  ++write_count_;
  if (fence != head(name) || fence < last_fence_[name]) {
    cluster_.trace().violation("a guarded write under fence ", fence, " got through, the head of ",
                               name, " is ", head(name));
  }
  last_fence_[name] = fence;
}

void LockChecker::granted(const std::string& name, const std::shared_ptr<session::TurnCore>& turn) {
  ++granted_count_;
  if (!were_head_.contains(turn->fence().revision)) {
    cluster_.trace().violation(turn->key(), " was granted and never had its turn");
  }
  held_.emplace_back(name, turn);
  check_held();
}

void LockChecker::check_held() {
  std::erase_if(held_, [](const auto& entry) { return entry.second.expired(); });
  if (cluster_.plan().has(Fault::clock_jump)) return;
  for (const auto& [name, weak] : held_) {
    const auto turn = weak.lock();
    if (!turn || !turn->valid() || turn->fence().revision == head(name)) continue;
    cluster_.trace().violation(turn->key(), " is held and valid at fence ", turn->fence().revision,
                               ", but the head of ", name, " is ", head(name));
  }
}

LockProcess::LockProcess(Cluster& cluster, LockChecker& checker, const std::string& kind)
    : cluster_(cluster),
      checker_(checker),
      kind_(kind),
      executor_(cluster.world(), cluster.world().between(0s, 1000s),
                static_cast<std::int64_t>(cluster.world().random().below(20'001)) - 10'000),
      channels_(cluster, executor_) {
  World& world = cluster.world();
  client::CoreOptions options;
  for (SimNode* node : cluster.nodes()) {
    options.endpoints.push_back(SimChannels::endpoint_of(node->id()));
  }
  std::rotate(options.endpoints.begin(),
              options.endpoints.begin() +
                  static_cast<std::ptrdiff_t>(world.random().below(options.endpoints.size())),
              options.endpoints.end());
  options.seed = world.random().next();
  auto store = client::StoreCore::open(executor_, channels_, std::move(options));
  CONCLAVE_CHECK(store, "endpoints of members are well-formed");
  store_ = *std::move(store);
  config_.ttl = std::chrono::seconds(2 + world.random().below(2));
  config_.margin = session::default_margin(config_.ttl);
  config_.open_timeout = 5s;
  config_.close_timeout = 2s;
}

void LockProcess::start() {
  executor_.post([this] { act_later(); });
}

void LockProcess::act_later() {
  turn_.reset();
  executor_.run_at(executor_.now() + cluster_.world().between(0ms, 1500ms), [this] { act(); });
}

bool LockProcess::has_session() {
  if (session_ && session_->valid()) return true;
  if (opening_) return false;
  if (session_) session_->close({Errc::session_lost, "lost"}, [](const Result<void>&) {});
  opening_ = true;
  session_ =
      std::make_shared<session::SessionCore>(*store_, config_, cluster_.world().random().next());
  session_->open([this](const Result<void>& opened) {
    opening_ = false;
    if (!opened) session_.reset();
  });
  return false;
}

void LockProcess::act() {
  if (stopped_) {
    if (session_) session_->close({Errc::cancelled, "done"}, [](const Result<void>&) {});
    return;
  }
  if (has_session()) {
    contend();
  } else {
    act_later();
  }
}

void LockProcess::contend() {
  World& world = cluster_.world();
  session::TurnConfig config;
  config.name = name_ = LockChecker::names()[world.chance(3, 4) ? 0 : 1];
  config.kind = kind_;
  if (world.chance(1, 3)) config.deadline = executor_.now() + world.between(10ms, 5s);
  turn_ = std::make_shared<session::TurnCore>(session_, std::move(config));
  turn_->start(
      [this](const Result<void>& result) {
        if (!result) return act_later();
        cluster_.trace().note("lock ", name_, " is granted at fence ", turn_->fence().revision);
        checker_.granted(name_, turn_);
        work(static_cast<int>(cluster_.world().random().below(4)));
      },
      nullptr);
}

void LockProcess::work(int writes_left) {
  const Duration think = cluster_.world().between(0ms, cluster_.world().chance(1, 20) ? 3s : 300ms);
  executor_.run_at(executor_.now() + think, [this, writes_left] {
    // Half of them ask before they act; the others trust the guard alone.
    const bool asks = cluster_.world().chance(1, 2);
    if (writes_left == 0 || (asks && !turn_->valid())) return release();
    write(writes_left - 1);
  });
}

void LockProcess::write(int writes_left) {
  GuardedTxn txn(*store_, turn_->guard());
  txn.then(Put{.key = LockChecker::resource_of(name_),
               .value = std::to_string(turn_->fence().revision)});
  store_->txn(txn.build(), executor_.now() + 2s,
              [this, txn, writes_left](Result<TxnResult> answer) {
                const Result<TxnResult> result = txn.read(std::move(answer));
                if (!result && result.error().code == Errc::not_held) return release();
                work(writes_left);
              });
}

void LockProcess::release() {
  turn_->release(executor_.now() + 2s, [this](const Result<void>&) { act_later(); });
}

void LockClients::start() {
  cluster_.ledger().on_change = [this] { checker_.changed(); };
  for (int i = 0; i < 3; ++i) add();
  strike();
}

void LockClients::add() {
  const char* kind = cluster_.world().chance(1, 2) ? "lock" : "elect";
  processes_.push_back(std::make_unique<LockProcess>(cluster_, checker_, kind));
  processes_.back()->start();
}

void LockClients::strike() {
  World& world = cluster_.world();
  world.after(world.between(1s, 8s), [this, &world] {
    if (cluster_.healthy()) return;
    LockProcess& process = *processes_[world.random().below(processes_.size())];
    SimExecutor& executor = process.executor();
    const std::uint64_t kind = world.random().below(4);
    if (kind == 0 && cluster_.plan().has(Fault::kill)) {
      executor.crash();
      add();
    } else if (kind == 1 && cluster_.plan().has(Fault::loss)) {
      process.channels().cut_off(world.between(50ms, 6s));
    } else if (cluster_.plan().has(Fault::pause) && !executor.paused() && !executor.crashed()) {
      executor.pause();
      world.after(world.between(10ms, 6s), [&executor] { executor.resume(); });
    }
    strike();
  });
}

void LockClients::stop() {
  for (const auto& process : processes_) process->stop();
  cluster_.world().after(2s, [this] {
    for (const auto& process : processes_) process->executor().crash();
  });
}

}  // namespace conclave::sim
