#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include <grpcpp/alarm.h>
#include <grpcpp/grpcpp.h>

#include "conclave/listener/completion.h"

namespace conclave::transport {

using listener::Completion;

// An operation of a T, which stays alive until it ends:
//   stream_->Read(&message_, read_.begin(shared_from_this()));
template <class T, void (T::*on_end)(bool ok)>
class Operation final : public Completion {
 public:
  void* begin(std::shared_ptr<T> owner) {
    owner_ = std::move(owner);
    return static_cast<Completion*>(this);
  }
  void complete(bool ok) override {
    const std::shared_ptr<T> owner = std::move(owner_);
    ((*owner).*on_end)(ok);
  }

 private:
  std::shared_ptr<T> owner_;
};

// The one thread that does the links' work, and everything that happens on it: the ends of gRPC's
// operations, tasks, timers.
//
// It is a thread of the loop's own, or a host's: then the host polls its queue for as long as this
// object lives, and treats each tag as a Completion. Two threads that poll in one process hand
// each other's events over, one at a time; a write of a lone client then wakes a dozen threads.
class EventLoop {
 public:
  using Task = std::function<void()>;

  static constexpr std::chrono::milliseconds kTick{20};

  // Alive while gRPC may still report to what holds it: the loop ends after the last one. Made by
  // the loop's thread, or before it starts.
  class Hold {
   public:
    explicit Hold(EventLoop& loop) : loop_(loop) { loop_.add_holds(1); }
    ~Hold() { loop_.add_holds(-1); }
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;

   private:
    EventLoop& loop_;
  };

  // `queue` is of the links' server. `host` may be null: a thread of its own.
  EventLoop(std::unique_ptr<grpc::ServerCompletionQueue> queue, grpc::CompletionQueue* host);
  ~EventLoop();  // as shutdown()
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Where new calls of peers are announced. With a host that is looked into now and then.
  grpc::ServerCompletionQueue* arrivals() { return queue_.get(); }
  // Where everything else is reported.
  grpc::CompletionQueue* queue() { return host_ != nullptr ? host_ : queue_.get(); }

  void start();

  // Any thread. Does nothing once the loop has ended.
  void post(Task task);

  // The loop's thread. Timers that are not due when the loop ends never run.
  void after(std::chrono::milliseconds wait, Task task);

  // The loop's thread. How often a loop with a host looks for new calls and timers; often unless
  // set. Each look costs the host's thread a little.
  void set_tick(std::chrono::milliseconds pause);

  // Waits until nothing is held any more, then ends. Not on the loop's thread.
  void shutdown();

 private:
  using Clock = std::chrono::steady_clock;

  // An alarm that calls a function on the loop's thread; set again only when it has rung.
  class Bell final : public Completion {
   public:
    Bell(EventLoop& loop, void (EventLoop::*ring)()) : loop_(loop), ring_(ring) {}
    void set(std::chrono::milliseconds wait);
    void cancel() { alarm_.Cancel(); }
    void complete(bool ok) override;

   private:
    EventLoop& loop_;
    void (EventLoop::*const ring_)();
    grpc::Alarm alarm_;
  };

  void run();
  grpc::CompletionQueue::NextStatus run_one(Clock::duration wait);
  void wake();  // with mutex_ held
  void run_tasks();
  void run_timers();
  void tick();
  void add_holds(int count);

  const std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  grpc::CompletionQueue* const host_;
  std::thread thread_;

  // The loop's thread only.
  std::multimap<Clock::time_point, Task> timers_;
  std::chrono::milliseconds tick_pause_ = kTick;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Task> tasks_;
  Bell wake_{*this, &EventLoop::run_tasks};
  bool is_waking_ = false;
  Bell tick_{*this, &EventLoop::tick};
  bool is_ticking_ = false;
  int holds_ = 0;
  bool ending_ = false;
  bool ended_ = false;
};

}  // namespace conclave::transport
