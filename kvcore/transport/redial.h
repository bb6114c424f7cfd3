#pragma once

#include <algorithm>
#include <chrono>

namespace conclave::transport {

// When a lane is dialled again. A link that lived long enough is dialled at once; one that breaks
// again and again, with doubling pauses; one that was refused, slowly.
class Redial {
 public:
  using Milliseconds = std::chrono::milliseconds;

  struct Pauses {
    Milliseconds min;
    Milliseconds max;
    Milliseconds refused;
  };

  explicit Redial(Pauses pauses) : pauses_(pauses) {}

  Milliseconds after_refusal() {
    failures_ = 0;
    return pauses_.refused;
  }
  // `lived`: how long the link was established; nothing if it never was.
  Milliseconds after_break(Milliseconds lived) {
    if (lived >= kStableLife) failures_ = 0;
    const Milliseconds pause = failures_ == 0 ? Milliseconds{0} : pause_of(failures_);
    failures_ = std::min(failures_ + 1, kFailuresMax);
    return pause;
  }

 private:
  static constexpr Milliseconds kStableLife{1000};
  static constexpr int kFailuresMax = 16;  // more than any doubling needs

  Milliseconds pause_of(int failures) const {
    return std::min(pauses_.max, pauses_.min * (1 << (failures - 1)));
  }

  const Pauses pauses_;
  int failures_ = 0;
};

}  // namespace conclave::transport
