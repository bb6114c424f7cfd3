#include "conclave/base/clock.h"

#include <time.h>

#include "conclave/base/check.h"

namespace conclave {

BootClock::time_point BootClock::now() noexcept {
  timespec reading{};
  CONCLAVE_CHECK(clock_gettime(CLOCK_BOOTTIME, &reading) == 0, "CLOCK_BOOTTIME cannot be read");
  return time_point(std::chrono::seconds(reading.tv_sec) +
                    std::chrono::nanoseconds(reading.tv_nsec));
}

}  // namespace conclave
