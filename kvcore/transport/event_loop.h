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

namespace conclave::transport {

// What gRPC reports the end of: an operation that was started with this as its tag.
class Completion {
 public:
  virtual void complete(bool ok) = 0;

 protected:
  ~Completion() = default;
};

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

// The one thread that waits for the network, and everything that happens on it: the ends of gRPC's
// operations, tasks, timers.
class EventLoop {
 public:
  using Task = std::function<void()>;

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

  explicit EventLoop(std::unique_ptr<grpc::ServerCompletionQueue> queue);
  ~EventLoop();  // as shutdown()
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  grpc::ServerCompletionQueue* queue() { return queue_.get(); }

  void start();

  // Any thread. Does nothing once the loop has ended.
  void post(Task task);

  // The loop's thread. Timers that are not due when the loop ends never run.
  void after(std::chrono::milliseconds wait, Task task);

  // Waits until nothing is held any more, then ends the thread. Not on the loop's thread.
  void shutdown();

 private:
  using Clock = std::chrono::steady_clock;

  void run();
  void wake();  // with mutex_ held
  void run_tasks();
  void run_timers();
  void add_holds(int count);

  const std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  std::thread thread_;

  // The loop's thread only.
  std::multimap<Clock::time_point, Task> timers_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Task> tasks_;
  grpc::Alarm wake_;
  bool is_waking_ = false;
  int holds_ = 0;
  bool ended_ = false;
};

}  // namespace conclave::transport
