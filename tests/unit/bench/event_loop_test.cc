#include "conclave/bench/event_loop.h"

#include <chrono>
#include <thread>

#include <gtest/gtest.h>

namespace conclave::bench {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(EventLoop, TimersComeInTheirOrder) {
  EventLoop loop;
  std::string order;
  const TimePoint now = Clock::now();
  loop.at(now + milliseconds(2), [&] { order += 'c'; });
  loop.at(now, [&] { order += 'a'; });
  loop.at(now, [&] { order += 'b'; });
  const EventLoop::TimerId cancelled = loop.at(now + milliseconds(1), [&] { order += 'x'; });
  loop.cancel(cancelled);
  EXPECT_TRUE(loop.run([&] { return order.size() == 3; }, seconds(30)));
  EXPECT_EQ(order, "abc");
}

TEST(EventLoop, EndsAtItsLimit) {
  EventLoop loop;
  EXPECT_FALSE(loop.run([] { return false; }, milliseconds(1)));
}

TEST(Pacer, MakesUpForWhatWasMissedAndSaysWhenItWasDue) {
  EventLoop loop;
  std::vector<TimePoint> dues;
  Pacer pacer(loop, 1'000, [&](TimePoint due) {
    EXPECT_LE(due, Clock::now());
    dues.push_back(due);
    if (dues.size() == 1) std::this_thread::sleep_for(milliseconds(20));
  });
  EXPECT_TRUE(loop.run([&] { return dues.size() >= 15; }, seconds(30)));
  for (std::size_t i = 1; i < dues.size(); ++i) EXPECT_EQ(dues[i] - dues[i - 1], milliseconds(1));
}

TEST(Pacer, StopsWhenToldFromWithin) {
  EventLoop loop;
  int ticks = 0;
  Pacer* self = nullptr;
  Pacer pacer(loop, 100'000, [&](TimePoint) {
    if (++ticks == 3) self->stop();
  });
  self = &pacer;
  loop.run([] { return false; }, milliseconds(20));
  EXPECT_EQ(ticks, 3);
}

}  // namespace
}  // namespace conclave::bench
