#include "conclave/election/observer_core.h"

#include <algorithm>
#include <utility>
#include <variant>

namespace conclave::election {
namespace {

constexpr std::size_t kChangesMax = 1000;

}  // namespace

ObserverCore::ObserverCore(Store& store, std::string name, std::int64_t after)
    : store_(store), machine_(std::move(name), after) {}

void ObserverCore::start() {
  if (stopped_) return;
  machine_.start(executor().now());
  pump();
}

void ObserverCore::stop() {
  stopped_ = true;
  watch_.reset();
  executor().cancel(std::exchange(timer_, 0));
}

void ObserverCore::pump() {
  if (stopped_) return;
  const std::shared_ptr<ObserverCore> alive = shared_from_this();
  std::vector<ObserverAction> actions;
  while (!(actions = machine_.take_actions()).empty()) {
    for (ObserverAction& action : actions) carry_out(std::move(action));
  }
  executor().cancel(std::exchange(timer_, 0));
  if (machine_.timer() == Instant::max()) return;
  timer_ = executor().run_at(machine_.timer(), [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    self->timer_ = 0;
    self->machine_.on_timer(self->executor().now());
    self->pump();
  });
}

void ObserverCore::carry_out(ObserverAction action) {
  const std::weak_ptr<ObserverCore> weak = weak_from_this();
  if (auto* send = std::get_if<SendGet>(&action)) {
    store_.get(std::move(send->get), send->deadline,
               [weak, request = send->request](Result<GetResult> answer) {
                 const auto self = weak.lock();
                 if (!self) return;
                 self->machine_.on_get(self->executor().now(), request, answer);
                 self->pump();
               });
  } else if (auto* start = std::get_if<StartObserving>(&action)) {
    watch_ = store_.watch(std::move(start->watch), [weak](const WatchNotice& notice) {
      const auto self = weak.lock();
      if (!self) return;
      self->machine_.on_watch(self->executor().now(), notice);
      self->pump();
    });
  } else if (std::holds_alternative<StopObserving>(action)) {
    watch_.reset();
  } else if (auto* changed = std::get_if<Changed>(&action)) {
    publish(std::move(changed->change));
  } else if (auto* failed = std::get_if<ObserverFailed>(&action)) {
    const std::lock_guard lock(mutex_);
    error_ = std::move(failed->error);
    arrived_.notify_all();
  }
}

void ObserverCore::publish(LeaderChange change) {
  const std::lock_guard lock(mutex_);
  changes_.push_back(std::move(change));
  if (changes_.size() >= kChangesMax && !full_) {
    full_ = true;
    machine_.pause();
  }
  arrived_.notify_all();
}

Result<LeaderChange> ObserverCore::next(const std::stop_token& stop,
                                        std::optional<Instant> deadline) {
  std::unique_lock lock(mutex_);
  const auto ready = [&] { return !changes_.empty() || error_.has_value(); };
  while (!ready()) {
    // In slices, because the deadline is on CLOCK_BOOTTIME and the wait is not.
    Duration slice = std::chrono::seconds(1);
    if (deadline) slice = std::min(slice, *deadline - executor().now());
    if (stop.stop_requested()) return Error{Errc::cancelled, "the observation was cancelled"};
    if (slice <= Duration(0)) return Error{Errc::timed_out, "no change in time"};
    arrived_.wait_for(lock, stop, slice, ready);
  }
  if (changes_.empty()) return *error_;
  LeaderChange change = std::move(changes_.front());
  changes_.pop_front();
  if (full_ && changes_.empty()) {
    full_ = false;
    executor().post([self = shared_from_this()] {
      self->machine_.resume();
      self->pump();
    });
  }
  return change;
}

}  // namespace conclave::election
