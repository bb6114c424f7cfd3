#include "conclave/transport/redial.h"

#include <gtest/gtest.h>

namespace conclave::transport {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Redial::Pauses kPauses{milliseconds(50), milliseconds(300), milliseconds(1000)};

TEST(Redial, ALinkThatLivedIsDialledAtOnce) {
  Redial redial(kPauses);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(redial.after_break(seconds(2)), milliseconds(0));
}

TEST(Redial, PausesDoubleUpToTheMaximum) {
  Redial redial(kPauses);
  for (const int pause_ms : {0, 50, 100, 200, 300, 300}) {
    EXPECT_EQ(redial.after_break(milliseconds(0)), milliseconds(pause_ms));
  }
  for (int i = 0; i < 100; ++i) redial.after_break(milliseconds(10));
  EXPECT_EQ(redial.after_break(milliseconds(10)), milliseconds(300));
  EXPECT_EQ(redial.after_break(seconds(5)), milliseconds(0)) << "it lived";
}

TEST(Redial, ARefusalWaitsLongAndEndsTheSeries) {
  Redial redial(kPauses);
  redial.after_break(milliseconds(0));
  redial.after_break(milliseconds(0));
  EXPECT_EQ(redial.after_refusal(), milliseconds(1000));
  EXPECT_EQ(redial.after_refusal(), milliseconds(1000));
  EXPECT_EQ(redial.after_break(milliseconds(0)), milliseconds(0));
}

}  // namespace
}  // namespace conclave::transport
