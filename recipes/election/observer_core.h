#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>

#include "conclave/base/clock.h"
#include "conclave/base/result.h"
#include "conclave/client/store.h"
#include "conclave/election/observer_machine.h"

namespace conclave::election {

// The driver of an ObserverMachine, and the queue from which a thread pulls what it saw. Past 1,000
// changes that nobody fetches it pauses the watch.
class ObserverCore : public std::enable_shared_from_this<ObserverCore> {
 public:
  ObserverCore(Store& store, std::string name, std::int64_t after);

  // From the executor's tasks.
  void start();
  void stop();

  // From any thread but the executor's, one at a time.
  Result<LeaderChange> next(const std::stop_token& stop, std::optional<Instant> deadline);
  Executor& executor() const { return store_.executor(); }

 private:
  void pump();
  void carry_out(ObserverAction action);
  void publish(LeaderChange change);

  Store& store_;
  ObserverMachine machine_;
  bool stopped_ = false;
  std::unique_ptr<WatchHandle> watch_;
  Executor::TimerId timer_ = 0;

  std::mutex mutex_;
  std::condition_variable_any arrived_;
  std::deque<LeaderChange> changes_;  // under mutex_
  bool full_ = false;                 // under mutex_
  std::optional<Error> error_;        // under mutex_
};

}  // namespace conclave::election
