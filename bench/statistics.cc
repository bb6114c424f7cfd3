#include "conclave/bench/statistics.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>

namespace conclave::bench {
namespace {

constexpr int kLinearBits = 6;  // 64 buckets for each doubling
constexpr std::uint64_t kLinear = std::uint64_t{1} << kLinearBits;
constexpr std::size_t kBuckets = (64 - kLinearBits) * kLinear + kLinear;

int shift_of(std::uint64_t value) {
  return std::max(0, static_cast<int>(std::bit_width(value)) - kLinearBits - 1);
}

std::size_t bucket_of(std::uint64_t value) {
  const int shift = shift_of(value);
  return static_cast<std::size_t>(shift) * kLinear + (value >> shift);
}

// The middle of a bucket, which bucket_of() inverts.
double value_of(std::size_t bucket) {
  if (bucket < 2 * kLinear) return static_cast<double>(bucket);
  const std::size_t shift = bucket / kLinear - 1;
  const std::uint64_t low = (bucket - shift * kLinear) << shift;
  return static_cast<double>(low) + static_cast<double>(std::uint64_t{1} << shift) / 2;
}

}  // namespace

LatencyHistogram::LatencyHistogram() : buckets_(kBuckets) {}

void LatencyHistogram::record_ns(std::int64_t duration_ns) {
  const std::uint64_t value = static_cast<std::uint64_t>(std::max<std::int64_t>(0, duration_ns));
  ++buckets_[bucket_of(value)];
  ++count_;
  max_ns_ = std::max(max_ns_, value);
}

void LatencyHistogram::clear() {
  std::ranges::fill(buckets_, 0);
  count_ = 0;
  max_ns_ = 0;
}

double LatencyHistogram::percentile_us(double share) const {
  if (count_ == 0) return 0;
  const auto wanted = static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(count_)));
  std::uint64_t seen = 0;
  for (std::size_t bucket = 0; bucket < buckets_.size(); ++bucket) {
    seen += buckets_[bucket];
    if (seen >= std::max<std::uint64_t>(1, wanted)) {
      return std::min(value_of(bucket), static_cast<double>(max_ns_)) / 1e3;
    }
  }
  return max_us();
}

Spread spread_of(std::vector<double> values) {
  if (values.empty()) return {};
  std::ranges::sort(values);
  const std::size_t middle = values.size() / 2;
  const double median =
      values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
  return {median, values.front(), values.back()};
}

double percentile_of(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(values.size())));
  return values[std::clamp<std::size_t>(rank, 1, values.size()) - 1];
}

double times_better(double ours, double theirs, Better better) {
  if (ours <= 0 || theirs <= 0) return 0;
  return better == Better::higher ? ours / theirs : theirs / ours;
}

std::string readable(double value) {
  const double size = std::abs(value);
  const char* unit = "";
  if (size >= 1e6) {
    value /= 1e6;
    unit = "M";
  } else if (size >= 1e4) {
    value /= 1e3;
    unit = "k";
  }
  const double shown = std::abs(value);
  const int decimals = shown == 0 || shown >= 100 ? 0 : shown >= 10 ? 1 : shown >= 1 ? 2 : 3;
  char text[64];
  std::snprintf(text, sizeof(text), "%.*f%s", decimals, value, unit);
  return text;
}

}  // namespace conclave::bench
