#include <atomic>
#include <future>
#include <optional>

#include <gtest/gtest.h>

#include "tests/unit/transport/members.h"

namespace conclave::transport {
namespace {

constexpr int kChunks = 80;
constexpr std::size_t kChunkBytes = 256 * 1024;

std::string chunk(int number) {
  return std::string(kChunkBytes, static_cast<char>('a' + number % 26));
}

class Source final : public SnapshotSource {
 public:
  explicit Source(int fails_at = -1) : fails_at_(fails_at) {}
  Result<std::optional<std::string>> next() override {
    const int number = next_++;
    if (number == fails_at_) return Error{Errc::corrupt, "the source fails"};
    if (number == kChunks) return std::optional<std::string>();
    return std::optional(chunk(number));
  }

 private:
  const int fails_at_;
  int next_ = 0;
};

// What became of the sinks, which are the transport's.
struct Outcome {
  std::atomic<int> chunks{0};
  std::atomic<bool> is_right{true};
  std::atomic<bool> is_finished{false};
  std::promise<void> destroyed;
};

class Sink final : public SnapshotSink {
 public:
  Sink(Outcome& outcome, int fails_at) : outcome_(outcome), fails_at_(fails_at) {}
  ~Sink() override { outcome_.destroyed.set_value(); }
  Result<void> write(std::string_view bytes) override {
    const int number = outcome_.chunks++;
    if (number == fails_at_) return Error{Errc::io, "the sink fails"};
    if (bytes != chunk(number)) outcome_.is_right = false;
    return {};
  }
  Result<void> finish() override {
    outcome_.is_finished = true;
    if (fails_at_ == kChunks) return Error{Errc::io, "the sink cannot finish"};
    return {};
  }

 private:
  Outcome& outcome_;
  const int fails_at_;
};

class SnapshotTest : public ::testing::Test {
 protected:
  void start() {
    b_.events.sink_maker = [this](const Identity& from) -> std::unique_ptr<SnapshotSink> {
      EXPECT_EQ(from, a_.options.self);
      if (!is_wanted_) return nullptr;
      return std::make_unique<Sink>(outcome_, sink_fails_at_);
    };
    a_.start();
    b_.start();
    connect(a_, b_);
  }
  std::future<Result<void>> send(std::unique_ptr<SnapshotSource> source, MemberId to = 2) {
    auto ended = std::make_shared<std::promise<Result<void>>>();
    a_.links->send_snapshot(to, std::move(source),
                            [ended](const Result<void>& result) { ended->set_value(result); });
    return ended->get_future();
  }
  // A call that ends before the other has heard of it makes no sink.
  void wait_for_first_chunk() {
    while (outcome_.chunks == 0) std::this_thread::yield();
  }
  void expect_cut_off() {
    outcome_.destroyed.get_future().wait();
    EXPECT_FALSE(outcome_.is_finished);
  }

  bool is_wanted_ = true;
  int sink_fails_at_ = -1;
  Outcome outcome_;  // outlives the members
  Member a_{1};
  Member b_{2};
};

TEST_F(SnapshotTest, ArrivesWhole) {
  start();
  EXPECT_TRUE(send(std::make_unique<Source>()).get());
  EXPECT_EQ(outcome_.chunks, kChunks);
  EXPECT_TRUE(outcome_.is_right);
  EXPECT_TRUE(outcome_.is_finished);
  outcome_.destroyed.get_future().wait();
}

TEST_F(SnapshotTest, AFailingSourceCutsItOff) {
  start();
  const Result<void> result = send(std::make_unique<Source>(20)).get();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error(), (Error{Errc::corrupt, "the source fails"}));
  expect_cut_off();
}

TEST_F(SnapshotTest, AFailingSinkIsToldToTheSender) {
  sink_fails_at_ = 20;
  start();
  const Result<void> result = send(std::make_unique<Source>()).get();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error(), (Error{Errc::io, "the sink fails"}));
  EXPECT_EQ(outcome_.chunks, 21) << "it is not called again";
  expect_cut_off();
}

TEST_F(SnapshotTest, ASinkThatCannotFinishIsToldToTheSender) {
  sink_fails_at_ = kChunks;
  start();
  const Result<void> result = send(std::make_unique<Source>()).get();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error(), (Error{Errc::io, "the sink cannot finish"}));
}

TEST_F(SnapshotTest, NoneIsWanted) {
  is_wanted_ = false;
  start();
  const Result<void> result = send(std::make_unique<Source>()).get();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::refused);
}

TEST_F(SnapshotTest, ToNobody) {
  start();
  const Result<void> unknown = send(std::make_unique<Source>(), 9).get();
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, Errc::not_found);
  b_.stop();
  const Result<void> stopped = send(std::make_unique<Source>()).get();
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, Errc::unavailable);
}

// Its first chunk comes at once, the second when it is let go.
class Gated final : public SnapshotSource {
 public:
  explicit Gated(std::shared_future<void> gate) : gate_(std::move(gate)) {}
  Result<std::optional<std::string>> next() override {
    const int number = next_++;
    if (number > 0) gate_.wait();
    return std::optional(chunk(number));
  }

 private:
  std::shared_future<void> gate_;
  int next_ = 0;
};

TEST_F(SnapshotTest, LinksAreNotHeldUpByASlowSource) {
  start();
  std::promise<void> gate;
  auto ended = send(std::make_unique<Gated>(gate.get_future().share()));
  wait_for_first_chunk();
  a_.reach(b_);
  b_.reach(a_);
  b_.stop();
  expect_cut_off();
  gate.set_value();
  const Result<void> result = ended.get();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::unavailable);
}

TEST_F(SnapshotTest, StoppingTheSenderCutsItOff) {
  start();
  std::promise<void> gate;
  auto ended = send(std::make_unique<Gated>(gate.get_future().share()));
  wait_for_first_chunk();
  std::thread stopper([&] { a_.links->stop(); });
  expect_cut_off();
  gate.set_value();
  stopper.join();
  const Result<void> result = ended.get();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::cancelled);
}

}  // namespace
}  // namespace conclave::transport
