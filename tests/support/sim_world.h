#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <queue>
#include <utility>
#include <vector>

#include "conclave/base/clock.h"
#include "conclave/base/random.h"
#include "conclave/client/executor.h"

namespace conclave::sim {

// True time and the order of everything, from one seed. Events of one instant run in the order of
// at().
class World {
 public:
  explicit World(std::uint64_t seed) : random_(seed) {}

  Instant now() const { return now_; }
  Random& random() { return random_; }
  void at(Instant when, std::function<void()> event);
  void after(Duration delay, std::function<void()> event) { at(now_ + delay, std::move(event)); }
  // Runs the next event; false if there is none before or at `end`, and then it is `end`.
  bool step(Instant end);

  // Uniform in [from, to].
  Duration between(Duration from, Duration to);
  bool chance(std::uint64_t numerator, std::uint64_t denominator) {
    return random_.chance(numerator, denominator);
  }

 private:
  struct Entry {
    Instant when;
    std::uint64_t sequence;
    std::size_t place;  // in events_
    bool operator>(const Entry& other) const {
      return std::pair(when, sequence) > std::pair(other.when, other.sequence);
    }
  };

  Random random_;
  Instant now_{std::chrono::hours(1)};
  std::uint64_t sequence_ = 0;
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> queue_;
  // Apart from the queue, in which entries change places often.
  std::vector<std::function<void()>> events_;
  std::vector<std::size_t> free_places_;
};

// The loop of one process, with a clock of its own that starts anywhere and runs a little fast or
// slow. It can be paused, as a process is by SIGSTOP: its clock goes on and what becomes due waits.
// It can crash.
//
// Lifetime: what it runs is dropped when it crashes; it must outlive the world's events, so whoever
// makes it keeps it to the end.
class SimExecutor final : public Executor {
 public:
  // `rate_ppm`: by how many millionths this clock is fast.
  SimExecutor(World& world, Duration offset, std::int64_t rate_ppm)
      : world_(world), offset_(offset), rate_ppm_(rate_ppm) {}

  Instant now() const override { return local(world_.now()); }
  void post(Task task) override;
  TimerId run_at(Instant when, Task task) override;
  void cancel(TimerId timer) override { timers_.erase(timer); }

  void pause() { paused_ = true; }
  void resume();
  void crash();
  bool paused() const { return paused_; }
  bool crashed() const { return crashed_; }

 private:
  Instant local(Instant truth) const;
  Instant truth(Instant local) const;
  void run(Task task);
  void fire(TimerId timer);

  World& world_;
  Duration offset_;
  std::int64_t rate_ppm_;
  bool paused_ = false;
  bool crashed_ = false;
  TimerId last_timer_ = 0;
  std::map<TimerId, Task> timers_;
  std::deque<Task> held_tasks_;
  std::deque<TimerId> held_timers_;
};

}  // namespace conclave::sim
