#include "conclave/transport/event_loop.h"

#include <algorithm>
#include <cstdint>

#include <grpc/support/time.h>

namespace conclave::transport {
namespace {

gpr_timespec grpc_time(std::chrono::steady_clock::duration wait) {
  const auto micros = std::chrono::ceil<std::chrono::microseconds>(wait).count();
  return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                      gpr_time_from_micros(std::max<std::int64_t>(micros, 0), GPR_TIMESPAN));
}

}  // namespace

EventLoop::EventLoop(std::unique_ptr<grpc::ServerCompletionQueue> queue)
    : queue_(std::move(queue)) {}

EventLoop::~EventLoop() {
  shutdown();
}

void EventLoop::start() {
  thread_ = std::thread([this] { run(); });
}

void EventLoop::post(Task task) {
  const std::lock_guard lock(mutex_);
  if (ended_) return;
  tasks_.push_back(std::move(task));
  wake();
}

// The alarm's tag is the loop itself.
void EventLoop::wake() {
  if (std::exchange(is_waking_, true)) return;
  wake_.Set(queue_.get(), gpr_inf_past(GPR_CLOCK_MONOTONIC), this);
}

void EventLoop::after(std::chrono::milliseconds wait, Task task) {
  timers_.emplace(Clock::now() + wait, std::move(task));
}

void EventLoop::shutdown() {
  {
    std::unique_lock lock(mutex_);
    if (thread_.joinable()) changed_.wait(lock, [this] { return holds_ == 0; });
    if (std::exchange(ended_, true)) return;
  }
  queue_->Shutdown();
  if (thread_.joinable()) {
    thread_.join();
  } else {
    run();
  }
  tasks_.clear();
  timers_.clear();
}

void EventLoop::run() {
  while (true) {
    const auto wait =
        timers_.empty() ? std::chrono::hours(1) : timers_.begin()->first - Clock::now();
    void* tag = nullptr;
    bool ok = false;
    const auto status = queue_->AsyncNext(&tag, &ok, grpc_time(wait));
    if (status == grpc::CompletionQueue::SHUTDOWN) return;
    if (status == grpc::CompletionQueue::GOT_EVENT) {
      if (tag == this) {
        run_tasks();
      } else {
        static_cast<Completion*>(tag)->complete(ok);
      }
    }
    run_timers();
  }
}

void EventLoop::run_tasks() {
  std::vector<Task> tasks;
  {
    const std::lock_guard lock(mutex_);
    tasks.swap(tasks_);
    is_waking_ = false;
  }
  for (const Task& task : tasks) task();
}

void EventLoop::run_timers() {
  while (!timers_.empty() && timers_.begin()->first <= Clock::now()) {
    const Task task = std::move(timers_.begin()->second);
    timers_.erase(timers_.begin());
    task();
  }
}

void EventLoop::add_holds(int count) {
  const std::lock_guard lock(mutex_);
  holds_ += count;
  if (holds_ == 0) changed_.notify_all();
}

}  // namespace conclave::transport
