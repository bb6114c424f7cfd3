#include "tests/recipes_sim/lock_simulation.h"

#include <algorithm>
#include <utility>

#include "conclave/session/turn_key.h"

namespace conclave::sim {
namespace {

using namespace std::chrono_literals;

constexpr Duration kActive = 40s;
constexpr Duration kHealing = 40s;
constexpr Duration kProgress = 10s;

Weather draw_weather(World& world) {
  // Each run has weather of its own kind: faults that are always all there hide each other.
  const auto perhaps = [&world](std::uint64_t most) {
    return world.chance(1, 2) ? world.random().below(most + 1) : 0;
  };
  Weather weather;
  weather.request_lost = perhaps(60);
  weather.reply_lost = perhaps(60);
  weather.surely_unsent = perhaps(60);
  weather.slow = perhaps(100);
  weather.stray = perhaps(60);
  weather.watch_fails = perhaps(50);
  return weather;
}

class Run {
 public:
  Run(std::uint64_t seed, bool calm)
      : world_(seed),
        server_(world_),
        names_{"a", "a/b"},
        checker_(server_, names_),
        setting_{world_, server_, checker_, names_, calm, false} {
    if (!calm) weather_ = draw_weather(world_);
    const std::uint64_t count = 2 + world_.random().below(3);
    for (std::uint64_t i = 0; i < count; ++i) add_process();
    for (LeaseId lease = 1; lease <= 2; ++lease) {
      foreign_.push_back(std::make_unique<ForeignContender>(setting_, lease));
      foreign_.back()->start();
    }
  }

  Outcome run() {
    if (!setting_.calm) schedule_fault();
    advance(kActive);
    heal();
    advance(kHealing);
    check_nothing_left();
    check_progress();
    return {checker_.violations(), checker_.tally};
  }

 private:
  void add_process() {
    processes_.push_back(std::make_unique<Process>(setting_, weather_));
    processes_.back()->start();
  }

  void advance(Duration length) {
    const Instant end = world_.now() + length;
    // The first violation is the one to read.
    while (checker_.violations().empty() && world_.step(end)) checker_.check_held();
  }

  void schedule_fault() {
    world_.after(world_.between(100ms, 2500ms), [this] {
      if (setting_.ending) return;
      fault();
      schedule_fault();
    });
  }

  void fault() {
    Process& process = *processes_[world_.random().below(processes_.size())];
    SimExecutor& executor = process.executor();
    switch (world_.random().below(8)) {
      case 0:
      case 1:
        if (executor.paused() || executor.crashed()) return;
        executor.pause();
        world_.after(world_.between(10ms, 9s), [&executor] { executor.resume(); });
        return;
      case 2:
      case 3:
        return process.client().cut_off(world_.between(50ms, 9s));
      case 4:
        return server_.go_away(world_.between(50ms, 4s));
      case 5:
        return server_.store().compact(server_.store().revision());
      case 6:
        return operate();
      case 7:
        if (!world_.chance(1, 3)) return;
        executor.crash();
        return add_process();
    }
  }

  // An operator deletes a contender's key, or revokes its lease.
  void operate() {
    const std::string prefix = session::queue_prefix(names_[0]);
    std::vector<KeyValue> contenders;
    for (const auto& [key, kv] : server_.store().keys()) {
      if (session::is_contender(prefix, key)) contenders.push_back(kv);
    }
    if (contenders.empty()) return;
    const KeyValue kv = contenders[world_.random().below(contenders.size())];
    if (world_.chance(1, 4)) {
      checker_.operator_revokes(kv.lease);
      static_cast<void>(server_.store().revoke(kv.lease));
      return;
    }
    checker_.operator_deletes(kv);
    Delete erase;
    erase.key = kv.key;
    Txn txn;
    txn.success.emplace_back(std::move(erase));
    static_cast<void>(server_.store().txn(txn));
  }

  void heal() {
    setting_.ending = true;
    for (const auto& process : processes_) {
      process->client().set_weather({});
      if (process->executor().paused()) process->executor().resume();
    }
  }

  void check_nothing_left() {
    if (!checker_.violations().empty()) return;
    for (const auto& [key, kv] : server_.store().keys()) {
      if (key.starts_with(session::queue_prefix(names_[0])))
        checker_.fail(key + " was left behind");
    }
    for (const auto& process : processes_) {
      if (!process->idle()) checker_.fail("somebody still waits in an empty queue");
    }
  }

  void check_progress() {
    if (!checker_.violations().empty()) return;
    setting_.ending = false;
    weather_ = {};
    const int before = checker_.tally.granted;
    add_process();
    advance(kProgress);
    if (checker_.violations().empty() && checker_.tally.granted == before) {
      checker_.fail("nobody gets a turn any more");
    }
  }

  World world_;
  ModelServer server_;
  std::vector<std::string> names_;
  Checker checker_;
  Setting setting_;
  Weather weather_;
  std::vector<std::unique_ptr<Process>> processes_;
  std::vector<std::unique_ptr<ForeignContender>> foreign_;
};

}  // namespace

Outcome run_lock_simulation(std::uint64_t seed, bool calm) {
  return Run(seed, calm).run();
}

}  // namespace conclave::sim
