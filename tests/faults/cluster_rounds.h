#pragma once

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "tests/faults/load.h"
#include "tests/support/conclave_cluster.h"

namespace conclave::test {

// The environment's CONCLAVE_LONG asks for as much as a night has time for.
inline bool is_long_run() {
  return std::getenv("CONCLAVE_LONG") != nullptr;  // NOLINT(concurrency-mt-unsafe)
}
inline int rounds(int usual, int in_long_run) {
  return is_long_run() ? in_long_run : usual;
}

inline std::string text_of(ConclaveCluster::Timers timers) {
  return std::to_string(timers.heartbeat_ms) + "/" + std::to_string(timers.election_ms) + " ms";
}

// Durations, and a line about them.
struct Times {
  std::vector<double> all_ms;

  double median_ms() const {
    std::vector<double> sorted = all_ms;
    std::ranges::sort(sorted);
    return sorted.empty() ? 0 : sorted[sorted.size() / 2];
  }
  double worst_ms() const { return all_ms.empty() ? 0 : *std::ranges::max_element(all_ms); }
  void print(const std::string& what, double unit_ms) const {
    std::printf("%s: median %.0f ms (%.2f election timeouts), worst %.0f ms (%.2f), of %zu\n",
                what.c_str(), median_ms(), median_ms() / unit_ms, worst_ms(), worst_ms() / unit_ms,
                all_ms.size());
    std::fflush(stdout);
  }
};

}  // namespace conclave::test
