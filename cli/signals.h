#pragma once

#include <atomic>
#include <csignal>
#include <optional>
#include <stop_token>
#include <thread>

#include "conclave/cli/guardian/unique_fd.h"

namespace conclave::cli {

// The signals that end or steer this process, as something to read. Constructed before any thread,
// it blocks them for all; those that were ignored from the start (nohup) stay so.
class Signals {
 public:
  // `with_command`: also those that mean nothing to us but perhaps to the command that they are
  // passed to.
  explicit Signals(bool with_command);

  // Readable when next() has something.
  int fd() const { return signals_.get(); }
  std::optional<int> next() const;

 private:
  UniqueFd signals_;
};

// Turns the first signal that asks for an end into a stop request, while it lives: for blocking
// calls that take a stop_token.
class StopOnSignal {
 public:
  explicit StopOnSignal(const Signals& signals);
  StopOnSignal(const StopOnSignal&) = delete;
  StopOnSignal& operator=(const StopOnSignal&) = delete;
  ~StopOnSignal();

  std::stop_token token() const { return stop_.get_token(); }
  // The signal that asked for an end.
  std::optional<int> signal() const;

 private:
  void listen(const Signals& signals);

  std::stop_source stop_;
  std::atomic<int> signal_ = 0;
  UniqueFd ended_;
  std::thread thread_;
};

// SIGINT, SIGTERM, SIGHUP and SIGQUIT.
bool asks_for_end(int signal);
// Ends this process by that signal, so that its parent sees what it would have seen of the command.
[[noreturn]] void die_by(int signal);

}  // namespace conclave::cli
