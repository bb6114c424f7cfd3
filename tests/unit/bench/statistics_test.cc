#include "conclave/bench/statistics.h"

#include <gtest/gtest.h>

namespace conclave::bench {
namespace {

TEST(LatencyHistogram, SmallDurationsAreExact) {
  LatencyHistogram histogram;
  for (int ns = 1; ns <= 100; ++ns) histogram.record_ns(ns);
  EXPECT_EQ(histogram.count(), 100U);
  EXPECT_DOUBLE_EQ(histogram.percentile_us(0.5), 0.050);
  EXPECT_DOUBLE_EQ(histogram.percentile_us(0.99), 0.099);
  EXPECT_DOUBLE_EQ(histogram.percentile_us(1), 0.100);
}

TEST(LatencyHistogram, EveryDurationIsWithinOneInAHundred) {
  for (std::int64_t ns = 1; ns < std::int64_t{1} << 60; ns += ns / 16 + 1) {
    LatencyHistogram histogram;
    histogram.record_ns(ns);
    histogram.record_ns(std::int64_t{1} << 61);
    const double expected = static_cast<double>(ns) / 1e3;
    EXPECT_NEAR(histogram.percentile_us(0.5), expected, expected / 100) << ns;
  }
}

TEST(LatencyHistogram, APercentileIsNeverAboveTheLongest) {
  LatencyHistogram histogram;
  histogram.record_ns(1'000'001);
  EXPECT_LE(histogram.percentile_us(0.999), histogram.max_us());
}

TEST(LatencyHistogram, TheTailIsTheOneInAThousand) {
  LatencyHistogram histogram;
  for (int i = 0; i < 998; ++i) histogram.record_ns(1'000);
  histogram.record_ns(5'000'000);
  histogram.record_ns(9'000'000);
  EXPECT_NEAR(histogram.percentile_us(0.99), 1, 0.01);
  EXPECT_NEAR(histogram.percentile_us(0.999), 5'000, 50);
  histogram.clear();
  EXPECT_EQ(histogram.percentile_us(0.5), 0);
  EXPECT_EQ(histogram.max_us(), 0);
}

TEST(Spread, MiddleAndEnds) {
  const Spread odd = spread_of({3, 1, 2});
  EXPECT_EQ(odd.median, 2);
  EXPECT_EQ(odd.min, 1);
  EXPECT_EQ(odd.max, 3);
  EXPECT_EQ(spread_of({4, 1, 2, 3}).median, 2.5);
  EXPECT_EQ(spread_of({}).max, 0);
}

TEST(Percentile, IsOneOfTheValues) {
  std::vector<double> values;
  for (int i = 20; i >= 1; --i) values.push_back(i);
  EXPECT_EQ(percentile_of(values, 0.9), 18);
  EXPECT_EQ(percentile_of(values, 0.91), 19);
  EXPECT_EQ(percentile_of(values, 1), 20);
  EXPECT_EQ(percentile_of(values, 0), 1);
  EXPECT_EQ(percentile_of({}, 0.9), 0);
}

TEST(TimesBetter, FollowsTheDirection) {
  EXPECT_EQ(times_better(30, 10, Better::higher), 3);
  EXPECT_EQ(times_better(10, 30, Better::lower), 3);
  EXPECT_EQ(times_better(0, 30, Better::lower), 0);
  EXPECT_EQ(times_better(30, 0, Better::higher), 0);
}

TEST(Readable, ThreeDigitsAndAUnit) {
  EXPECT_EQ(readable(0), "0");
  EXPECT_EQ(readable(0.1234), "0.123");
  EXPECT_EQ(readable(1.234), "1.23");
  EXPECT_EQ(readable(9876), "9876");
  EXPECT_EQ(readable(48'210), "48.2k");
  EXPECT_EQ(readable(1'000'000), "1.00M");
  EXPECT_EQ(readable(-48'210), "-48.2k");
}

}  // namespace
}  // namespace conclave::bench
