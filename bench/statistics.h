#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace conclave::bench {

// Durations in buckets that are at most 1/64 of their value wide, so a percentile is off by less
// than one in a hundred. Takes the same memory for any number of them.
class LatencyHistogram {
 public:
  LatencyHistogram();

  void record_ns(std::int64_t duration_ns);
  void clear();

  std::uint64_t count() const { return count_; }
  // The duration that `share` of all (0.5 the median, 0.999) did not exceed; 0 if there is none.
  double percentile_us(double share) const;
  double max_us() const { return static_cast<double>(max_ns_) / 1e3; }

 private:
  std::vector<std::uint64_t> buckets_;
  std::uint64_t count_ = 0;
  std::uint64_t max_ns_ = 0;
};

// The middle and the ends of some repetitions' results.
struct Spread {
  double median = 0;
  double min = 0;
  double max = 0;
};

// All zero for no values at all.
Spread spread_of(std::vector<double> values);

// The smallest value that `share` of all (0.9) did not exceed; 0 for no values at all.
double percentile_of(std::vector<double> values, double share);

enum class Better { higher, lower };

// How many times better `ours` is than `theirs`; 0 if either is not positive.
double times_better(double ours, double theirs, Better better);

// Three significant digits, and a k or M where that reads better: 0.123, 12.3, 48.2k.
std::string readable(double value);

}  // namespace conclave::bench
