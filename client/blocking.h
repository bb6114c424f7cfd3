#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <stop_token>
#include <utility>

#include "conclave/base/result.h"

// How threads wait for what the loop delivers.
namespace conclave::client {

// The answer to one call. Thread-safe.
template <class T>
class Answer {
 public:
  // By the loop, before anything is sent; false: nobody waits any more.
  bool begin() {
    const std::lock_guard lock(mutex_);
    begun_ = !given_up_;
    return begun_;
  }

  void set(Result<T> result) {
    {
      const std::lock_guard lock(mutex_);
      result_.emplace(std::move(result));
    }
    ready_.notify_all();
  }

  // Blocks for the answer or for `stop`. Stopped before begin(): Errc::cancelled, and begin() will
  // be false; stopped after it: `if_under_way`.
  Result<T> wait(const std::stop_token& stop, Errc if_under_way) {
    std::unique_lock lock(mutex_);
    if (ready_.wait(lock, stop, [this] { return result_.has_value(); })) {
      return std::move(*result_);
    }
    given_up_ = true;
    if (!begun_) return Error{Errc::cancelled, "stopped before anything was sent"};
    return Error{if_under_way, "stopped while waiting for the answer"};
  }

 private:
  std::mutex mutex_;
  std::condition_variable_any ready_;
  std::optional<Result<T>> result_;  // the rest is guarded by mutex_
  bool begun_ = false;
  bool given_up_ = false;
};

// A queue with a last word that is repeated. Thread-safe.
template <class T>
class Mailbox {
 public:
  void push(T item) {
    {
      const std::lock_guard lock(mutex_);
      items_.push_back(std::move(item));
    }
    ready_.notify_one();
  }

  void end(Result<T> last) {
    {
      const std::lock_guard lock(mutex_);
      if (!last_) last_.emplace(std::move(last));
    }
    ready_.notify_all();
  }

  Result<T> next(const std::stop_token& stop, std::optional<std::chrono::milliseconds> timeout) {
    std::unique_lock lock(mutex_);
    const auto ready = [this] { return !items_.empty() || last_.has_value(); };
    const bool came =
        timeout ? ready_.wait_for(lock, stop, *timeout, ready) : ready_.wait(lock, stop, ready);
    if (!came) {
      if (stop.stop_requested()) return Error{Errc::cancelled, "stopped while waiting"};
      return Error{Errc::timed_out, "nothing came before the timeout"};
    }
    if (items_.empty()) return *last_;
    T item = std::move(items_.front());
    items_.pop_front();
    return item;
  }

 private:
  std::mutex mutex_;
  std::condition_variable_any ready_;
  std::deque<T> items_;  // guarded by mutex_, as is last_
  std::optional<Result<T>> last_;
};

}  // namespace conclave::client
