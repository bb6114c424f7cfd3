#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "conclave/client/executor.h"

namespace conclave::client {

// The Executor of a running program: one thread, with timers on CLOCK_BOOTTIME.
//
// Lifetime: the destructor stops the thread after the task that is running; what is still queued is
// destroyed without being run, and so is whatever is posted from then on. Not to be destroyed by
// one of its own tasks.
class LoopExecutor final : public Executor {
 public:
  LoopExecutor();
  ~LoopExecutor() override;

  LoopExecutor(const LoopExecutor&) = delete;
  LoopExecutor& operator=(const LoopExecutor&) = delete;

  Instant now() const override { return BootClock::now(); }
  void post(Task task) override;
  TimerId run_at(Instant when, Task task) override;
  void cancel(TimerId timer) override;

  bool on_loop_thread() const { return std::this_thread::get_id() == thread_.get_id(); }
  // Stops and joins the thread; the destructor's first half, for owners whose other parts still
  // post.
  void stop();

 private:
  void run();
  // Runs the timers that are due; false if there was none.
  bool run_due_timer();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Task> tasks_;  // guarded by mutex_
  bool stopping_ = false;   // guarded by mutex_

  // The loop thread's alone. The id orders timers of one instant by their making.
  std::map<std::pair<Instant, TimerId>, Task> timers_;
  std::map<TimerId, Instant> timer_instants_;
  TimerId next_timer_ = 1;

  std::thread thread_;
};

}  // namespace conclave::client
