#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "conclave/client/executor.h"

namespace conclave::session {

// A value that a task sets and a thread waits for. Whatever bounds the wait is the setter's: a
// blocking call that uses this must be sure that some task will set it, by a timer of its own if
// need be.
//
// Threads: any. Shared by both sides, so that neither minds when the other has gone.
template <class T>
class Completion {
 public:
  // The first value stays. Notifies under the lock: whoever waited may destroy this at once.
  void set(T value) {
    const std::lock_guard lock(mutex_);
    if (value_) return;
    value_.emplace(std::move(value));
    changed_.notify_all();
  }

  T wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return value_.has_value(); });
    return std::move(*value_);
  }

  // Wakes wait_for() without a value.
  void nudge() {
    const std::lock_guard lock(mutex_);
    nudged_ = true;
    changed_.notify_all();
  }

  // Until there is a value (true), a nudge or `timeout` (false).
  bool wait_for(std::chrono::milliseconds timeout) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, timeout, [&] { return value_.has_value() || nudged_; });
    nudged_ = false;
    return value_.has_value();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<T> value_;
  bool nudged_ = false;
};

// Runs `begin(set)` as a task and waits for the first call of set(value).
template <class T, class Begin>
T await(Executor& executor, Begin begin) {
  const auto completion = std::make_shared<Completion<T>>();
  executor.post([completion, begin = std::move(begin)]() mutable {
    begin([completion](T value) { completion->set(std::move(value)); });
  });
  return completion->wait();
}

}  // namespace conclave::session
