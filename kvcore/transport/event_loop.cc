#include "conclave/transport/event_loop.h"

#include <algorithm>

#include "conclave/listener/library.h"

namespace conclave::transport {
namespace {

// Of one look into the queue that has no thread of its own: the host has other things to do.
constexpr int kEventsPerTick = 64;

}  // namespace

void EventLoop::Bell::set(std::chrono::milliseconds wait) {
  alarm_.Set(loop_.queue(), listener::grpc_time(wait), static_cast<Completion*>(this));
}

void EventLoop::Bell::complete(bool) {
  (loop_.*ring_)();
}

EventLoop::EventLoop(std::unique_ptr<grpc::ServerCompletionQueue> queue,
                     grpc::CompletionQueue* host)
    : queue_(std::move(queue)), host_(host) {}

EventLoop::~EventLoop() {
  shutdown();
}

void EventLoop::start() {
  if (host_ == nullptr) {
    thread_ = std::thread([this] { run(); });
    return;
  }
  const std::lock_guard lock(mutex_);
  is_ticking_ = true;
  tick_.set(tick_pause_);
}

void EventLoop::post(Task task) {
  const std::lock_guard lock(mutex_);
  if (ended_) return;
  tasks_.push_back(std::move(task));
  wake();
}

void EventLoop::wake() {
  if (std::exchange(is_waking_, true)) return;
  wake_.set(std::chrono::milliseconds(0));
}

void EventLoop::after(std::chrono::milliseconds wait, Task task) {
  timers_.emplace(Clock::now() + wait, std::move(task));
}

void EventLoop::set_tick(std::chrono::milliseconds pause) {
  const bool looks_sooner = pause < tick_pause_;
  tick_pause_ = pause;
  const std::lock_guard lock(mutex_);
  if (looks_sooner && is_ticking_) tick_.cancel();  // which rings, and is set anew
}

void EventLoop::shutdown() {
  {
    std::unique_lock lock(mutex_);
    const bool runs = thread_.joinable() || is_ticking_;
    if (runs) changed_.wait(lock, [this] { return holds_ == 0; });
    if (std::exchange(ended_, true)) return;
    // What the host has still to report is this object's.
    ending_ = true;
    tick_.cancel();
    if (host_ != nullptr) {
      changed_.wait(lock, [this] { return !is_ticking_ && !is_waking_; });
    }
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
  auto status = grpc::CompletionQueue::GOT_EVENT;
  while (status != grpc::CompletionQueue::SHUTDOWN) {
    status =
        run_one(timers_.empty() ? std::chrono::hours(1) : timers_.begin()->first - Clock::now());
    run_timers();
  }
}

// What the queue of the links' own has next.
grpc::CompletionQueue::NextStatus EventLoop::run_one(Clock::duration wait) {
  void* tag = nullptr;
  bool ok = false;
  const auto status = queue_->AsyncNext(&tag, &ok, listener::grpc_time(wait));
  if (status == grpc::CompletionQueue::GOT_EVENT) static_cast<Completion*>(tag)->complete(ok);
  return status;
}

void EventLoop::run_tasks() {
  std::vector<Task> tasks;
  {
    const std::lock_guard lock(mutex_);
    tasks.swap(tasks_);
    is_waking_ = false;
    changed_.notify_all();
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

void EventLoop::tick() {
  int events = 0;
  while (events < kEventsPerTick &&
         run_one(Clock::duration(0)) == grpc::CompletionQueue::GOT_EVENT) {
    ++events;
  }
  run_timers();
  const std::lock_guard lock(mutex_);
  is_ticking_ = !ending_;
  if (is_ticking_) {
    tick_.set(events < kEventsPerTick ? tick_pause_ : std::chrono::milliseconds(0));
  } else {
    changed_.notify_all();
  }
}

void EventLoop::add_holds(int count) {
  const std::lock_guard lock(mutex_);
  holds_ += count;
  if (holds_ == 0) changed_.notify_all();
}

}  // namespace conclave::transport
