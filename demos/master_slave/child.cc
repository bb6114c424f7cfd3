#include "conclave/master_slave/child.h"

#include <csignal>

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

namespace master_slave {
namespace {

// In the child, between fork and exec: only system calls.
[[noreturn]] void become(char* const* arguments, int output, int log, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  // If the parent has gone before that call, nobody will send the signal.
  if (::getppid() == parent && ::dup2(output, STDOUT_FILENO) >= 0 &&
      ::dup2(log, STDERR_FILENO) >= 0) {
    ::execv(arguments[0], arguments);
  }
  constexpr int kCannotRun = 127;
  ::_exit(kCannotRun);
}

}  // namespace

conclave::Result<Child> Child::start(std::string name, const std::vector<std::string>& command,
                                     const std::filesystem::path& log) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    return conclave::Error{conclave::Errc::io, "cannot make a pipe for " + name};
  }
  Descriptor output(ends[0]);
  const Descriptor input(ends[1]);
  ::fcntl(output.get(), F_SETFL, O_NONBLOCK);
  const Descriptor log_file(::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!log_file) return conclave::Error{conclave::Errc::io, "cannot write " + log.string()};

  std::vector<char*> arguments;
  arguments.reserve(command.size() + 1);
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return conclave::Error{conclave::Errc::io, "cannot start " + name};
  if (pid == 0) become(arguments.data(), input.get(), log_file.get(), parent);
  return Child(std::move(name), pid, std::move(output));
}

Child::Child(Child&& other) noexcept
    : name_(std::move(other.name_)),
      pid_(std::exchange(other.pid_, 0)),
      output_(std::move(other.output_)),
      lines_(std::move(other.lines_)) {}

Child::~Child() {
  if (!is_running()) return;
  signal(SIGKILL);  // ends a stopped process too
  ::waitpid(pid_, nullptr, 0);
}

std::vector<std::string> Child::read_lines() {
  std::vector<std::string> lines;
  lines_.fill(output_.get());
  for (std::string line; lines_.next(line);) lines.push_back(line);
  return lines;
}

void Child::signal(int number) const {
  if (pid_ > 0) ::kill(pid_, number);
}

void Child::pause() {
  signal(SIGSTOP);
  int status = 0;
  if (pid_ > 0 && ::waitpid(pid_, &status, WUNTRACED) == pid_ && !WIFSTOPPED(status)) pid_ = 0;
}

bool Child::is_running() {
  if (pid_ > 0 && ::waitpid(pid_, nullptr, WNOHANG) == pid_) pid_ = 0;
  return pid_ > 0;
}

}  // namespace master_slave
