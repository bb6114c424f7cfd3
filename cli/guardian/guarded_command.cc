#include "conclave/cli/guardian/guarded_command.h"

#include <cerrno>
#include <cstring>
#include <system_error>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conclave/cli/guardian/guardian.h"
#include "conclave/cli/guardian/process_tree.h"

namespace conclave::cli {

Result<GuardedCommand> GuardedCommand::prepare(std::vector<std::string> command,
                                               std::span<char> command_line) {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
    return Error{Errc::io, "cannot make a socket pair: " + std::generic_category().message(errno)};
  }
  UniqueFd ours(pair[0]);
  UniqueFd theirs(pair[1]);
  // Should the guardian be killed, its family comes to us and not to init.
  adopt_orphans();
  const pid_t keeper = ::getpid();
  const pid_t guardian = ::fork();
  if (guardian < 0) {
    return Error{Errc::io, "cannot fork: " + std::generic_category().message(errno)};
  }
  if (guardian == 0) {
    ours.reset();
    run_guardian(std::move(theirs), keeper, std::move(command), command_line);
  }
  return GuardedCommand(std::move(ours), guardian);
}

void GuardedCommand::send(const ToGuardian& message) {
  // A send that fails means that the guardian is gone or about to report: poll_end() finds out
  // which.
  const std::string bytes = encode(message);
  ssize_t sent = 0;
  do {
    sent = ::send(connection_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
}

void GuardedCommand::start(Duration ttl, Instant valid_until,
                           std::vector<std::pair<std::string, std::string>> environment) {
  told_until_ = valid_until;
  ToGuardian message;
  message.kind = ToGuardian::Kind::start;
  message.ttl = ttl;
  message.valid_until = valid_until;
  message.environment = std::move(environment);
  send(message);
}

void GuardedCommand::extend(Instant valid_until) {
  if (valid_until == told_until_) return;
  told_until_ = valid_until;
  ToGuardian message;
  message.kind = ToGuardian::Kind::extend;
  message.valid_until = valid_until;
  send(message);
}

void GuardedCommand::pass_signal(int signal) {
  ToGuardian message;
  message.kind = ToGuardian::Kind::signal;
  message.signal = signal;
  send(message);
}

void GuardedCommand::pass_foreground() {
  ToGuardian message;
  message.kind = ToGuardian::Kind::foreground;
  send(message);
}

void GuardedCommand::end_now() {
  ToGuardian message;
  message.kind = ToGuardian::Kind::end;
  send(message);
}

std::optional<CommandEnd> GuardedCommand::poll_end() {
  if (end_) return end_;
  char bytes[256];
  ssize_t size = 0;
  // A guardian that ends before it has read the last extension resets the connection, which the
  // system tells once, before it hands out the report that was sent.
  do {
    size = ::recv(connection_.get(), bytes, sizeof(bytes), MSG_DONTWAIT);
  } while (size < 0 && (errno == EINTR || errno == ECONNRESET));
  if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return std::nullopt;
  if (size > 0) end_ = decode_command_end({bytes, static_cast<std::size_t>(size)});
  if (!end_) {
    kill_all_descendants();
    end_ = CommandEnd{.started = true, .cause = EndCause::abandoned};
  } else {
    ::waitpid(guardian_, nullptr, 0);
  }
  return end_;
}

}  // namespace conclave::cli
