#pragma once

#include <chrono>
#include <cstdint>

namespace conclave {

// Linux's CLOCK_BOOTTIME as a std::chrono clock: it never jumps with the wall clock and, other than
// std::chrono::steady_clock, goes on while the machine is suspended, so that a lease's validity
// does not outlive a closed laptop lid.
//
// Only drivers call now(). Everything that decides is given an Instant.
struct BootClock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<BootClock>;
  static constexpr bool is_steady = true;

  static time_point now() noexcept;
};

using Instant = BootClock::time_point;
using Duration = BootClock::duration;

}  // namespace conclave
