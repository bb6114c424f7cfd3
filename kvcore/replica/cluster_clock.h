#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "conclave/base/clock.h"

namespace conclave::replica {

// The time on which leases live: it stands in every log entry and runs only while somebody leads.
//
// A leader goes on from the last stamp in its log, by the monotonic time that it has led since; so
// what remained of a lease at a leader's death remains under the next one. A stall longer than an
// election timeout (the process was stopped, the machine slept) is not counted in full: others may
// have led in between, and a lease must never expire early.
//
// What a deposed leader's clock showed beyond that stamp does not count: its successor may not have
// known it, and renewed leases by less.
//
// Caveat: late by the time in which nobody led, never early.
class ClusterClock {
 public:
  explicit ClusterClock(Duration stall_limit) : stall_limit_(stall_limit) {}

  // A stamp was applied or found in the log.
  void observe(std::int64_t stamp_ms) { stamp_ns_ = std::max(stamp_ns_, stamp_ms * kNsPerMs); }

  // `since_ms`: the last stamp in the log, or later if the leader that wrote the log's last entry
  // is known to have come further.
  void start_leading(std::int64_t since_ms, Instant now) {
    leading_ = true;
    last_seen_ = now;
    stamp_ns_ = since_ms * kNsPerMs;
  }
  void stop_leading() { leading_ = false; }

  // Lets the time since the last call pass. Called at least once a tick, so that only stalls are
  // longer.
  void advance(Instant now) {
    if (!leading_ || now <= last_seen_) return;
    stamp_ns_ += std::min(now - last_seen_, stall_limit_).count();
    last_seen_ = now;
  }

  std::int64_t now_ms() const { return stamp_ns_ / kNsPerMs; }

  // For those who do not lead, to show: what the leader's time may be by now. Decides nothing.
  void note_observed(Instant now) { observed_ = now; }
  std::int64_t estimate_ms(Instant now) const {
    if (leading_ || observed_ == Instant{} || now <= observed_) return now_ms();
    return (stamp_ns_ + (now - observed_).count()) / kNsPerMs;
  }

 private:
  static constexpr std::int64_t kNsPerMs = 1000000;

  const Duration stall_limit_;
  bool leading_ = false;
  Instant last_seen_{};
  Instant observed_{};
  std::int64_t stamp_ns_ = 0;
};

}  // namespace conclave::replica
