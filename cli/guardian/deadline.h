#pragma once

#include <chrono>
#include <cstdint>

#include "conclave/base/clock.h"

namespace conclave::cli {

// How long before the end of a lock's validity its command must be ended. The lock's validity
// itself ends before the lease does (see Session), so this is what a loaded machine has for killing
// and reaping.
struct KillMargins {
  Duration terminate;  // SIGTERM so long before the end: the command may still tidy up
  Duration kill;       // SIGKILL so long before the end
};

// A fifth of the TTL, at most 3 s, for killing; before that half as much again for SIGTERM. A
// session renews when two thirds of its TTL are left, so that several renewals must fail before a
// command is touched.
KillMargins margins_for(Duration ttl);

// Why a command is being ended, or was.
enum class EndCause : std::uint8_t {
  none = 0,       // it runs, or ended by itself
  leftovers = 1,  // it ended by itself and left processes behind
  deadline = 2,   // the validity of the lock ran out
  lost = 3,       // the lock is known to be lost
  abandoned = 4,  // the process that keeps the lock alive is gone
};

// Decides when the command is to be told to end and when it is killed. Pure: time is an argument.
//
// An ending is final: an extension that comes later does not save a command that was told to end.
class KillSchedule {
 public:
  enum class Action : std::uint8_t { wait, terminate, kill };
  struct Decision {
    Action action;  // `terminate` is decided once; `kill` again and again
    Instant again_at;
  };

  // How long after SIGTERM an abandoned command, or what a command left behind, gets SIGKILL.
  static constexpr Duration kGrace = std::chrono::seconds(2);
  // What a command left behind may first end by itself: the tail of a pipeline, say.
  static constexpr Duration kLinger = std::chrono::milliseconds(300);

  KillSchedule(Duration ttl, Instant valid_until);

  // The lock is now valid until then; ignored once the command is being ended.
  void extend(Instant valid_until);
  // Ends the command now: at once if the lock is lost, otherwise with SIGTERM and, after kGrace or
  // when the validity demands it, SIGKILL. The first cause stands, but a lost lock always hurries.
  void end(EndCause cause, Instant now);

  Decision decide(Instant now);
  EndCause cause() const { return cause_; }

 private:
  KillMargins margins_;
  Instant terminate_at_;
  Instant kill_at_;
  EndCause cause_ = EndCause::none;
  bool terminated_ = false;
};

}  // namespace conclave::cli
