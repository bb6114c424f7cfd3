#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
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

// The calls that are open, so that a shutdown can refuse new ones, end the streams (which never end
// by themselves) and wait for the rest. gRPC's own graceful shutdown also waits for connections,
// and so for any client that is stopped or cut off.
//
// Thread-safe. Each enter() or add() is followed by one leave() or remove(), when gRPC is done with
// the call.
class OpenCalls {
 public:
  using StreamId = std::uint64_t;

  // False if the call must be refused with Refusal::stopped.
  bool enter() {
    open_.fetch_add(1);
    return !ending_.load();
  }

  void leave() {
    if (open_.fetch_sub(1) == 1 && ending_.load()) {
      const std::lock_guard lock(mutex_);
      none_open_.notify_all();
    }
  }

  // A stream that comes after end_all() is ended at once.
  StreamId add(std::shared_ptr<EndableStream> stream) {
    open_.fetch_add(1);
    {
      const std::lock_guard lock(mutex_);
      if (!ending_.load()) {
        streams_.emplace(++last_id_, stream);
        return last_id_;
      }
    }
    stream->end(api::Refusal::stopped);
    return 0;
  }

  void remove(StreamId id) {
    {
      const std::lock_guard lock(mutex_);
      streams_.erase(id);
    }
    leave();
  }

  // From now on refuses new calls and ends every stream with Refusal::stopped.
  void end_all() {
    std::vector<std::shared_ptr<EndableStream>> streams;
    {
      const std::lock_guard lock(mutex_);
      ending_.store(true);
      for (const auto& [id, weak] : streams_) {
        if (auto stream = weak.lock()) streams.push_back(std::move(stream));
      }
    }
    for (const auto& stream : streams) stream->end(api::Refusal::stopped);
  }

  // Blocks until no call is open, or for `patience`. After end_all().
  void wait_until_none(std::chrono::milliseconds patience) {
    std::unique_lock lock(mutex_);
    none_open_.wait_for(lock, patience, [this] { return open_.load() == 0; });
  }

 private:
  std::atomic<std::int64_t> open_{0};
  std::atomic<bool> ending_{false};
  std::mutex mutex_;
  std::condition_variable none_open_;
  std::unordered_map<StreamId, std::weak_ptr<EndableStream>> streams_;
  StreamId last_id_ = 0;
};

}  // namespace conclave::server
