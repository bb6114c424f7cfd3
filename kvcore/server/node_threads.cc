#include "conclave/server/node_threads.h"

#include <algorithm>
#include <utility>

namespace conclave::server {
namespace {

// Longer, and waiting for it on another thread costs a request nothing that it would notice.
constexpr std::chrono::microseconds kShortSync{1000};

}  // namespace

bool must_sync(const std::vector<replica::Output::LogWrite>& writes) {
  return std::any_of(writes.begin(), writes.end(),
                     [](const auto& write) { return write.must_sync; });
}

LogThread::LogThread(std::unique_ptr<wal::Log> log, Callbacks callbacks)
    : log_(std::move(log)), callbacks_(std::move(callbacks)), thread_([this] { run(); }) {}

LogThread::~LogThread() {
  {
    const std::lock_guard guard(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void LogThread::write(std::vector<replica::Output::LogWrite> writes) {
  {
    const std::lock_guard guard(mutex_);
    if (waiting_.empty()) {
      waiting_ = std::move(writes);
    } else {
      for (auto& write : writes) waiting_.push_back(std::move(write));
    }
  }
  changed_.notify_one();
}

void LogThread::release(raft::Index index) {
  {
    const std::lock_guard guard(mutex_);
    release_ = index;
  }
  changed_.notify_one();
}

bool LogThread::try_begin_here() {
  const std::lock_guard guard(mutex_);
  if (in_use_ || failed_ || stopping_ || !waiting_.empty() || sync_time_ > kShortSync) return false;
  in_use_ = true;
  return true;
}

std::optional<std::uint64_t> LogThread::write_here(
    const std::vector<replica::Output::LogWrite>& writes) {
  const Result<void> written = write_and_sync(writes);
  finish_use(written);
  if (!written) return std::nullopt;
  return writes.back().ready_number;
}

// The log is free again, or has failed for good.
void LogThread::finish_use(const Result<void>& outcome) {
  if (!outcome) callbacks_.failed(outcome.error());
  const std::lock_guard guard(mutex_);
  in_use_ = false;
  failed_ = failed_ || !outcome;
  housekeeping_due_ = !failed_ && log_->wants_next_segment();
  if (failed_ || stopping_ || housekeeping_due_ || release_ || !waiting_.empty()) {
    changed_.notify_one();
  }
}

void LogThread::run() {
  for (;;) {
    std::vector<replica::Output::LogWrite> writes;
    std::optional<raft::Index> release;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] {
        return failed_ ||
               (!in_use_ && (stopping_ || !waiting_.empty() || release_ || housekeeping_due_));
      });
      if (failed_) return;
      if (waiting_.empty() && !release_ && !housekeeping_due_) break;
      in_use_ = true;
      writes = std::exchange(waiting_, {});
      release = std::exchange(release_, std::nullopt);
    }
    Result<void> outcome = write_and_sync(writes);
    if (outcome && !writes.empty()) callbacks_.persisted(writes.back().ready_number);
    // Housekeeping comes after the answer that somebody waits for.
    if (outcome) outcome = keep_house(release);
    finish_use(outcome);
  }
  if (Result<void> closed = log_->close(); !closed) callbacks_.failed(closed.error());
}

Result<void> LogThread::write_and_sync(const std::vector<replica::Output::LogWrite>& writes) {
  for (const auto& write : writes) {
    if (write.install) {
      auto restarted = log_->restart_after(write.install->index, write.install->term);
      if (!restarted) return restarted;
    }
    if (auto appended = log_->append(write.entries, write.hard_state); !appended) return appended;
  }
  if (!must_sync(writes)) return {};
  const auto begun = std::chrono::steady_clock::now();
  if (Result<raft::Index> synced = log_->sync(); !synced) return synced.error();
  const auto taken = std::chrono::steady_clock::now() - begun;
  const std::lock_guard guard(mutex_);
  sync_time_ += (taken - sync_time_) / 8;
  return {};
}

Result<void> LogThread::keep_house(std::optional<raft::Index> release) {
  if (auto prepared = log_->prepare_next_segment(); !prepared) return prepared;
  if (release) return log_->release(*release);
  return {};
}

StoreThread::StoreThread(std::shared_ptr<lmdb::Store> store, Callbacks callbacks)
    : store_(std::move(store)), callbacks_(std::move(callbacks)), thread_([this] { run(); }) {}

StoreThread::~StoreThread() {
  {
    const std::lock_guard guard(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void StoreThread::add(std::function<Result<void>()> work) {
  {
    const std::lock_guard guard(mutex_);
    waiting_.push_back(std::move(work));
  }
  changed_.notify_one();
}

void StoreThread::commit(std::shared_ptr<const mvcc::Batch> batch) {
  add([this, batch = std::move(batch)] { return commit_now(*batch); });
}

void StoreThread::defragment() {
  add([this] { return defragment_now(); });
}

void StoreThread::replace(std::shared_ptr<lmdb::Store> store,
                          std::function<Result<void>()> exchange, std::function<void()> done) {
  add([this, store = std::move(store), exchange = std::move(exchange),
       done = std::move(done)]() -> Result<void> {
    if (Result<void> exchanged = exchange(); !exchanged) return exchanged;
    store_ = store;
    done();
    return {};
  });
}

void StoreThread::run_soon(std::function<Result<void>()> work) {
  add(std::move(work));
}

void StoreThread::run() {
  for (;;) {
    std::function<Result<void>()> work;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
      if (waiting_.empty()) break;
      work = std::move(waiting_.front());
      waiting_.pop_front();
    }
    if (Result<void> done = work(); !done) return callbacks_.failed(done.error());
  }
  if (Result<void> synced = store_->sync(); !synced) callbacks_.failed(synced.error());
}

Result<void> StoreThread::commit_now(const mvcc::Batch& batch) {
  if (Result<void> committed = store_->commit(batch); !committed) return committed;
  callbacks_.committed(store_->size_bytes(), store_->size_in_use_bytes());
  return {};
}

Result<void> StoreThread::defragment_now() {
  const Result<void> done = store_->defragment();
  if (!done && store_->failed()) return done;
  callbacks_.defragmented(done.has_value(), store_->size_bytes(), store_->size_in_use_bytes());
  return {};
}

AnswerThread::AnswerThread() : thread_([this] { run(); }) {}

AnswerThread::~AnswerThread() {
  stop();
}

void AnswerThread::stop() {
  {
    const std::lock_guard guard(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void AnswerThread::run_soon(std::function<void()> work) {
  {
    const std::lock_guard guard(mutex_);
    waiting_.push_back(std::move(work));
  }
  changed_.notify_one();
}

bool AnswerThread::has_room() const {
  constexpr std::size_t kWaitingMax = 2;
  const std::lock_guard guard(mutex_);
  return waiting_.size() < kWaitingMax;
}

void AnswerThread::wait_until_idle() {
  std::unique_lock lock(mutex_);
  idle_.wait(lock, [this] { return waiting_.empty() && !busy_; });
}

void AnswerThread::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    {
      const std::function<void()> work = std::move(waiting_.front());
      waiting_.pop_front();
      busy_ = true;
      lock.unlock();
      work();
    }
    lock.lock();
    busy_ = false;
    if (waiting_.empty()) idle_.notify_all();
  }
}

}  // namespace conclave::server
