#include "conclave/cli/guardian/command_start.h"

#include <cerrno>
#include <cstdlib>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conclave/cli/guardian/unique_fd.h"

namespace conclave::cli {
namespace {

[[noreturn]] void become(const std::vector<std::string>& command,
                         const std::vector<std::pair<std::string, std::string>>& environment,
                         const sigset_t& signals, int failure_fd, pid_t guardian) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != guardian) ::_exit(127);
  for (const auto& [name, value] : environment) {
    ::setenv(name.c_str(), value.c_str(), 1);  // NOLINT(concurrency-mt-unsafe): one thread
  }
  std::vector<char*> arguments;
  arguments.reserve(command.size() + 1);
  for (const std::string& argument : command) {
    arguments.push_back(const_cast<char*>(argument.c_str()));
  }
  arguments.push_back(nullptr);
  ::pthread_sigmask(SIG_SETMASK, &signals, nullptr);
  ::execvp(arguments[0], arguments.data());
  const int error_number = errno;
  [[maybe_unused]] const ssize_t told = ::write(failure_fd, &error_number, sizeof(error_number));
  ::_exit(127);
}

}  // namespace

CommandStart start_command(const std::vector<std::string>& command,
                           const std::vector<std::pair<std::string, std::string>>& environment,
                           const sigset_t& signals, TerminalLoan& terminal) {
  int pipe_ends[2];
  if (::pipe2(pipe_ends, O_CLOEXEC) != 0) return {.error_number = errno};
  const UniqueFd read_end(pipe_ends[0]);
  UniqueFd write_end(pipe_ends[1]);
  const pid_t guardian = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return {.error_number = errno};
  if (pid == 0) {
    ::setpgid(0, 0);
    terminal.lend_to(::getpid());
    become(command, environment, signals, write_end.get(), guardian);
  }
  ::setpgid(pid, pid);
  write_end.reset();
  int error_number = 0;
  ssize_t size = 0;
  do {
    size = ::read(read_end.get(), &error_number, sizeof(error_number));
  } while (size < 0 && errno == EINTR);
  if (size != sizeof(error_number)) return {.pid = pid};
  ::waitpid(pid, nullptr, 0);
  terminal.take_back(pid);
  return {.error_number = error_number};
}

}  // namespace conclave::cli
