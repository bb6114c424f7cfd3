#include "conclave/server/stream_pacer.h"

#include <atomic>
#include <future>

#include <gtest/gtest.h>

namespace conclave::server {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(StreamPacer, BelowThePaceNobodyWaits) {
  StreamPacer pacer(milliseconds(1));
  int ran = 0;
  pacer.written(5, [&] { ++ran; });
  EXPECT_EQ(ran, 1) << "on the caller's thread";
}

TEST(StreamPacer, AboveItThoseWhoWaitGoTogether) {
  StreamPacer pacer(milliseconds(1));
  const auto begun = StreamPacer::Clock::now();
  pacer.written(300, [] {});
  std::promise<void> all;
  std::atomic<int> ran{0};
  for (int i = 0; i < 10; ++i) {
    pacer.written(1, [&] {
      if (++ran == 10) all.set_value();
    });
  }
  ASSERT_EQ(all.get_future().wait_for(seconds(30)), std::future_status::ready);
  EXPECT_GE(StreamPacer::Clock::now() - begun, milliseconds(280)) << "300, less what was saved up";
}

TEST(StreamPacer, RunsWhatIsHandedOverOnAThreadOfItsOwn) {
  StreamPacer pacer;
  std::promise<std::thread::id> where;
  pacer.hand_over([&] { where.set_value(std::this_thread::get_id()); });
  EXPECT_NE(where.get_future().get(), std::this_thread::get_id());
}

TEST(StreamPacer, AfterStopNothingRuns) {
  StreamPacer pacer(seconds(100));
  std::atomic<int> ran{0};
  pacer.written(10, [&] { ++ran; });
  pacer.written(1, [&] { ++ran; });
  pacer.stop();
  pacer.written(1, [&] { ++ran; });
  pacer.hand_over([&] { ++ran; });
  pacer.stop();
  EXPECT_EQ(ran, 1);
}

}  // namespace
}  // namespace conclave::server
