#include <algorithm>
#include <utility>

#include "conclave/base/bytes.h"
#include "conclave/session/turn_key.h"

#include "tests/recipes_sim/lock_simulation.h"

namespace conclave::sim {
namespace {

using namespace std::chrono_literals;

}  // namespace

Process::Process(Setting& setting, Weather weather)
    : setting_(setting),
      world_(setting.world),
      executor_(
          world_, world_.between(0s, 1000s),
          setting.calm ? 0 : static_cast<std::int64_t>(world_.random().below(40'001)) - 20'000),
      client_(setting.server, executor_, weather) {
  config_.ttl = world_.between(2s, 6s);
  config_.margin = session::default_margin(config_.ttl);
  config_.open_timeout = 5s;
  config_.close_timeout = 2s;
  const std::uint64_t count = 1 + world_.random().below(3);
  for (std::uint64_t i = 0; i < count; ++i) workers_.push_back(std::make_unique<Worker>());
}

void Process::start() {
  for (const auto& worker : workers_) pause_then_act(*worker);
}

bool Process::idle() const {
  return executor_.crashed() ||
         std::ranges::none_of(workers_, [](const auto& worker) { return worker->busy; });
}

void Process::pause_then_act(Worker& worker) {
  worker.turn.reset();
  worker.busy = false;
  executor_.run_at(executor_.now() + world_.between(0ms, 800ms), [this, &worker] { act(worker); });
}

// Runs `then` once there is a session; drops it when one is being opened already.
void Process::with_session(std::function<void()> then) {
  if (session_ && session_->valid()) return then();
  if (opening_) return;
  if (session_) {
    ++setting_.checker.tally.sessions_lost;
    session_->close({Errc::session_lost, "lost"}, [](const Result<void>&) {});
  }
  opening_ = true;
  session_ = std::make_shared<session::SessionCore>(client_, config_, world_.random().next());
  session_->open([this](const Result<void>& opened) {
    opening_ = false;
    if (!opened) session_.reset();
  });
}

void Process::act(Worker& worker) {
  if (setting_.ending) return;
  bool ready = false;
  with_session([&ready] { ready = true; });
  if (!ready) return pause_then_act(worker);

  session::TurnConfig config;
  config.name = worker.name = setting_.names[world_.chance(4, 5) ? 0 : 1];
  config.kind = "lock";
  const std::uint64_t kind = world_.random().below(10);
  config.only_if_free = kind == 0;
  if (kind <= 2) config.deadline = executor_.now() + world_.between(1ms, 4s);
  worker.busy = true;
  worker.turn = std::make_shared<session::TurnCore>(session_, std::move(config));
  const auto turn = worker.turn;
  turn->start([this, &worker](const Result<void>& result) { on_result(worker, result); }, nullptr);
  if (kind == 3 || kind == 4) {
    const Instant when = executor_.now() + world_.between(0ms, world_.chance(1, 3) ? 10ms : 3s);
    executor_.run_at(when, [turn] { turn->cancel(); });
  }
}

void Process::on_result(Worker& worker, const Result<void>& result) {
  Tally& tally = setting_.checker.tally;
  if (result) {
    setting_.checker.granted(worker.name, worker.turn);
    worker.writes_left = static_cast<int>(world_.random().below(4));
    return work(worker);
  }
  switch (result.error().code) {
    case Errc::would_block:
      ++tally.would_block;
      break;
    case Errc::timed_out:
      ++tally.timed_out;
      break;
    case Errc::cancelled:
      ++tally.cancelled;
      break;
    case Errc::not_held:
    case Errc::session_lost:
      ++tally.taken;
      break;
    case Errc::unavailable:
      ++tally.failed;
      break;
    default:
      setting_.checker.fail("a wait ended with " + std::string(name_of(result.error().code)) +
                            ": " + result.error().message);
  }
  pause_then_act(worker);
}

void Process::work(Worker& worker) {
  const Duration think = world_.between(0ms, world_.chance(1, 20) ? 3s : 300ms);
  executor_.run_at(executor_.now() + think, [this, &worker] {
    // Half of them ask before they act; the others trust the guard alone.
    if (worker.writes_left-- == 0 || (world_.chance(1, 2) && !worker.turn->valid())) {
      return release(worker);
    }
    write(worker);
  });
}

void Process::write(Worker& worker) {
  GuardedTxn txn(client_, worker.turn->guard());
  txn.then(
      Put{.key = resource_of(worker.name), .value = std::to_string(worker.turn->fence().revision)});
  client_.txn(txn.build(), executor_.now() + 2s, [this, txn, &worker](Result<TxnResult> answer) {
    const Result<TxnResult> result = txn.read(std::move(answer));
    if (!result && result.error().code == Errc::not_held) {
      ++setting_.checker.tally.writes_refused;
      return release(worker);
    }
    work(worker);
  });
}

void Process::release(Worker& worker) {
  const auto turn = worker.turn;
  turn->release(executor_.now() + 2s, [this, turn, &worker](const Result<void>& result) {
    setting_.checker.released(*turn, result);
    if (!result && result.error().code != Errc::unknown_outcome) ++setting_.checker.tally.taken;
    pause_then_act(worker);
  });
}

void ForeignContender::start() {
  World& world = setting_.world;
  world.after(world.between(0ms, 5s), [this] { enter(); });
}

void ForeignContender::enter() {
  if (dead_ || setting_.ending) return;
  World& world = setting_.world;
  ModelServer& server = setting_.server;
  if (!server.grant(3s, lease_)) return start();
  name_ = setting_.names[world.chance(4, 5) ? 0 : 1];
  key_ = session::queue_prefix(name_) + hex(static_cast<std::uint64_t>(lease_));
  Txn txn;
  txn.compares.push_back(created_at(key_, 0));
  txn.success.emplace_back(Put{.key = key_, .value = "", .lease = lease_});
  static_cast<void>(server.store().txn(txn));
  poll();
}

void ForeignContender::poll() {
  World& world = setting_.world;
  ModelServer& server = setting_.server;
  if (world.chance(1, 200)) {
    dead_ = true;  // its key goes with its lease
    return;
  }
  const KeyValue* own = server.store().find(key_);
  if (own == nullptr || !server.store().renew(lease_, world.now())) return leave();
  const KeyValue* head = setting_.checker.head(name_);
  if (head != nullptr && head->key == key_) {
    world.after(world.between(0ms, 500ms), [this] { leave(); });
    return;
  }
  world.after(100ms, [this] { poll(); });
}

void ForeignContender::leave() {
  static_cast<void>(setting_.server.store().revoke(lease_));
  start();
}

}  // namespace conclave::sim
