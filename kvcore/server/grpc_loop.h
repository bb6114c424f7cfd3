#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include <grpcpp/alarm.h>
#include <grpcpp/grpcpp.h>

#include "conclave/listener/completion.h"
#include "conclave/listener/corks.h"
#include "conclave/server/driven.h"

namespace conclave::server {

using listener::Completion;

// The thread that waits for the network and, if the handler can be driven, does the handler's work
// too. What has come in is gathered before the handler's turn, so that requests which arrive
// together share a log entry's way to the disk.
//
// One thread, not several: on the way of a call the handing over from thread to thread costs more
// than all the work. So others may report to its queue, too, if their tags are Completions.
class GrpcLoop {
 public:
  GrpcLoop(std::unique_ptr<grpc::ServerCompletionQueue> queue, listener::Corks& corks);
  ~GrpcLoop();  // as shutdown()
  GrpcLoop(const GrpcLoop&) = delete;
  GrpcLoop& operator=(const GrpcLoop&) = delete;

  grpc::ServerCompletionQueue* queue() { return queue_.get(); }

  void start();

  // The handler whose work is done, too, or nobody's. Returns when the thread has left the one that
  // it drove before. Not on the loop's thread.
  void drive(Driven* driven);

  // False once the server is being shut down: no further call may be asked for.
  bool takes_calls() const { return takes_calls_.load(std::memory_order_acquire); }
  void take_no_more_calls() { takes_calls_.store(false, std::memory_order_release); }

  // Runs `work` when the handler has had its turn, or never. By what the loop's thread runs.
  void after_turn(std::function<void()> work) { after_turn_.push_back(std::move(work)); }

  // Waits until every operation has been reported. After the server's own shutdown.
  void shutdown();

 private:
  class Wake final : public Completion {
   public:
    explicit Wake(GrpcLoop& loop) : loop_(loop) {}
    void ask();
    void complete(bool ok) override;

   private:
    GrpcLoop& loop_;
    grpc::Alarm alarm_;
    std::atomic<bool> asked_{false};
  };

  void run();
  void change_driven();
  void gather(std::chrono::steady_clock::time_point until);

  const std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  listener::Corks& corks_;
  Wake wake_;

  std::mutex mutex_;
  std::condition_variable changed_;
  Driven* wanted_ = nullptr;
  Driven* driven_ = nullptr;  // changed by the loop's thread only

  // The loop's thread only.
  int gathered_ = 0;  // by the last turn
  std::vector<std::function<void()>> after_turn_;

  std::atomic<bool> takes_calls_{true};
  std::atomic<bool> ending_{false};
  std::thread thread_;
};

}  // namespace conclave::server
