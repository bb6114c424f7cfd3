#pragma once

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conclave/base/check.h"

namespace conclave::test {

// Polls until `condition` holds; false if it does not within `limit`.
template <class Condition>
bool wait_until(Condition condition, std::chrono::milliseconds limit = std::chrono::seconds(30)) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

// A port that was free a moment ago.
inline std::uint16_t free_port() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  CONCLAVE_CHECK(fd >= 0 && bind(fd, generic, size) == 0 && getsockname(fd, generic, &size) == 0,
                 "no port is free");
  close(fd);
  return ntohs(address.sin_port);
}

// A fresh directory that goes with the object.
class TempDir {
 public:
  TempDir() {
    std::string name = (std::filesystem::temp_directory_path() / "conclave-test-XXXXXX").string();
    CONCLAVE_CHECK(mkdtemp(name.data()) != nullptr, "no temporary directory can be made");
    path_ = name;
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// A child process with its output in a file. Killed and reaped with the object, and killed by the
// kernel if the thread that started it ends, even by a crash: start it on a thread that stays.
class Process {
 public:
  Process(std::vector<std::string> arguments, const std::filesystem::path& output)
      : output_(output) {
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    int ends[2];  // closed by a successful exec; otherwise it brings the error
    CONCLAVE_CHECK(pipe2(ends, O_CLOEXEC) == 0, "no pipe can be made");
    const pid_t parent = getpid();
    pid_ = fork();
    if (pid_ == 0) become(argv.data(), output_.c_str(), parent, ends[1]);
    close(ends[1]);
    int failure = 0;
    const bool failed = pid_ < 0 || read(ends[0], &failure, sizeof(failure)) != 0;
    close(ends[0]);
    CONCLAVE_CHECK(!failed, "cannot start " + arguments[0] + ": errno " + std::to_string(failure));
  }
  ~Process() {
    if (!status_) kill(SIGKILL);
    wait();
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  void kill(int signal) const { ::kill(pid_, signal); }
  // SIGSTOP, and blocks until it stands still: its threads go on for a moment after the signal.
  void pause() const {
    kill(SIGSTOP);
    siginfo_t ignored{};
    while (waitid(P_PID, static_cast<id_t>(pid_), &ignored, WSTOPPED) < 0 && errno == EINTR) {
    }
  }
  // Blocks for its end; the status is waitpid's.
  int wait() {
    if (!status_) {
      int status = 0;
      while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
      }
      status_ = status;
    }
    return *status_;
  }
  // The status, if it has ended.
  std::optional<int> poll() {
    int status = 0;
    if (!status_ && waitpid(pid_, &status, WNOHANG) == pid_) status_ = status;
    return status_;
  }
  std::string output() const {
    std::ifstream file(output_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }

 private:
  // In the child, where other threads' locks may be held for ever: only what may be called in a
  // signal handler.
  [[noreturn]] static void become(char* const* argv, const char* output, pid_t parent,
                                  int error_fd) {
    const int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    const int out = open(output, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent && in >= 0 && out >= 0 &&
        dup2(in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0 &&
        dup2(out, STDERR_FILENO) >= 0) {
      execv(argv[0], argv);
    }
    const int failure = errno;
    static_cast<void>(!write(error_fd, &failure, sizeof(failure)));
    _exit(127);
  }

  std::filesystem::path output_;
  pid_t pid_ = 0;
  std::optional<int> status_;
};

}  // namespace conclave::test
