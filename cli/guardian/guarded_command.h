#pragma once

#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>

#include "conclave/base/clock.h"
#include "conclave/base/result.h"
#include "conclave/cli/guardian/message.h"
#include "conclave/cli/guardian/unique_fd.h"

namespace conclave::cli {

// A command that never outlives a deadline: it runs under a guardian, a small process of its own
// that ends it with all its descendants when the deadline passes without an extension, or when this
// process is gone. So it does not matter whether this process is killed, stopped, or busy.
//
// Not covered: descendants that run as another user (they cannot be signalled), a process that the
// kernel cannot kill (uninterruptible I/O), and a guardian that is killed in the same instant as
// this process. If only the guardian is killed, this process inherits its family and ends it.
//
//   // First in main:
//   Result<GuardedCommand> command = GuardedCommand::prepare({"./deploy.sh"}, {});
//   // With the lock:
//   command->start(ttl, valid_until, {{"CONCLAVE_FENCE", "42"}});
//   while (!(end = command->poll_end())) {
//     poll(command->fd());
//     command->extend(session.valid_until());
//   }
//
// Not thread-safe. Destroying it before the end closes the connection, which ends the command.
class GuardedCommand {
 public:
  // Forks the guardian, which waits for start(). Must be called while the process has one thread.
  // The command is looked up in PATH by start(), not here.
  // `command_line`: the bytes that argv points to, where the guardian may write its own name; may
  // be empty. Errc::io if the kernel refuses.
  static Result<GuardedCommand> prepare(std::vector<std::string> command,
                                        std::span<char> command_line);

  GuardedCommand(GuardedCommand&&) noexcept = default;
  GuardedCommand& operator=(GuardedCommand&&) noexcept = default;
  ~GuardedCommand() = default;

  void start(Duration ttl, Instant valid_until,
             std::vector<std::pair<std::string, std::string>> environment);
  // Does nothing if it is what the guardian knows already.
  void extend(Instant valid_until);
  void pass_signal(int signal);
  void pass_foreground();
  // The lock is lost: the command is killed without grace.
  void end_now();

  // Becomes readable when poll_end() has something to say.
  int fd() const { return connection_.get(); }
  // What became of the command, once none of its processes is left; nothing as long as there may be
  // one. If the guardian itself was killed, first ends the family, which blocks for some
  // milliseconds; the answer's cause is then `abandoned`.
  std::optional<CommandEnd> poll_end();

 private:
  GuardedCommand(UniqueFd connection, pid_t guardian)
      : connection_(std::move(connection)), guardian_(guardian) {}
  void send(const ToGuardian& message);

  UniqueFd connection_;
  pid_t guardian_ = -1;
  Instant told_until_{};
  std::optional<CommandEnd> end_;
};

}  // namespace conclave::cli
