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

// What waits in a StreamOutput, as gRPC is given it; overloads make one in `room`, which lives
// until it is written.
template <class Response>
const Response* to_response(const std::shared_ptr<const Response>& queued, Response& /*room*/) {
  return queued.get();
}

// The sending half of a bidirectional stream: a queue in front of gRPC, which takes one write at a
// time, and the rule by which the stream ends exactly once.
//
// Any thread. No lock is held while gRPC is asked to write or finish: the thread that sets
// `writing_` or `finished_` owns that one call, and the reactor lives until Finish has been
// reported. Once finished, the reactor is never touched again.
template <class Request, class Response, class Queued = std::shared_ptr<const Response>>
class StreamOutput {
 public:
  using Reactor = StreamReactor<Request, Response>;

  explicit StreamOutput(Reactor* reactor) : reactor_(reactor) {}
  StreamOutput(const StreamOutput&) = delete;
  StreamOutput& operator=(const StreamOutput&) = delete;

  // Adds a response without sending, so that a caller can order responses under a lock of its own;
  // pump() sends. False, and dropped, if the stream is ending.
  bool enqueue(Queued response) {
    const std::lock_guard lock(mutex_);
    if (ending_) return false;
    queue_.push_back(std::move(response));
    return true;
  }

  void pump() {
    const Queued* next = nullptr;
    grpc::WriteOptions options;
    {
      const std::lock_guard lock(mutex_);
      if (writing_ || finished_) return;
      if (queue_.empty()) {
        if (!ending_) return;
        finished_ = true;
      } else {
        writing_ = true;
        next = &queue_.front();  // nobody but written() removes it
        // What follows at once leaves the process together. Not with the first response, which
        // carries the call's metadata: gRPC calls that written only when something later is sent,
        // and the later one waits for that.
        if (began_ && queue_.size() > 1) options.set_buffer_hint();
        began_ = true;
      }
    }
    if (next) {
      reactor_->StartWrite(to_response(*next, room_), options);
    } else {
      reactor_->Finish(*ending_);
    }
  }

  // Begins the next read, if the reactor is still there for it. For those who are not called by it;
  // gRPC does not call back from here, so the lock may keep Finish away.
  void start_read(Request* request) {
    const std::lock_guard lock(mutex_);
    if (!finished_) reactor_->StartRead(request);
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

  // To be called when gRPC is done with a write; pump() must follow. Returns how many wait.
  std::size_t written() {
    const std::lock_guard lock(mutex_);
    writing_ = false;
    queue_.pop_front();
    return queue_.size();
  }

  std::size_t waiting() const {
    const std::lock_guard lock(mutex_);
    return queue_.size();
  }

 private:
  Reactor* const reactor_;
  mutable std::mutex mutex_;
  std::deque<Queued> queue_;            // the front is the one being written
  std::optional<grpc::Status> ending_;  // set once
  bool began_ = false;
  bool writing_ = false;
  bool finished_ = false;
  Response room_;  // of whoever set writing_
};

}  // namespace conclave::server
