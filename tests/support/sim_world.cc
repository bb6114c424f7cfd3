#include "tests/support/sim_world.h"

#include <algorithm>

namespace conclave::sim {

void World::at(Instant when, std::function<void()> event) {
  std::size_t place = events_.size();
  if (free_places_.empty()) {
    events_.push_back(std::move(event));
  } else {
    place = free_places_.back();
    free_places_.pop_back();
    events_[place] = std::move(event);
  }
  queue_.push({std::max(when, now_), ++sequence_, place});
}

bool World::step(Instant end) {
  if (queue_.empty() || queue_.top().when > end) {
    now_ = std::max(now_, end);
    return false;
  }
  const Entry next = queue_.top();
  queue_.pop();
  now_ = next.when;
  const std::function<void()> event = std::exchange(events_[next.place], nullptr);
  free_places_.push_back(next.place);
  event();
  return true;
}

Duration World::between(Duration from, Duration to) {
  return from + Duration(static_cast<Duration::rep>(
                    random_.below(static_cast<std::uint64_t>((to - from).count()) + 1)));
}

Instant SimExecutor::local(Instant truth) const {
  const Duration since = truth.time_since_epoch();
  return Instant(since + since / 1'000'000 * rate_ppm_ + offset_);
}

Instant SimExecutor::truth(Instant local) const {
  const Duration since = local.time_since_epoch() - offset_;
  Instant guess(since - since / 1'000'000 * rate_ppm_);
  // Not before the local clock shows it.
  while (this->local(guess) < local)
    guess += std::max<Duration>(local - this->local(guess), Duration(1));
  return guess;
}

void SimExecutor::post(Task task) {
  world_.at(world_.now(), [this, task = std::move(task)]() mutable { run(std::move(task)); });
}

void SimExecutor::run(Task task) {
  if (crashed_) return;
  if (paused_) {
    held_tasks_.push_back(std::move(task));
    return;
  }
  task();
}

Executor::TimerId SimExecutor::run_at(Instant when, Task task) {
  const TimerId id = ++last_timer_;
  timers_.emplace(id, std::move(task));
  const Instant now_local = now();
  world_.at(when <= now_local ? world_.now() : truth(when), [this, id] { fire(id); });
  return id;
}

void SimExecutor::fire(TimerId timer) {
  if (crashed_) return;
  if (paused_) {
    held_timers_.push_back(timer);
    return;
  }
  const auto found = timers_.find(timer);
  if (found == timers_.end()) return;
  const Task task = std::move(found->second);
  timers_.erase(found);
  task();
}

void SimExecutor::resume() {
  paused_ = false;
  const auto tasks = [this] {
    for (Task& task : std::exchange(held_tasks_, {})) post(std::move(task));
  };
  const auto timers = [this] {
    for (const TimerId timer : std::exchange(held_timers_, {})) {
      world_.at(world_.now(), [this, timer] { fire(timer); });
    }
  };
  // Neither order is promised.
  if (world_.chance(1, 2)) {
    tasks();
    timers();
  } else {
    timers();
    tasks();
  }
}

void SimExecutor::crash() {
  crashed_ = true;
  timers_.clear();
  held_tasks_.clear();
  held_timers_.clear();
}

}  // namespace conclave::sim
