#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

#include "conclave/api/errors.h"

namespace conclave::server {

// A stream that the server can end.
class EndableStream {
 public:
  virtual ~EndableStream() = default;

  // Takes no further request, sends what is on its way, then ends the stream with `reason`. Does
  // not block; any thread; a second call does nothing.
  virtual void end(api::Refusal reason) = 0;
};

// A call that waits for its answer.
class OpenCall {
 public:
  // Answers for the handler, whose own answer will be late. Does not block.
  virtual void cancel() = 0;

 protected:
  ~OpenCall() = default;

 private:
  friend class OpenCalls;
  OpenCall* previous_ = nullptr;
  OpenCall* next_ = nullptr;
};

// The calls that are open, so that a shutdown can refuse new ones, end the streams (which never end
// by themselves) and wait for the rest. gRPC's own graceful shutdown also waits for connections,
// and so for any client that is stopped or cut off.
//
// Thread-safe. Each enter() or add() is followed by one leave() or remove(), when gRPC is done with
// the call.
class OpenCalls {
 public:
  using StreamId = std::uint64_t;

  // False if the call must be refused: nothing was done with it.
  bool enter(OpenCall& call) {
    const std::lock_guard lock(mutex_);
    ++open_;
    if (ending_) ++refused_;
    call.next_ = first_;
    if (first_ != nullptr) first_->previous_ = &call;
    first_ = &call;
    return !ending_;
  }

  void leave(OpenCall& call) {
    const std::lock_guard lock(mutex_);
    (call.previous_ != nullptr ? call.previous_->next_ : first_) = call.next_;
    if (call.next_ != nullptr) call.next_->previous_ = call.previous_;
    left();
  }

  // A stream that comes after end_all() is ended at once.
  StreamId add(std::shared_ptr<EndableStream> stream) {
    {
      const std::lock_guard lock(mutex_);
      ++open_;
      if (!ending_) {
        streams_.emplace(++last_id_, stream);
        return last_id_;
      }
    }
    stream->end(api::Refusal::stopped);
    return 0;
  }

  void remove(StreamId id) {
    const std::lock_guard lock(mutex_);
    streams_.erase(id);
    left();
  }

  // From now on new calls are refused, and every stream ends with Refusal::stopped.
  void end_all() {
    std::vector<std::shared_ptr<EndableStream>> streams;
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
      for (const auto& [id, weak] : streams_) {
        if (auto stream = weak.lock()) streams.push_back(std::move(stream));
      }
    }
    for (const auto& stream : streams) stream->end(api::Refusal::stopped);
  }

  // Blocks until no call is open, or for `patience`. After end_all().
  void wait_until_none(std::chrono::milliseconds patience) {
    std::unique_lock lock(mutex_);
    none_open_.wait_for(lock, patience, [this] { return open_ == 0; });
  }

  // Blocks until no call has come for `gap`, or for `patience`: clients take a moment to go
  // elsewhere once they are refused. After end_all().
  void wait_until_quiet(std::chrono::milliseconds gap, std::chrono::milliseconds patience) {
    const auto until = std::chrono::steady_clock::now() + patience;
    std::unique_lock lock(mutex_);
    for (std::int64_t seen = -1; seen != refused_ && std::chrono::steady_clock::now() < until;) {
      seen = refused_;
      lock.unlock();
      std::this_thread::sleep_for(gap);
      lock.lock();
    }
  }

  // Answers every call that still waits. Each leaves later, when its answer was sent.
  void cancel_all() {
    const std::lock_guard lock(mutex_);
    for (OpenCall* call = first_; call != nullptr; call = call->next_) call->cancel();
  }

 private:
  void left() {
    if (--open_ == 0 && ending_) none_open_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable none_open_;
  std::int64_t open_ = 0;
  std::int64_t refused_ = 0;
  bool ending_ = false;
  OpenCall* first_ = nullptr;
  std::unordered_map<StreamId, std::weak_ptr<EndableStream>> streams_;
  StreamId last_id_ = 0;
};

}  // namespace conclave::server
