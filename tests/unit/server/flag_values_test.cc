#include "conclave/server/flag_values.h"

#include <gtest/gtest.h>

namespace conclave::server {
namespace {

using std::chrono::milliseconds;

TEST(FlagValues, Numbers) {
  EXPECT_EQ(parse_number("0", 10), 0U);
  EXPECT_EQ(parse_number("10", 10), 10U);
  EXPECT_EQ(parse_number("18446744073709551615", UINT64_MAX), UINT64_MAX);
  for (const char* text : {"", "11", "-1", "+1", "1.0", "1x", " 1", "18446744073709551616"}) {
    EXPECT_FALSE(parse_number(text, 10)) << text;
  }
}

TEST(FlagValues, Booleans) {
  for (const char* text : {"true", "TRUE", "t", "1"}) EXPECT_EQ(parse_bool(text), true) << text;
  for (const char* text : {"false", "False", "F", "0"}) EXPECT_EQ(parse_bool(text), false) << text;
  for (const char* text : {"", "yes", "2"}) EXPECT_FALSE(parse_bool(text)) << text;
}

TEST(FlagValues, Durations) {
  const std::pair<const char*, milliseconds> cases[] = {
      {"0", milliseconds(0)},           {"250ms", milliseconds(250)},
      {"5m", milliseconds(300'000)},    {"1h30m", milliseconds(5'400'000)},
      {"1.5s", milliseconds(1'500)},    {"72h", milliseconds(259'200'000)},
      {"1m0.5s", milliseconds(60'500)},
  };
  for (const auto& [text, duration] : cases) EXPECT_EQ(parse_duration(text), duration) << text;
  for (const char* text :
       {"", "5", "m", "-5m", "5 m", "5d", "5m3", "nan", "inf", "1e9h", "99999999h"}) {
    EXPECT_FALSE(parse_duration(text)) << text;
  }
}

}  // namespace
}  // namespace conclave::server
