#pragma once

#include <atomic>
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

 private:
  void run();
  Result<void> carry_out(const std::vector<replica::Output::LogWrite>& writes,
                         std::optional<raft::Index> release);

  // The log thread's.
  std::unique_ptr<wal::Log> log_;
  const Callbacks callbacks_;

  // Protected by mutex_.
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<replica::Output::LogWrite> waiting_;
  std::optional<raft::Index> release_;
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

  StoreThread(lmdb::Store& store, Callbacks callbacks);
  ~StoreThread();  // commits what it was given, then syncs

  void commit(std::shared_ptr<const mvcc::Batch> batch);
  void defragment();

 private:
  void run();
  void add(std::shared_ptr<const mvcc::Batch> work);
  bool commit_now(const mvcc::Batch& batch);
  bool defragment_now();

  lmdb::Store& store_;
  const Callbacks callbacks_;

  // Protected by mutex_.
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::shared_ptr<const mvcc::Batch>> waiting_;  // null: defragment
  bool stopping_ = false;

  std::thread thread_;
};

// Hands out long responses: encoding one takes as long as it is large, and the core has others to
// serve.
class AnswerThread {
 public:
  AnswerThread();
  ~AnswerThread();  // carries out what it was given

  void run_soon(std::function<void()> work);

 private:
  void run();

  // Protected by mutex_.
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> waiting_;
  bool stopping_ = false;

  std::thread thread_;
};

}  // namespace conclave::server
