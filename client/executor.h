#pragma once

#include <cstdint>
#include <functional>

#include "conclave/base/clock.h"

namespace conclave {

// The world's clock and order of execution, as a port: a client's loop thread implements it, and
// the simulation replaces it with virtual time.
//
// Threads: post() and now() from any thread; run_at() and cancel() only from within a task. Tasks
// run one at a time, in the order of post() and, for timers, of their instants.
class Executor {
 public:
  using Task = std::function<void()>;
  using TimerId = std::uint64_t;  // 0: none

  virtual ~Executor() = default;

  virtual Instant now() const = 0;
  virtual void post(Task task) = 0;
  virtual TimerId run_at(Instant when, Task task) = 0;
  // Of a timer that has run already, or of 0: nothing happens.
  virtual void cancel(TimerId timer) = 0;
};

}  // namespace conclave
