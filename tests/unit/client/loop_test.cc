#include "conclave/client/loop.h"

#include <future>
#include <memory>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace conclave::client {
namespace {

using std::chrono::milliseconds;

TEST(Loop, RunsTasksInOrderFromAnyThread) {
  LoopExecutor loop;
  std::vector<int> ran;
  std::promise<void> done;
  for (int i = 0; i < 100; ++i) loop.post([&ran, i] { ran.push_back(i); });
  loop.post([&] { done.set_value(); });
  done.get_future().wait();
  ASSERT_EQ(ran.size(), 100U);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(ran[static_cast<std::size_t>(i)], i);
}

TEST(Loop, RunsTimersByInstantAndNeverEarly) {
  LoopExecutor loop;
  std::promise<std::vector<int>> done;
  std::vector<int> ran;
  loop.post([&] {
    const Instant start = loop.now();
    const auto ring = [&, start](int which, milliseconds after) {
      EXPECT_GE(loop.now(), start + after);
      ran.push_back(which);
    };
    loop.run_at(start + milliseconds(20), [&, ring] {
      ring(2, milliseconds(20));
      done.set_value(ran);
    });
    loop.run_at(start + milliseconds(10), [ring] { ring(1, milliseconds(10)); });
    loop.run_at(start, [ring] { ring(0, milliseconds(0)); });
    const auto cancelled = loop.run_at(start, [&] { ran.push_back(99); });
    loop.cancel(cancelled);
    loop.cancel(0);
  });
  EXPECT_EQ(done.get_future().get(), (std::vector<int>{0, 1, 2}));
}

TEST(Loop, DropsWhatIsLeftWhenItEnds) {
  const auto token = std::make_shared<int>(0);
  bool ran = false;
  {
    LoopExecutor loop;
    std::promise<void> done;
    loop.post([&, token] {
      loop.run_at(loop.now() + std::chrono::hours(1), [&ran, token] { ran = true; });
      done.set_value();
    });
    done.get_future().wait();
    loop.stop();
    loop.post([&ran, token] { ran = true; });
  }
  EXPECT_FALSE(ran);
  EXPECT_EQ(token.use_count(), 1);
}

}  // namespace
}  // namespace conclave::client
