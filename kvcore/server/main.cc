// The program `conclaved`: flags, one node, the gRPC front before it, a log, and the signals that
// end it.

#include <csignal>
#include <cstdio>
#include <mutex>
#include <string_view>

#include <absl/synchronization/mutex.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conclave/server/flags.h"
#include "conclave/server/grpc_front.h"
#include "conclave/server/log.h"
#include "conclave/server/node.h"

namespace conclave::server {
namespace {

enum ExitStatus { kStopped = 0, kCannotServe = 1, kWrongFlags = 2 };

constexpr std::chrono::seconds kDrainPatience{5};

int complain(const Error& error, ExitStatus status) {
  std::fprintf(stderr, "conclaved: %s\n", error.message.c_str());
  return status;
}

// The first failure of the node, handed from its thread to the main one.
class FailureMail {
 public:
  FailureMail() : event_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    CONCLAVE_CHECK(event_fd_ >= 0, "eventfd");
  }
  ~FailureMail() { close(event_fd_); }
  FailureMail(const FailureMail&) = delete;
  FailureMail& operator=(const FailureMail&) = delete;

  void post(const Error& error) {
    {
      const std::lock_guard lock(mutex_);
      if (!error_) error_ = error;
    }
    eventfd_write(event_fd_, 1);
  }
  std::optional<Error> error() {
    const std::lock_guard lock(mutex_);
    return error_;
  }
  int event_fd() const { return event_fd_; }

 private:
  const int event_fd_;
  std::mutex mutex_;
  std::optional<Error> error_;
};

sigset_t ending_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

// Blocks the ending signals in this thread and all that it starts; a file descriptor that reads
// them.
int take_signals() {
  const sigset_t set = ending_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &ignore, nullptr);
  // A write past the limit of a file's size fails instead, and is reported as any other.
  sigaction(SIGXFSZ, &ignore, nullptr);
  const int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  CONCLAVE_CHECK(fd >= 0, "signalfd");
  return fd;
}

// Each connection takes a file; clients wait while there are none left.
void allow_as_many_files_as_may_be() {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

std::string joined(const std::vector<Url>& urls) {
  std::string text;
  for (const Url& url : urls) text += (text.empty() ? "" : ",") + url.text();
  return text;
}

// As far as the flags say.
std::size_t members_of(const Config& config) {
  return std::max<std::size_t>(config.node.initial_cluster.size(), 1);
}

// Until a signal comes (its name) or the node fails (nothing).
std::optional<std::string> wait_for_the_end(Node& node, int signal_fd, FailureMail& failure,
                                            const Config& config, const GrpcFront& front,
                                            Log& log) {
  using Clock = std::chrono::steady_clock;
  bool ready = false;
  auto patient_until = Clock::now() + std::chrono::seconds(5);
  while (true) {
    if (!ready && node.is_ready()) {
      ready = true;
      log.info("ready to serve clients", {{"name", config.node.name},
                                          {"client_url", joined(front.urls())},
                                          {"data_dir", config.node.data_dir},
                                          {"version", CONCLAVE_VERSION}});
    }
    if (!ready && Clock::now() >= patient_until) {
      patient_until = Clock::time_point::max();
      log.warn("not ready yet: there is no leader; a majority of the members has to run",
               {{"name", config.node.name}, {"members", std::to_string(members_of(config))}});
    }
    pollfd fds[] = {{signal_fd, POLLIN, 0}, {failure.event_fd(), POLLIN, 0}};
    constexpr int kReadyPoll_ms = 10;
    if (poll(fds, 2, ready ? -1 : kReadyPoll_ms) <= 0) continue;
    if (fds[1].revents != 0) return std::nullopt;
    signalfd_siginfo info{};
    if (read(signal_fd, &info, sizeof(info)) != sizeof(info)) continue;
    return info.ssi_signo == SIGTERM ? "SIGTERM" : "SIGINT";
  }
}

int serve(const Config& config, int signal_fd) {
  Result<std::unique_ptr<Log>> opened = Log::open(config.log);
  if (!opened) return complain(opened.error(), kCannotServe);
  Log& log = **opened;
  take_grpc_log(&log);

  FailureMail failure;
  NodeOptions options = config.node;
  options.notice = [&log](const std::string& text) { log.warn(text); };
  // Outlives the front, whose thread does its work, and has been stopped before.
  std::unique_ptr<Node> node;
  Result<std::unique_ptr<GrpcFront>> front = GrpcFront::open(config.front);
  if (!front) return complain(front.error(), kCannotServe);
  options.links_host = (*front)->host();
  Result<std::unique_ptr<Node>> started =
      Node::start(std::move(options), [&failure](const Error& error) { failure.post(error); });
  if (!started) return complain(started.error(), kCannotServe);
  node = *std::move(started);
  if (Result<void> serving = (*front)->serve(*node, node.get()); !serving) {
    node->stop();
    return complain(serving.error(), kCannotServe);
  }

  const auto signal = wait_for_the_end(*node, signal_fd, failure, config, **front, log);
  if (signal) {
    log.info("stopping", {{"signal", *signal}});
    // A second signal ends the process at once.
    const sigset_t set = ending_signals();
    pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  } else {
    log.error("the node failed", {{"error", failure.error()->message}});
  }
  // Who leads others hands over first, while what it has proposed is still answered.
  if (signal) node->begin_stop();
  (*front)->shutdown(signal ? kDrainPatience : std::chrono::seconds(0));
  node->stop();
  if (const auto error = failure.error()) {
    if (signal) log.error("the node failed while stopping", {{"error", error->message}});
    return kCannotServe;
  }
  log.info("stopped");
  return kStopped;
}

}  // namespace
}  // namespace conclave::server

int main(int argc, char** argv, char** envp) {
  using namespace conclave::server;  // NOLINT: the program's own names
  const int signal_fd = take_signals();
  // Debian builds gRPC's locks with a search for deadlocks, which costs a tenth of a call.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  umask(077);
  allow_as_many_files_as_may_be();
  const auto environment = [envp](const std::string& name) -> std::optional<std::string> {
    for (char** entry = envp; *entry != nullptr; ++entry) {
      const std::string_view text(*entry);
      if (text.size() > name.size() && text.starts_with(name) && text[name.size()] == '=') {
        return std::string(text.substr(name.size() + 1));
      }
    }
    return std::nullopt;
  };
  auto line = parse_command_line({argv + 1, argv + argc}, environment);
  if (!line) return complain(line.error(), kWrongFlags);
  if (!line->config) {
    std::fputs(line->text.c_str(), stdout);
    return kStopped;
  }
  return serve(*line->config, signal_fd);
}
