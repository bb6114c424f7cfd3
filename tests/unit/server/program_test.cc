// The program as a process: exit statuses, its single lines of complaint, signals. It is linked
// with a pretend node.

#include <chrono>
#include <csignal>
#include <string>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conclave/api/rpc.grpc.pb.h"

#include "tests/unit/server/front_fixture.h"

namespace conclave::server {
namespace {

// A free port of 127.0.0.1, kept in use while this lives if asked to.
class Port {
 public:
  Port() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    number_ = ntohs(address.sin_port);
  }
  ~Port() { release(); }
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;

  void keep() { EXPECT_EQ(::listen(fd_, 1), 0); }
  void release() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(number_); }
  std::string url() const { return "http://" + address(); }

 private:
  int fd_;
  int number_ = 0;
};

class Program {
 public:
  explicit Program(std::vector<std::string> arguments) {
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
    std::vector<char*> argv = {const_cast<char*>(PRETEND_CONCLAVED)};
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    char* environment[] = {nullptr};
    EXPECT_EQ(posix_spawn(&pid_, PRETEND_CONCLAVED, &actions, nullptr, argv.data(), environment),
              0);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    stderr_fd_ = ends[0];
  }
  ~Program() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
    close(stderr_fd_);
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  // What was written to stderr until it holds `text`, or to its end or 30 s without a word.
  const std::string& read_until(const std::string& text) {
    while (text.empty() || written_.find(text) == std::string::npos) {
      pollfd readable{stderr_fd_, POLLIN, 0};
      char buffer[4096];
      if (poll(&readable, 1, 30'000) <= 0) break;
      const ssize_t size = read(stderr_fd_, buffer, sizeof(buffer));
      if (size <= 0) break;
      written_.append(buffer, static_cast<std::size_t>(size));
    }
    return written_;
  }
  const std::string& read_all() { return read_until(""); }
  void signal(int number) const { kill(pid_, number); }
  int exit_status() {
    int status = 0;
    EXPECT_EQ(waitpid(pid_, &status, 0), pid_);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  }

 private:
  pid_t pid_ = -1;
  int stderr_fd_ = -1;
  std::string written_;
};

TEST(Program, ServesUntilSigtermAndExitsWith0) {
  for (const int signal : {SIGTERM, SIGINT}) {
    Port port;
    port.release();
    Program program({"--listen-client-urls", port.url()});
    const std::string& log = program.read_until("ready to serve clients");
    ASSERT_NE(log.find("client_url=" + port.url()), std::string::npos) << log;
    const auto channel = grpc::CreateChannel(port.address(), grpc::InsecureChannelCredentials());
    grpc::ClientContext context;
    etcdserverpb::PutResponse response;
    EXPECT_TRUE(etcdserverpb::KV::NewStub(channel)->Put(&context, {}, &response).ok());
    program.signal(signal);
    EXPECT_NE(program.read_all().find("info  stopped\n"), std::string::npos) << log;
    EXPECT_EQ(program.exit_status(), 0);
  }
}

TEST(Program, AWrongFlagIsOneLineAndStatus2) {
  Program program({"--election-timeout=soon"});
  EXPECT_EQ(program.read_all(),
            "conclaved: --election-timeout=soon: not a number from 1 to 50000\n");
  EXPECT_EQ(program.exit_status(), 2);
}

TEST(Program, APortInUseIsOneLineAndStatus1) {
  Port port;
  port.keep();
  Program program({"--listen-client-urls", port.url()});
  EXPECT_EQ(program.read_all(),
            "conclaved: cannot listen on " + port.url() + ": Address already in use\n");
  EXPECT_EQ(program.exit_status(), 1);
}

TEST(Program, ANodeThatCannotStartIsOneLineAndStatus1) {
  Program program({"--data-dir=locked"});
  EXPECT_EQ(program.read_all(), "conclaved: locked: another process has it open\n");
  EXPECT_EQ(program.exit_status(), 1);
}

TEST(Program, ALogThatCannotBeOpenedIsOneLineAndStatus1) {
  Program program({"--log-outputs=/proc/nonexistent/log"});
  EXPECT_EQ(program.read_all().find("conclaved: cannot log: "), 0U);
  EXPECT_EQ(program.exit_status(), 1);
}

TEST(Program, ANodeThatFailsEndsTheProgramWithStatus1) {
  Port port;
  port.release();
  Program program({"--data-dir=failing", "--listen-client-urls", port.url(), "--log-format=json"});
  EXPECT_NE(program.read_all().find("\"msg\":\"the node failed\",\"error\":\"cannot sync the log: "
                                    "Input/output error\""),
            std::string::npos);
  EXPECT_EQ(program.exit_status(), 1);
}

}  // namespace
}  // namespace conclave::server
