#pragma once

#include <bit>
#include <cstdint>

namespace conclave {

// A seeded generator: the same seed gives the same numbers on every machine, which std's
// distributions do not promise. xoshiro256** (Blackman and Vigna, 2018), its state filled by
// SplitMix64.
//
// Not for secrets. Not thread-safe: each owner has its own, made from a seed that a driver drew.
class Random {
 public:
  explicit Random(std::uint64_t seed) {
    for (std::uint64_t& word : state_) {
      seed += 0x9e3779b97f4a7c15;
      std::uint64_t mixed = seed;
      mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
      mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
      word = mixed ^ (mixed >> 31);
    }
  }

  std::uint64_t next() {
    const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
    const std::uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }

  // Uniform in [0, bound); bound must be above 0. Lemire's multiply-shift; its bias (under
  // bound/2^64) does not matter for jitter and simulation.
  std::uint64_t below(std::uint64_t bound) {
    return static_cast<std::uint64_t>((static_cast<unsigned __int128>(next()) * bound) >> 64);
  }

  // True once in `denominator` times on average, `numerator` times as often.
  bool chance(std::uint64_t numerator, std::uint64_t denominator) {
    return below(denominator) < numerator;
  }

 private:
  std::uint64_t state_[4];
};

}  // namespace conclave
