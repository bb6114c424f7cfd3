#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "conclave/lmdb/store.h"
#include "conclave/replica/replica.h"
#include "conclave/wal/log.h"

namespace conclave::server {

// The two threads that wait for the disk, so that the core never does. Each carries out what it is
// given, in order, and tells the core by a function that the core gave; each stops at its first
// failed call, for good.

// Whether somebody waits for these to be on disk.
bool must_sync(const std::vector<replica::Output::LogWrite>& writes);

// Writes and syncs the log. What gathers while one sync runs goes into the next one.
class LogThread {
 public:
  struct Callbacks {
    std::function<void(std::uint64_t ready_number)> persisted;
    std::function<void(const Error&)> failed;
  };

  LogThread(std::unique_ptr<wal::Log> log, Callbacks callbacks);
  ~LogThread();  // carries out what it was given, then closes the log

  void write(std::vector<replica::Output::LogWrite> writes);
  void release(raft::Index index);

  // For a caller that would only wait: if the log has nothing to do and syncs quickly, lends it to
  // the calling thread, which must then call write_here() once. It blocks for the sync, and returns
  // the last ready number instead of calling `persisted`; nothing if that failed.
  bool try_begin_here();
  std::optional<std::uint64_t> write_here(const std::vector<replica::Output::LogWrite>& writes);

 private:
  void run();
  Result<void> write_and_sync(const std::vector<replica::Output::LogWrite>& writes);
  Result<void> keep_house(std::optional<raft::Index> release);
  void finish_use(const Result<void>& outcome);

  // Of the thread that has set in_use_.
  std::unique_ptr<wal::Log> log_;
  const Callbacks callbacks_;

  // Protected by mutex_.
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<replica::Output::LogWrite> waiting_;
  std::optional<raft::Index> release_;
  bool in_use_ = false;
  std::chrono::steady_clock::duration sync_time_{};  // a mean of the last few
  bool housekeeping_due_ = false;
  bool failed_ = false;
  bool stopping_ = false;

  std::thread thread_;
};

// Commits batches to the store, and copies it.
class StoreThread {
 public:
  struct Callbacks {
    std::function<void(std::uint64_t size_bytes, std::uint64_t size_in_use_bytes)> committed;
    std::function<void(bool done, std::uint64_t size_bytes, std::uint64_t size_in_use_bytes)>
        defragmented;
    std::function<void(const Error&)> failed;
  };

  StoreThread(std::shared_ptr<lmdb::Store> store, Callbacks callbacks);
  ~StoreThread();  // commits what it was given, then syncs

  void commit(std::shared_ptr<const mvcc::Batch> batch);
  void defragment();
  // After what was given before; from then on `store` is the one that is committed to. `exchange`
  // puts its files in place; then `done`.
  void replace(std::shared_ptr<lmdb::Store> store, std::function<Result<void>()> exchange,
               std::function<void()> done);
  // After what was given before. A failure ends the thread as any other.
  void run_soon(std::function<Result<void>()> work);

 private:
  void run();
  void add(std::function<Result<void>()> work);
  Result<void> commit_now(const mvcc::Batch& batch);
  Result<void> defragment_now();

  std::shared_ptr<lmdb::Store> store_;  // the thread's own
  const Callbacks callbacks_;

  // Protected by mutex_.
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<Result<void>()>> waiting_;
  bool stopping_ = false;

  std::thread thread_;
};

// Hands out responses in place of the core: long ones, since encoding takes as long as they are
// large and the core has others to serve, or many.
class AnswerThread {
 public:
  AnswerThread();
  ~AnswerThread();

  // Not after stop().
  void run_soon(std::function<void()> work);

  // Whether it keeps up: else whoever would give it more had better do that himself.
  bool has_room() const;

  // Returns when everything that it was given until now is carried out.
  void wait_until_idle();

  // Carries out what it was given, and ends.
  void stop();

 private:
  void run();

  // Protected by mutex_.
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::condition_variable idle_;
  std::deque<std::function<void()>> waiting_;
  bool busy_ = false;
  bool stopping_ = false;

  std::thread thread_;
};

}  // namespace conclave::server
