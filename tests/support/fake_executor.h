#pragma once

#include <deque>
#include <map>
#include <utility>

#include "conclave/base/check.h"
#include "conclave/client/executor.h"

namespace conclave::test {

// An Executor on virtual time, driven by the test: nothing runs but in run() and advance().
class FakeExecutor final : public Executor {
 public:
  Instant now() const override { return now_; }
  void post(Task task) override { tasks_.push_back(std::move(task)); }
  TimerId run_at(Instant when, Task task) override {
    const TimerId id = next_timer_++;
    timers_.emplace(std::pair(when, id), std::move(task));
    return id;
  }
  void cancel(TimerId timer) override {
    std::erase_if(timers_, [timer](const auto& entry) { return entry.first.second == timer; });
  }

  // Runs what is posted and what is due, until nothing is.
  void run() {
    while (run_one()) {
    }
  }

  // Moves time on, running each timer at its own instant.
  void advance(Duration by) {
    const Instant end = now_ + by;
    for (;;) {
      run();
      if (timers_.empty() || timers_.begin()->first.first > end) break;
      now_ = timers_.begin()->first.first;
    }
    now_ = end;
    run();
  }

  std::size_t timers() const { return timers_.size(); }

 private:
  bool run_one() {
    CONCLAVE_CHECK(++steps_ < 10'000'000, "the tasks of this test go on for ever");
    Task task;
    if (!tasks_.empty()) {
      task = std::move(tasks_.front());
      tasks_.pop_front();
    } else if (!timers_.empty() && timers_.begin()->first.first <= now_) {
      task = std::move(timers_.begin()->second);
      timers_.erase(timers_.begin());
    } else {
      return false;
    }
    task();
    return true;
  }

  Instant now_{std::chrono::hours(1)};
  std::deque<Task> tasks_;
  std::map<std::pair<Instant, TimerId>, Task> timers_;
  TimerId next_timer_ = 1;
  std::size_t steps_ = 0;
};

}  // namespace conclave::test
