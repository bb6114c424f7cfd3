#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include <grpcpp/grpcpp.h>

#include "conclave/server/grpc_stream.h"

namespace conclave::server {

// The sending half of a bidirectional stream: a queue in front of gRPC, which takes one write at a
// time, and the rule by which the stream ends exactly once.
//
// Any thread. No lock is held while gRPC is called: the thread that sets `writing_` or `finished_`
// owns that one call, and gRPC keeps the reactor alive until a started write has completed and
// Finish was called. Once finished, the reactor is never touched again.
template <class Request, class Response>
class StreamOutput {
 public:
  using Reactor = StreamReactor<Request, Response>;

  explicit StreamOutput(Reactor* reactor) : reactor_(reactor) {}
  StreamOutput(const StreamOutput&) = delete;
  StreamOutput& operator=(const StreamOutput&) = delete;

  // Adds a response without sending, so that a caller can order responses under a lock of its own;
  // pump() sends. False, and dropped, if the stream is ending.
  bool enqueue(std::shared_ptr<const Response> response) {
    const std::lock_guard lock(mutex_);
    if (ending_) return false;
    queue_.push_back(std::move(response));
    return true;
  }

  void pump() {
    std::shared_ptr<const Response> next;
    {
      const std::lock_guard lock(mutex_);
      if (writing_ || finished_) return;
      if (queue_.empty()) {
        if (!ending_) return;
        finished_ = true;
      } else {
        writing_ = true;
        next = queue_.front();
      }
    }
    // No buffer hint: with it gRPC may call a write done only when a later one follows, and the
    // later one waits for that.
    if (next) {
      reactor_->StartWrite(next.get());
    } else {
      reactor_->Finish(*ending_);
    }
  }

  // Ends the stream once what is queued has been sent. The first reason given stays.
  void end(const grpc::Status& status) {
    {
      const std::lock_guard lock(mutex_);
      if (!ending_) ending_ = status;
    }
    pump();
  }

  // Ends the stream without sending what is queued.
  void abandon(const grpc::Status& status) {
    {
      const std::lock_guard lock(mutex_);
      if (!ending_) ending_ = status;
      // The response being written must live until gRPC is done with it.
      while (queue_.size() > (writing_ ? 1U : 0U)) queue_.pop_back();
    }
    pump();
  }

  // To be called when gRPC is done with a write; pump() must follow.
  void written() {
    const std::lock_guard lock(mutex_);
    writing_ = false;
    queue_.pop_front();
  }

  std::size_t waiting() const {
    const std::lock_guard lock(mutex_);
    return queue_.size();
  }

 private:
  Reactor* const reactor_;
  mutable std::mutex mutex_;
  std::deque<std::shared_ptr<const Response>> queue_;  // the front is the one being written
  std::optional<grpc::Status> ending_;                 // set once
  bool writing_ = false;
  bool finished_ = false;
};

}  // namespace conclave::server
