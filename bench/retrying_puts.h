#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "conclave/base/random.h"
#include "conclave/bench/connection.h"
#include "conclave/bench/event_loop.h"
#include "conclave/bench/flood.h"

namespace conclave::bench {

// The first success of an attempt that was begun after an event: what was on its way before says
// nothing of it.
class FirstAfter {
 public:
  void expect(TimePoint event) {
    event_ = event;
    ended_.reset();
  }
  void note_success(TimePoint begun, TimePoint ended) {
    if (!ended_ && event_ && begun > *event_) ended_ = ended;
  }
  std::optional<TimePoint> ended() const { return ended_; }

 private:
  std::optional<TimePoint> event_;
  std::optional<TimePoint> ended_;
};

// A few clients that want their puts accepted, whoever leads. Each puts at one member after the
// other; an attempt that fails, or is not answered in time, is given up and made again at the next.
// A member that cannot be reached is connected to anew when its turn comes. Attempts are given up
// between half of the limit and the whole: clients that fail together then do not go on in step,
// and what is measured with them is not a multiple of the limit.
//
// Caveat: an attempt that was given up may be carried out.
class RetryingPuts {
 public:
  struct Options {
    std::vector<std::uint16_t> ports;    // one of each member
    int clients = 1;                     // each with connections of its own
    std::chrono::milliseconds pause{0};  // of a client whose put was accepted
    std::chrono::milliseconds attempt_limit{50};
  };

  RetryingPuts(EventLoop& loop, CallSource& source, Options options);
  ~RetryingPuts();
  RetryingPuts(const RetryingPuts&) = delete;
  RetryingPuts& operator=(const RetryingPuts&) = delete;

  // From now on first_accepted() is about puts that are sent from now on.
  void expect_new() { first_.expect(Clock::now()); }
  std::optional<TimePoint> first_accepted() const { return first_.ended(); }

  std::int64_t attempts() const { return attempts_; }
  std::int64_t accepted() const { return accepted_; }
  // Of the attempt that failed last, for who wonders why none is accepted.
  const std::string& last_error() const { return last_error_; }

 private:
  class Client;

  void note_accepted(TimePoint sent);
  std::chrono::nanoseconds draw_limit();

  EventLoop& loop_;
  CallSource& source_;
  const Options options_;
  std::vector<std::unique_ptr<Client>> clients_;
  FirstAfter first_;
  Random random_{5};
  std::int64_t attempts_ = 0;
  std::int64_t accepted_ = 0;
  std::string last_error_;
};

}  // namespace conclave::bench
