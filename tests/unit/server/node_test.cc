// The node on its threads, without a transport.

#include "conclave/server/node.h"

#include <atomic>
#include <condition_variable>
#include <future>
#include <mutex>
#include <thread>

#include <gtest/gtest.h>

#include "tests/support/process.h"

namespace conclave::server {
namespace {

using api::Refusal;
using etcdserverpb::PutRequest;
using etcdserverpb::PutResponse;
using etcdserverpb::RangeRequest;
using etcdserverpb::RangeResponse;

class NodeTest : public testing::Test {
 protected:
  void start() {
    NodeOptions options;
    options.data_dir = dir_.path() / "data";
    auto started = Node::start(options, [this](const Error& error) {
      const std::lock_guard guard(mutex_);
      failure_ = error;
    });
    ASSERT_TRUE(started) << started.error().message;
    node_ = *std::move(started);
    ASSERT_TRUE(test::wait_until([this] { return node_->is_ready(); }));
  }

  std::optional<Refusal> put(const std::string& key, const std::string& value) {
    PutRequest request;
    request.set_key(key);
    request.set_value(value);
    PutResponse response;
    std::promise<std::optional<Refusal>> promise;
    node_->put(request, &response, [&promise](auto refusal) { promise.set_value(refusal); });
    return promise.get_future().get();
  }
  std::int64_t count(const std::string& key, const std::string& range_end) {
    RangeRequest request;
    request.set_key(key);
    request.set_range_end(range_end);
    request.set_count_only(true);
    RangeResponse response;
    std::promise<std::optional<Refusal>> promise;
    node_->range(request, &response, [&promise](auto refusal) { promise.set_value(refusal); });
    EXPECT_EQ(promise.get_future().get(), std::nullopt);
    return response.count();
  }

  test::TempDir dir_;
  std::mutex mutex_;
  std::optional<Error> failure_;  // under mutex_
  std::unique_ptr<Node> node_;
};

TEST_F(NodeTest, ManyThreadsPutAndAllOfItIsThereAfterARestart) {
  start();
  constexpr int kThreads = 8;
  constexpr int kPuts = 100;
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < kThreads; ++thread) {
      threads.emplace_back([this, thread] {
        for (int i = 0; i < kPuts; ++i) {
          const std::string key = "k" + std::to_string(thread) + "/" + std::to_string(i);
          EXPECT_EQ(put(key, "value"), std::nullopt);
        }
      });
    }
  }
  EXPECT_EQ(count("k", "l"), kThreads * kPuts);
  node_->stop();
  node_.reset();
  start();
  EXPECT_EQ(count("k", "l"), kThreads * kPuts);
}

TEST_F(NodeTest, StoppingUnderLoadAnswersEveryRequestOnce) {
  start();
  std::atomic<int> acknowledged{0};
  std::atomic<int> refused{0};
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < 4; ++thread) {
      threads.emplace_back([&, thread] {
        for (int i = 0;; ++i) {
          const auto refusal = put(std::to_string(thread) + "-" + std::to_string(i), "value");
          if (!refusal) {
            ++acknowledged;
            continue;
          }
          EXPECT_EQ(*refusal, Refusal::stopped);
          ++refused;
          return;
        }
      });
    }
    ASSERT_TRUE(test::wait_until([&] { return acknowledged > 50; }));
    node_->stop();
  }
  EXPECT_EQ(refused, 4);
  const int known = acknowledged;
  node_.reset();
  start();
  EXPECT_GE(count(std::string(1, '\0'), std::string(1, '\0')), known);
}

// Collects what a watch stream delivers, and acknowledges it.
class CollectingSink : public WatchSink {
 public:
  void deliver(api::WatchBatch batch) override {
    const std::lock_guard guard(mutex_);
    for (const api::WatchMessage& message : batch.messages) {
      events_ += message.decode().events_size();
      ++responses_;
    }
  }
  void close(Refusal reason) override {
    const std::lock_guard guard(mutex_);
    closed_ = reason;
  }
  int take_responses() {
    const std::lock_guard guard(mutex_);
    return std::exchange(responses_, 0);
  }
  int events() {
    const std::lock_guard guard(mutex_);
    return events_;
  }
  std::optional<Refusal> closed() {
    const std::lock_guard guard(mutex_);
    return closed_;
  }

 private:
  std::mutex mutex_;
  int responses_ = 0;
  int events_ = 0;
  std::optional<Refusal> closed_;
};

TEST_F(NodeTest, AWatchGetsEveryEventAndIsClosedAtTheEnd) {
  start();
  auto sink = std::make_shared<CollectingSink>();
  auto stream = node_->open_watch(sink, false);
  etcdserverpb::WatchCreateRequest create;
  create.set_key("k");
  create.set_range_end("l");
  create.set_start_revision(1);
  stream->create(create);
  for (int i = 0; i < 300; ++i) EXPECT_EQ(put("k" + std::to_string(i), "value"), std::nullopt);
  ASSERT_TRUE(test::wait_until([&] {
    if (sink->take_responses() > 0) stream->acknowledge();
    return sink->events() == 300;
  })) << sink->events();
  node_->stop();
  EXPECT_EQ(sink->closed(), Refusal::stopped);
  stream.reset();  // after the node has stopped: harmless
}

TEST_F(NodeTest, RequestsAfterTheEndAreRefused) {
  start();
  node_->stop();
  EXPECT_EQ(put("a", "1"), Refusal::stopped);
  node_->stop();
  auto sink = std::make_shared<CollectingSink>();
  auto stream = node_->open_watch(sink, false);
  EXPECT_EQ(sink->closed(), Refusal::stopped);
}

TEST_F(NodeTest, ASecondNodeOnTheSameDirectoryIsRefusedWithItsPath) {
  start();
  NodeOptions options;
  options.data_dir = dir_.path() / "data";
  const auto second = Node::start(options, [](const Error&) {});
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().message.find(options.data_dir), std::string::npos)
      << second.error().message;
  EXPECT_EQ(put("a", "1"), std::nullopt);
}

}  // namespace
}  // namespace conclave::server
