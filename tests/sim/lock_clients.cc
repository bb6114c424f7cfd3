#include "tests/sim/lock_clients.h"

#include <utility>

namespace conclave::sim {

using namespace std::chrono_literals;

void LockProcess::act_again() {
  turn_.reset();
  act_later(0ms, 1500ms);
}

void LockProcess::act() {
  if (has_session()) {
    contend();
  } else {
    act_again();
  }
}

void LockProcess::contend() {
  World& world = cluster_.world();
  session::TurnConfig config;
  config.name = name_ = TurnChecker::locks()[world.chance(3, 4) ? 0 : 1];
  config.kind = "lock";
  if (world.chance(1, 3)) config.deadline = executor_.now() + world.between(10ms, 5s);
  turn_ = std::make_shared<session::TurnCore>(session_, std::move(config));
  turn_->start(
      [this](const Result<void>& result) {
        if (!result) return act_again();
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
  txn.then(Put{.key = TurnChecker::resource_of(name_),
               .value = std::to_string(turn_->fence().revision)});
  store_->txn(txn.build(), executor_.now() + 2s,
              [this, txn, writes_left](Result<TxnResult> answer) {
                const Result<TxnResult> result = txn.read(std::move(answer));
                if (!result && result.error().code == Errc::not_held) return release();
                work(writes_left);
              });
}

void LockProcess::release() {
  turn_->release(executor_.now() + 2s, [this](const Result<void>&) { act_again(); });
}

void LockClients::start() {
  const auto make = [this] { return std::make_unique<LockProcess>(cluster_, checker_); };
  for (int i = 0; i < 3; ++i) processes_.add(make);
  processes_.begin_strikes();
}

void LockClients::stop() {
  processes_.stop();
  cluster_.world().after(2s, [this] { processes_.crash(); });
}

}  // namespace conclave::sim
