#include "tests/sim/user_process.h"

#include <algorithm>
#include <utility>

namespace conclave::sim {

using namespace std::chrono_literals;

UserProcess::UserProcess(Cluster& cluster)
    : cluster_(cluster),
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

void UserProcess::start() {
  executor_.post([this] { act_later(0ms, 1500ms); });
}

void UserProcess::finish() {
  if (session_) session_->close({Errc::cancelled, "done"}, [](const Result<void>&) {});
}

void UserProcess::act_later(Duration at_least, Duration at_most) {
  executor_.run_at(executor_.now() + cluster_.world().between(at_least, at_most), [this] {
    if (stopped_) {
      finish();
    } else {
      act();
    }
  });
}

bool UserProcess::has_session() {
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

void UserProcesses::add(Make make) {
  places_.push_back({make, make()});
  places_.back().process->start();
}

void UserProcesses::begin_strikes() {
  World& world = cluster_.world();
  world.after(world.between(1s, 8s), [this] {
    if (cluster_.healthy()) return;
    strike();
    begin_strikes();
  });
}

void UserProcesses::strike() {
  World& world = cluster_.world();
  const std::size_t place = world.random().below(places_.size());
  SimExecutor& executor = places_[place].process->executor();
  const std::uint64_t kind = world.random().below(4);
  if (executor.crashed()) return;
  if (kind == 0 && cluster_.plan().has(Fault::kill)) {
    executor.crash();
    add(places_[place].make);
  } else if (kind == 1 && cluster_.plan().has(Fault::loss)) {
    places_[place].process->channels().cut_off(world.between(50ms, 6s));
  } else if (cluster_.plan().has(Fault::pause) && !executor.paused()) {
    executor.pause();
    world.after(world.between(10ms, 6s), [&executor] {
      if (executor.paused()) executor.resume();
    });
  }
}

void UserProcesses::heal() {
  for (const Place& place : places_) {
    place.process->channels().cut_off(Duration(0));
    if (place.process->executor().paused()) place.process->executor().resume();
  }
}

void UserProcesses::stop() {
  for (const Place& place : places_) place.process->stop();
}

void UserProcesses::crash() {
  for (const Place& place : places_) place.process->executor().crash();
}

}  // namespace conclave::sim
