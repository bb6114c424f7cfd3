#include "conclave/server/core_thread.h"

#include <ctime>
#include <future>

#include <gtest/gtest.h>

#include "tests/support/fresh_directory.h"
#include "tests/support/simulated_disk.h"

namespace conclave::server {
namespace {

using api::Refusal;
using std::chrono::milliseconds;

// The disk of a test, lent to the core, which owns its own.
class LentDisk final : public wal::Disk {
 public:
  explicit LentDisk(wal::Disk& disk) : disk_(disk) {}
  Result<void> make_directory(const std::string& path) override {
    return disk_.make_directory(path);
  }
  Result<std::unique_ptr<wal::DirectoryLock>> lock_directory(const std::string& path) override {
    return disk_.lock_directory(path);
  }
  Result<std::vector<std::string>> list(const std::string& path) override {
    return disk_.list(path);
  }
  Result<void> sync_directory(const std::string& path) override {
    return disk_.sync_directory(path);
  }
  Result<std::unique_ptr<wal::File>> open(const std::string& path) override {
    return disk_.open(path);
  }
  Result<std::unique_ptr<wal::File>> create(const std::string& path) override {
    return disk_.create(path);
  }
  Result<void> rename(const std::string& from, const std::string& to) override {
    return disk_.rename(from, to);
  }
  Result<void> remove(const std::string& path) override { return disk_.remove(path); }

 private:
  wal::Disk& disk_;
};

class CallingSink final : public WatchSink {
 public:
  explicit CallingSink(std::function<void()> closed) : closed_(std::move(closed)) {}
  void deliver(api::WatchBatch) override {}
  void close(Refusal) override { closed_(); }

 private:
  const std::function<void()> closed_;
};

// A member on its three threads, with a log on a disk in memory that can be told to fail.
class CoreThreadTest : public testing::Test {
 protected:
  void start(Duration batch_age = milliseconds(100)) {
    disk_.on_operation([this](const test::SimulatedDisk::Operation&) {
      if (failing_) disk_.fail_call(0, test::SimulatedDisk::Fault::io_error);
    });
    CoreThread::Parts parts;
    auto store = lmdb::Store::open(directory_.path() + "/store", {});
    ASSERT_TRUE(store) << store.error().message;
    parts.store = *std::move(store);
    parts.disk = std::make_unique<LentDisk>(disk_);
    auto recovered = wal::Log::open(*parts.disk, "log", {});
    ASSERT_TRUE(recovered) << recovered.error().message;
    parts.log = std::move(recovered->log);
    replica::Options options;
    options.self.id = 7;
    options.incarnation = 1;
    options.batch_age = batch_age;
    parts.tick = options.tick;
    auto replica = replica::Replica::create(
        std::move(options), *parts.store, {recovered->hard_state, {}}, Random(1), BootClock::now());
    ASSERT_TRUE(replica) << replica.error().message;
    parts.replica = *std::move(replica);
    parts.queue_length_max = 1000;
    core_ = std::make_unique<CoreThread>(std::move(parts), [this](const Error&) { ++failures_; });
    while (!core_->is_ready()) std::this_thread::yield();
  }

  // The refusal, or nothing.
  std::optional<Refusal> put() {
    etcdserverpb::PutRequest request;
    request.set_key("a");
    etcdserverpb::PutResponse response;
    std::promise<std::optional<Refusal>> answer;
    core_->put(request, &response, [&](auto refusal) { answer.set_value(refusal); });
    return answer.get_future().get();
  }

  test::FreshDirectory directory_ = test::FreshDirectory::in_memory();
  test::SimulatedDisk disk_;
  std::atomic<bool> failing_{false};
  std::atomic<int> failures_{0};
  std::unique_ptr<CoreThread> core_;
};

std::chrono::nanoseconds processor_time() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

TEST_F(CoreThreadTest, AFailedMemberRests) {
  constexpr milliseconds kBatchAge{300};
  start(kBatchAge);
  ASSERT_EQ(put(), std::nullopt);
  failing_ = true;
  EXPECT_EQ(put(), Refusal::timeout);
  EXPECT_EQ(put(), Refusal::stopped);
  // The batch that never leaves comes of age.
  std::this_thread::sleep_for(kBatchAge + milliseconds(100));
  const auto before = processor_time();
  std::this_thread::sleep_for(milliseconds(700));
  EXPECT_LT(processor_time() - before, milliseconds(70));
  core_->stop();
  EXPECT_EQ(failures_, 1);
}

TEST_F(CoreThreadTest, EveryWatchSinkIsClosedWhenStopReturns) {
  start();
  ASSERT_EQ(put(), std::nullopt);
  std::atomic<int> closed{0};
  std::atomic<bool> stopped{false};
  std::vector<std::unique_ptr<WatchStream>> streams;
  std::thread opener([&] {
    while (!stopped)
      streams.push_back(core_->open_watch(std::make_shared<CallingSink>([&] { ++closed; })));
  });
  core_->stop();
  stopped = true;
  opener.join();
  EXPECT_EQ(closed, static_cast<int>(streams.size()));
}

TEST_F(CoreThreadTest, AFailureOfTheLastSyncIsTold) {
  start();
  ASSERT_EQ(put(), std::nullopt);
  // Sinks are closed when the core has ended, before the log is.
  const auto stream = core_->open_watch(std::make_shared<CallingSink>([this] { failing_ = true; }));
  ASSERT_EQ(put(), std::nullopt);
  core_->stop();
  EXPECT_EQ(failures_, 1);
}

}  // namespace
}  // namespace conclave::server
