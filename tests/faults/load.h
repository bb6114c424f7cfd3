#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "conclave/client/client.h"

#include "tests/support/etcd_key_model.h"

namespace conclave::test {

std::int64_t steady_now_ns();

// Writes of `count` small values, or of `value_bytes` each, to a thousand keys by many callers at
// once, without a history. How many were accepted.
int write_many(const std::vector<std::string>& endpoints, int count, std::size_t value_bytes = 0);

// Many callers at once on a few keys, through all members, and the history of all they did.
//
// Threads: one for each caller; the methods are for one other.
class Load {
 public:
  struct Options {
    std::vector<std::string> endpoints;
    int callers = 6;  // each begins at the endpoint after the one before
    int keys = 5;
    std::chrono::milliseconds timeout{5000};
    std::chrono::milliseconds pause{1};  // between two calls of a caller
  };
  explicit Load(Options options);
  ~Load();

  // The first accepted write that was called after `time_ns`: when it returned. None: there is none
  // within `limit`.
  std::optional<std::int64_t> accepted_after(std::int64_t time_ns, std::chrono::milliseconds limit);

  void stop();
  // After stop(): what there is to say against the history, with every key read once more, and with
  // the events since the beginning as `witness` tells them. Empty: nothing.
  std::string findings(Client& witness);

  // Of mutations: how many had this error.
  std::size_t count(Errc code) const;
  std::size_t accepted() const;
  std::string summary() const;

 private:
  using Operation = EtcdOperation;
  void call(int caller, const std::stop_token& stop);
  template <class Answer>
  std::optional<Answer> take(Operation& operation, Result<Answer> result);
  void record(Operation operation);
  std::string compare_with_events(Client& witness);

  const Options options_;
  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable recorded_;
  std::vector<Operation> history_;
  std::map<Errc, std::size_t> mutation_errors_;
  std::map<std::string, std::size_t> error_texts_;
  std::size_t accepted_ = 0;
  std::vector<std::jthread> callers_;
};

}  // namespace conclave::test
