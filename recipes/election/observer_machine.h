#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "conclave/base/clock.h"
#include "conclave/base/result.h"
#include "conclave/client/store.h"
#include "conclave/election/election.h"
#include "conclave/session/actions.h"

namespace conclave::election {

struct SendGet {
  std::uint64_t request = 0;
  Get get;
  Instant deadline;
};
struct StartObserving {
  Watch watch;
};
struct StopObserving {};
struct Changed {
  LeaderChange change;
};
// For good.
struct ObserverFailed {
  Error error;
};
using ObserverAction =
    std::variant<SendGet, StartObserving, StopObserving, Changed, ObserverFailed>;

// Follows the head of a queue, without clock or I/O: reads all contenders at one revision, watches
// the whole name from the next one on, and works out the head after each revision. Only observers
// watch a whole name; contenders never do.
class ObserverMachine {
 public:
  ObserverMachine(std::string name, std::int64_t after);

  void start(Instant now);
  void on_get(Instant now, std::uint64_t request, const Result<GetResult>& answer);
  void on_watch(Instant now, const WatchNotice& notice);
  void on_timer(Instant now);
  // While changes are not fetched: no events, and later all that were missed.
  void pause();
  void resume();

  std::vector<ObserverAction> take_actions();
  Instant timer() const { return retry_at_; }

 private:
  void send_get(Instant now);
  void watch_on();
  void apply(const Event& event);
  void report(bool always);
  void fail(Error error);

  std::string name_;
  std::string prefix_;
  std::int64_t read_at_;  // revision of the first read; 0: now
  bool gap_ = false;      // of the next change
  bool reading_ = true;   // until a read has been answered there is nothing to watch from
  bool paused_ = false;
  bool failed_ = false;
  std::uint64_t request_ = 0;
  std::int64_t revision_ = 0;                  // up to which all is known
  std::map<std::int64_t, Leader> contenders_;  // by create revision
  std::optional<Leader> reported_;
  Instant retry_at_ = Instant::max();
  session::Backoff backoff_;
  std::vector<ObserverAction> actions_;
};

}  // namespace conclave::election
