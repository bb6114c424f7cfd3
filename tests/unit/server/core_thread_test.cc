#include "conclave/server/core_thread.h"

#include <algorithm>
#include <array>
#include <condition_variable>
#include <ctime>
#include <future>
#include <latch>
#include <mutex>
#include <thread>

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
  void start(Duration batch_age = milliseconds(100),
             Duration snapshot_patience = std::chrono::seconds(60)) {
    disk_.on_operation([this](const test::SimulatedDisk::Operation&) {
      if (failing_) disk_.fail_call(0, test::SimulatedDisk::Fault::io_error);
    });
    CoreThread::Parts parts{.replica = nullptr,
                            .store = nullptr,
                            .disk = nullptr,
                            .log = nullptr,
                            .tick = {},
                            .queue_length_max = 1000,
                            .directory = DataDirectory(directory_.path()),
                            .quota_bytes = 0,
                            .repairs = false,
                            .notice = {},
                            .snapshot_patience = snapshot_patience};
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
    auto replica =
        replica::Replica::create(std::move(options), *parts.store, {recovered->hard_state, {}, {}},
                                 Random(1), BootClock::now());
    ASSERT_TRUE(replica) << replica.error().message;
    parts.replica = *std::move(replica);
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

// Whether it was opened before the failure or not.
TEST_F(CoreThreadTest, ASnapshotCallIsAnsweredThoughTheMemberFails) {
  start();
  EXPECT_FALSE(put());
  failing_ = true;
  std::promise<void> answered;
  core_->snapshot([&](const std::shared_ptr<SnapshotPieces>&) { answered.set_value(); });
  EXPECT_EQ(put(), Refusal::timeout);
  answered.get_future().wait();
}

// Else the history that it may still want would stay for ever.
TEST_F(CoreThreadTest, ASnapshotThatNobodyReadsIsGivenUp) {
  start(milliseconds(10), milliseconds(50));
  ASSERT_EQ(put(), std::nullopt);
  std::optional<SnapshotPieces::Piece> piece;
  for (milliseconds idle{200}; idle < std::chrono::seconds(20); idle *= 2) {
    std::promise<std::shared_ptr<SnapshotPieces>> opened;
    core_->snapshot([&](std::shared_ptr<SnapshotPieces> made) { opened.set_value(made); });
    const auto pieces = opened.get_future().get();
    ASSERT_NE(pieces, nullptr);
    std::this_thread::sleep_for(idle);
    std::promise<SnapshotPieces::Piece> read;
    pieces->next([&](SnapshotPieces::Piece got) { read.set_value(std::move(got)); });
    piece = read.get_future().get();
    if (!*piece) break;
  }
  ASSERT_FALSE(*piece);
  EXPECT_EQ(piece->error().code, Errc::timed_out);
}

TEST_F(CoreThreadTest, EveryWatchSinkIsClosedWhenStopReturns) {
  start();
  ASSERT_EQ(put(), std::nullopt);
  std::atomic<int> closed{0};
  std::atomic<bool> stopped{false};
  std::vector<std::unique_ptr<WatchStream>> streams;
  std::thread opener([&] {
    while (!stopped)
      streams.push_back(core_->open_watch(std::make_shared<CallingSink>([&] { ++closed; }), false));
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
  const auto stream =
      core_->open_watch(std::make_shared<CallingSink>([this] { failing_ = true; }), false);
  ASSERT_EQ(put(), std::nullopt);
  core_->stop();
  EXPECT_EQ(failures_, 1);
}

// So many that more than one thread answers.
constexpr std::size_t kManyCalls = 200;

// What a front does: a thread that waits to be woken, submits what has come, and drives.
class Front {
 public:
  explicit Front(CoreThread& core) : core_(core), thread_([this] { run(); }) {}
  ~Front() { end(); }

  void end() {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    changed_.notify_one();
    if (thread_.joinable()) thread_.join();
  }
  // Runs `call` on the front's thread, before its next turn.
  void arrive(std::function<void()> call) {
    {
      const std::lock_guard lock(mutex_);
      arrived_.push_back(std::move(call));
    }
    changed_.notify_one();
  }
  std::thread::id thread() const { return thread_.get_id(); }
  std::size_t answered_together() const {
    const std::lock_guard lock(mutex_);
    return answered_together_;
  }

 private:
  void run() {
    core_.attach({.wake =
                      [this] {
                        {
                          const std::lock_guard lock(mutex_);
                          woken_ = true;
                        }
                        changed_.notify_one();
                      },
                  .send_together =
                      [this](std::size_t answers, const std::function<void()>& send) {
                        // Few are not worth another thread.
                        if (answers < kManyCalls) {
                          EXPECT_EQ(std::this_thread::get_id(), thread_.get_id());
                        }
                        send();
                        const std::lock_guard lock(mutex_);
                        answered_together_ = std::max(answered_together_, answers);
                      }});
    auto next = std::chrono::steady_clock::now();
    std::unique_lock lock(mutex_);
    while (!ending_) {
      changed_.wait_until(lock, next, [this] { return ending_ || woken_ || !arrived_.empty(); });
      woken_ = false;
      const auto arrived = std::exchange(arrived_, {});
      lock.unlock();
      for (const auto& call : arrived) call();
      next = std::min(core_.drive(), std::chrono::steady_clock::now() + std::chrono::hours(1));
      lock.lock();
    }
    lock.unlock();
    core_.detach();
  }

  CoreThread& core_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::function<void()>> arrived_;
  bool woken_ = false;
  bool ending_ = false;
  std::size_t answered_together_ = 0;
  std::thread thread_;
};

TEST_F(CoreThreadTest, AnswersOfOneTurnAreSentTogether) {
  start();
  Front front(*core_);
  etcdserverpb::RangeRequest request;
  request.set_key("a");
  std::array<etcdserverpb::RangeResponse, 3> responses;
  std::latch answered(responses.size());
  front.arrive([&] {
    for (auto& response : responses) {
      core_->range(request, &response, [&](auto) { answered.count_down(); });
    }
  });
  answered.wait();
  front.end();
  EXPECT_EQ(front.answered_together(), responses.size());
}

// Ranges that come in one turn.
class ManyRanges {
 public:
  // `done` runs on the thread that answers, with how many are answered then.
  ManyRanges(CoreThread& core, Front& front, std::function<void(std::size_t)> done)
      : done_(std::move(done)) {
    request_.set_key("a");
    front.arrive([this, &core] {
      for (auto& response : responses_) {
        core.range(request_, &response, [this](auto refusal) {
          EXPECT_EQ(refusal, std::nullopt);
          done_(++answered_count_);
          answered_.count_down();
        });
      }
    });
  }
  void wait() { answered_.wait(); }

 private:
  const std::function<void(std::size_t)> done_;
  etcdserverpb::RangeRequest request_;
  std::array<etcdserverpb::RangeResponse, kManyCalls> responses_;
  std::size_t answered_count_ = 0;
  std::latch answered_{kManyCalls};
};

TEST_F(CoreThreadTest, AnswersToManyAreSentBesideTheCore) {
  start();
  Front front(*core_);
  std::promise<std::thread::id> begun_on;
  std::promise<void> release;
  ManyRanges ranges(*core_, front, [&](std::size_t answered) {
    if (answered != 1) return;
    begun_on.set_value(std::this_thread::get_id());
    release.get_future().wait();
  });
  EXPECT_NE(begun_on.get_future().get(), front.thread());
  EXPECT_EQ(put(), std::nullopt);
  // The front is used until the last of them is sent, and waits for that.
  auto ended = std::async(std::launch::async, [&] { front.end(); });
  EXPECT_EQ(ended.wait_for(milliseconds(50)), std::future_status::timeout);
  release.set_value();
  ranges.wait();
  ended.get();
  EXPECT_EQ(front.answered_together(), kManyCalls);
}

TEST_F(CoreThreadTest, WhenSendingLagsTheCoreSendsToo) {
  start();
  Front front(*core_);
  std::promise<void> begun;
  std::promise<void> release;
  ManyRanges first(*core_, front, [&](std::size_t answered) {
    if (answered != 1) return;
    begun.set_value();
    release.get_future().wait();
  });
  begun.get_future().wait();
  std::atomic<int> on_front{0};
  const auto count = [&](std::size_t) {
    on_front += std::this_thread::get_id() == front.thread() ? 1 : 0;
  };
  std::array<std::optional<ManyRanges>, 8> others;
  for (auto& ranges : others) {
    ranges.emplace(*core_, front, count);
    EXPECT_EQ(put(), std::nullopt);  // a turn for each
  }
  EXPECT_GE(on_front, static_cast<int>(kManyCalls));
  release.set_value();
  first.wait();
  for (auto& ranges : others) ranges->wait();
}

TEST_F(CoreThreadTest, AnAttachedThreadDrives) {
  start();
  Front front(*core_);
  etcdserverpb::PutRequest request;
  request.set_key("a");
  for (int i = 0; i < 20; ++i) {
    etcdserverpb::PutResponse response;
    std::promise<std::thread::id> answered_on;
    front.arrive([&] {
      core_->put(request, &response,
                 [&](auto) { answered_on.set_value(std::this_thread::get_id()); });
    });
    EXPECT_EQ(answered_on.get_future().get(), front.thread());
    EXPECT_EQ(response.header().revision(), 2 + i);
  }
}

TEST_F(CoreThreadTest, AnAttachedThreadIsWokenForTheRequestsOfOthers) {
  start();
  Front front(*core_);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(put(), std::nullopt);
}

TEST_F(CoreThreadTest, ManyRequestsAtOnceAreAllAnswered) {
  start();
  Front front(*core_);
  constexpr int kCallers = 8;
  constexpr int kCalls = 50;
  std::vector<std::future<int>> callers;
  for (int caller = 0; caller < kCallers; ++caller) {
    callers.push_back(std::async(std::launch::async, [this] {
      int succeeded = 0;
      for (int i = 0; i < kCalls; ++i) succeeded += put() == std::nullopt ? 1 : 0;
      return succeeded;
    }));
  }
  for (auto& caller : callers) EXPECT_EQ(caller.get(), kCalls);
}

TEST_F(CoreThreadTest, DrivesItselfAgainAfterADetachment) {
  start();
  { Front front(*core_); }
  EXPECT_EQ(put(), std::nullopt);
  Front again(*core_);
  EXPECT_EQ(put(), std::nullopt);
}

TEST_F(CoreThreadTest, StopsWhileAThreadIsAttached) {
  start();
  Front front(*core_);
  EXPECT_EQ(put(), std::nullopt);
  core_->stop();
  EXPECT_EQ(put(), Refusal::stopped);
}

TEST_F(CoreThreadTest, ATooLateAttachmentIsNone) {
  start();
  core_->stop();
  core_->attach({});
  EXPECT_EQ(core_->drive(), std::chrono::steady_clock::time_point::max());
}

TEST_F(CoreThreadTest, AFailureIsMetByTheAttachedThreadToo) {
  start();
  Front front(*core_);
  ASSERT_EQ(put(), std::nullopt);
  failing_ = true;
  EXPECT_EQ(put(), Refusal::timeout);
  EXPECT_EQ(put(), Refusal::stopped);
  EXPECT_EQ(failures_, 1);
}

}  // namespace
}  // namespace conclave::server
