#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <utility>
#include <vector>

namespace conclave::bench {

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;

class Pollable {
 public:
  virtual ~Pollable() = default;
  virtual void on_ready(std::uint32_t events) = 0;
  // Sends what has gathered since; called once for each mark, before the loop waits.
  virtual void flush() = 0;
};

// From now on SIGINT and SIGTERM end every run() instead of the process, so that servers and their
// directories are cleared away.
void catch_interrupts();
bool is_interrupted();

// One thread, one epoll, timers of nanoseconds: all that a generator does happens inside run().
//
// Caveat: what is watched must not be destroyed inside run().
class EventLoop {
 public:
  using TimerId = std::pair<TimePoint, std::uint64_t>;

  EventLoop();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Edge-triggered, for reading and writing.
  void watch(int fd, Pollable& pollable);
  void forget(int fd, Pollable& pollable);
  // Reports again what it is ready for, though that has not changed.
  void look_again(int fd, Pollable& pollable);
  void mark_for_flush(Pollable& pollable) { to_flush_.push_back(&pollable); }

  TimerId at(TimePoint when, std::function<void()> callback);
  void cancel(const TimerId& timer) { timers_.erase(timer); }

  // Until `done` holds (true), or `limit` has passed or an interrupt has come (false).
  bool run(const std::function<bool()>& done, std::chrono::nanoseconds limit);

 private:
  void set_events(int operation, int fd, Pollable& pollable);
  void flush_marked();
  bool fire_due_timers(TimePoint now);
  void wait_until(TimePoint deadline);

  int epoll_ = -1;
  std::vector<Pollable*> to_flush_;
  std::map<TimerId, std::function<void()>> timers_;
  std::uint64_t timers_made_ = 0;
};

// Calls at a fixed rate. What was due while the loop was busy is made up for at once and with the
// time at which it should have come, so that a stalled server does not slow its own measuring.
class Pacer {
 public:
  Pacer(EventLoop& loop, double per_second, std::function<void(TimePoint due)> tick);
  ~Pacer() { stop(); }
  Pacer(const Pacer&) = delete;
  Pacer& operator=(const Pacer&) = delete;

  void stop();

 private:
  void arm();
  void fire();
  TimePoint due() const;

  EventLoop& loop_;
  const double interval_ns_;
  const std::function<void(TimePoint)> tick_;
  const TimePoint start_;
  std::int64_t ticks_ = 0;
  bool stopped_ = false;
  EventLoop::TimerId timer_;
};

}  // namespace conclave::bench
