#include "conclave/client/loop.h"

#include <algorithm>
#include <chrono>

#include "conclave/base/check.h"

namespace conclave::client {

namespace {

// std::condition_variable waits on CLOCK_MONOTONIC, which stands still while the machine is
// suspended: no single wait is longer than this, so that a timer that came due meanwhile is noticed
// soon after.
constexpr std::chrono::seconds kLongestWait{1};

}  // namespace

LoopExecutor::LoopExecutor() : thread_([this] { run(); }) {}

LoopExecutor::~LoopExecutor() {
  stop();
}

void LoopExecutor::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) {
    CONCLAVE_CHECK(!on_loop_thread(), "a loop cannot be ended by one of its own tasks");
    thread_.join();
  }
  std::deque<Task> dropped;
  {
    const std::lock_guard lock(mutex_);
    dropped.swap(tasks_);
  }
  timers_.clear();
  timer_instants_.clear();
}

void LoopExecutor::post(Task task) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    tasks_.push_back(std::move(task));
  }
  wake_.notify_one();
}

Executor::TimerId LoopExecutor::run_at(Instant when, Task task) {
  const TimerId id = next_timer_++;
  timers_.emplace(std::pair(when, id), std::move(task));
  timer_instants_.emplace(id, when);
  return id;
}

void LoopExecutor::cancel(TimerId timer) {
  const auto found = timer_instants_.find(timer);
  if (found == timer_instants_.end()) return;
  timers_.erase({found->second, timer});
  timer_instants_.erase(found);
}

bool LoopExecutor::run_due_timer() {
  if (timers_.empty() || timers_.begin()->first.first > now()) return false;
  const auto first = timers_.begin();
  const Task task = std::move(first->second);
  timer_instants_.erase(first->first.second);
  timers_.erase(first);
  task();
  return true;
}

void LoopExecutor::run() {
  for (;;) {
    Task task;
    {
      std::unique_lock lock(mutex_);
      if (stopping_) return;
      if (tasks_.empty()) {
        Duration wait = kLongestWait;
        if (!timers_.empty()) wait = std::min(wait, timers_.begin()->first.first - now());
        if (wait > Duration::zero()) wake_.wait_for(lock, wait);
        if (stopping_) return;
      }
      if (!tasks_.empty()) {
        task = std::move(tasks_.front());
        tasks_.pop_front();
      }
    }
    if (task) task();
    run_due_timer();
  }
}

}  // namespace conclave::client
