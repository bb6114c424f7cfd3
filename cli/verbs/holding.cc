#include "conclave/cli/verbs/holding.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <system_error>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conclave/cli/exit_status.h"

namespace conclave::cli {
namespace {

// Readable once the holding is lost. The callback runs on the client's own thread, which must not
// wait.
class LostEvent {
 public:
  explicit LostEvent(const std::stop_token& lost)
      : event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), callback_(lost, Raise{event_.get()}) {}
  int fd() const { return event_.get(); }

 private:
  struct Raise {
    int fd;
    void operator()() const noexcept {
      const std::uint64_t one = 1;
      [[maybe_unused]] const ssize_t size = ::write(fd, &one, sizeof(one));
    }
  };
  UniqueFd event_;
  std::stop_callback<Raise> callback_;
};

// Far above any sensible use, and far below where times of the store or of this machine overflow.
constexpr std::chrono::hours kLongestTtl(8760);

void say(const std::string& text) {
  std::fprintf(stderr, "conclave: %s\n", text.c_str());
}

}  // namespace

Result<std::chrono::seconds> ttl_of(const Arguments& arguments) {
  const auto ttl = std::chrono::ceil<std::chrono::seconds>(arguments.duration("ttl"));
  if (ttl.count() < 1) return Error{Errc::invalid_argument, "--ttl is at least 1 s"};
  if (ttl > kLongestTtl) return Error{Errc::invalid_argument, "--ttl is at most 8760h (a year)"};
  return ttl;
}

int wait_failed(const Error& error, const std::string& what) {
  if (error.code == Errc::timed_out || error.code == Errc::would_block) {
    say("timed out: " + what + " was not to be had in time");
    return static_cast<int>(ExitStatus::timed_out);
  }
  say("no " + what.substr(what.find(' ') + 1) + ": " + error.message);
  // Nothing was held yet, so nothing of it can have been lost but the connection.
  if (error.code == Errc::session_lost) return static_cast<int>(ExitStatus::unreachable);
  return static_cast<int>(status_of(error.code));
}

CommandEnd run_while_held(GuardedCommand& command, const Holding& holding, Duration ttl,
                          const Signals& signals) {
  const LostEvent lost(holding.lost);
  const auto look_every = std::clamp<std::chrono::milliseconds>(
      std::chrono::duration_cast<std::chrono::milliseconds>(ttl / 20),
      std::chrono::milliseconds(50), std::chrono::milliseconds(500));
  command.start(ttl, holding.valid_until(), holding.environment);
  const pid_t own_group = ::getpgrp();
  bool told_lost = false;
  for (;;) {
    if (auto end = command.poll_end()) return *end;
    if (holding.lost.stop_requested()) {
      if (!told_lost) command.end_now();
      told_lost = true;
    } else {
      command.extend(holding.valid_until());
    }
    // `fg` gives the terminal to our group, and a job that was not stopped hears no SIGCONT of it.
    if (::tcgetpgrp(STDIN_FILENO) == own_group) command.pass_foreground();
    while (const auto signal = signals.next()) {
      if (*signal == SIGCONT) {
        command.pass_foreground();
      } else {
        command.pass_signal(*signal);
      }
    }
    pollfd sources[3] = {{command.fd(), POLLIN, 0},
                         {signals.fd(), POLLIN, 0},
                         {told_lost ? -1 : lost.fd(), POLLIN, 0}};
    ::poll(sources, 3, static_cast<int>(look_every.count()));
  }
}

bool hold_until_signal(const Holding& holding, const Signals& signals) {
  const LostEvent lost(holding.lost);
  for (;;) {
    if (holding.lost.stop_requested()) return false;
    while (const auto signal = signals.next()) {
      if (asks_for_end(*signal)) return true;
    }
    pollfd sources[2] = {{signals.fd(), POLLIN, 0}, {lost.fd(), POLLIN, 0}};
    ::poll(sources, 2, -1);
  }
}

Outcome outcome_of(const CommandEnd& end, const Holding& holding, const std::string& command) {
  switch (end.cause) {
    case EndCause::lost:
    case EndCause::deadline:
      say("lost " + holding.what + "; " + command +
          (end.started ? " has been ended" : " was not started"));
      return {.status = static_cast<int>(ExitStatus::lost)};
    case EndCause::abandoned:
      say("the guardian process was killed; " + command + " has been ended");
      return {.status = static_cast<int>(ExitStatus::failed)};
    case EndCause::none:
    case EndCause::leftovers:
      break;
  }
  if (!end.started) {
    say("cannot run " + command + ": " + std::generic_category().message(end.error_number));
    return {.status = static_cast<int>(end.error_number == ENOENT ? ExitStatus::not_found
                                                                  : ExitStatus::cannot_execute)};
  }
  if (WIFSIGNALED(end.wait_status)) {
    return {.status = 128 + WTERMSIG(end.wait_status), .signal = WTERMSIG(end.wait_status)};
  }
  const int status = WEXITSTATUS(end.wait_status);
  if (is_ambiguous(status)) {
    say("exit status " + std::to_string(status) + " is that of " + command + " itself");
  }
  return {.status = status};
}

}  // namespace conclave::cli
