#pragma once

#include <cstdint>
#include <string>

#include "conclave/base/clock.h"
#include "conclave/base/error.h"
#include "conclave/client/types.h"
#include "conclave/session/fence.h"

namespace conclave::session {

// What the machines of this room know of the present: the time, and until when the session is
// valid.
struct Moment {
  Instant now;
  Instant valid_until;

  bool session_valid() const { return now < valid_until; }
};

// Effects for a driver to carry out, in order.

// The answer goes to on_txn() with the same number.
struct SendTxn {
  std::uint64_t request = 0;
  Txn txn;
  Instant deadline;
};

enum class WatchSlot : std::uint8_t { own, predecessor };

// Replaces what the slot had; of a watch that was replaced or stopped nothing more is delivered.
struct StartWatch {
  WatchSlot slot = WatchSlot::own;
  Watch watch;
};
struct StopWatch {
  WatchSlot slot = WatchSlot::own;
};

// The key is to be removed, for as long as the session lives. `uncertain`: a request that creates
// it may still be under way, so it must be watched for afterwards.
struct Bury {
  std::string key;
  std::int64_t create_revision = 0;  // 0: not known
  bool uncertain = false;
};

struct Waiting {
  std::string predecessor;
};
struct Granted {
  Fence fence;
};
// The wait ended without a turn.
struct Ended {
  Error error;
};
// The turn was taken away.
struct Taken {
  Error reason;
};
// The store has acknowledged that the key is gone. `found`: it was there, or may have been.
struct Removed {
  bool found = false;
};

// How long a request may take before it is given up and, if need be, made again.
constexpr Duration kRequestTimeout = std::chrono::seconds(3);

// Whether the same request may fare better in a while.
inline bool is_transient(Errc code) {
  return code == Errc::unavailable || code == Errc::unknown_outcome || code == Errc::timed_out ||
         code == Errc::cancelled;
}

// Waiting times between attempts: 100 ms, doubled up to 1.6 s.
class Backoff {
 public:
  Duration next() {
    const Duration delay = std::chrono::milliseconds(100) * (1 << step_);
    if (step_ < 4) ++step_;
    return delay;
  }
  void reset() { step_ = 0; }

 private:
  int step_ = 0;
};

}  // namespace conclave::session
