#pragma once

#include <cstdint>

#include "conclave/base/clock.h"

namespace conclave::sim {

// The clock of one machine: it starts anywhere, runs a little fast or slow, and can jump ahead, as
// after a suspend. It never goes back.
class DriftingClock {
 public:
  DriftingClock(Instant truth, Duration offset, std::int64_t rate_ppm)
      : truth_(truth), local_(truth + offset), rate_ppm_(rate_ppm) {}

  Instant at(Instant truth) const {
    const Duration since = truth - truth_;
    return local_ + since + since / 1'000'000 * rate_ppm_;
  }
  // How long it takes in truth until this clock has gone on so far.
  Duration in_truth(Duration local) const { return local - local / 1'000'000 * rate_ppm_; }
  void set_rate(Instant truth, std::int64_t rate_ppm) {
    local_ = at(truth);
    truth_ = truth;
    rate_ppm_ = rate_ppm;
  }
  void jump(Duration ahead) { local_ += ahead; }

 private:
  Instant truth_;
  Instant local_;
  std::int64_t rate_ppm_;
};

}  // namespace conclave::sim
