#pragma once

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

// The streams that are open, so that a shutdown can end them: unlike a unary call a stream never
// ends by itself. Thread-safe.
class OpenStreams {
 public:
  using Id = std::uint64_t;

  // A stream that comes after end_all() is ended at once.
  Id add(std::shared_ptr<EndableStream> stream) {
    {
      const std::lock_guard lock(mutex_);
      if (!ending_) {
        streams_.emplace(++last_id_, stream);
        return last_id_;
      }
    }
    stream->end(api::Refusal::stopped);
    return 0;
  }

  void remove(Id id) {
    const std::lock_guard lock(mutex_);
    streams_.erase(id);
  }

  // Ends every stream with Refusal::stopped.
  void end_all() {
    std::vector<std::shared_ptr<EndableStream>> open;
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
      for (const auto& [id, weak] : streams_) {
        if (auto stream = weak.lock()) open.push_back(std::move(stream));
      }
    }
    for (const auto& stream : open) stream->end(api::Refusal::stopped);
  }

 private:
  std::mutex mutex_;
  std::unordered_map<Id, std::weak_ptr<EndableStream>> streams_;
  Id last_id_ = 0;
  bool ending_ = false;
};

}  // namespace conclave::server
