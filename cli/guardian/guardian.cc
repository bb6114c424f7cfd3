#include "conclave/cli/guardian/guardian.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string_view>
#include <utility>

#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conclave/base/clock.h"
#include "conclave/cli/guardian/command_start.h"
#include "conclave/cli/guardian/deadline.h"
#include "conclave/cli/guardian/message.h"
#include "conclave/cli/guardian/process_tree.h"
#include "conclave/cli/guardian/terminal.h"

namespace conclave::cli {
namespace {

class Guardian {
 public:
  Guardian(UniqueFd connection, pid_t job, std::vector<std::string> command)
      : connection_(std::move(connection)), command_(std::move(command)), terminal_(job) {}

  [[noreturn]] void run() {
    take_signals();
    timer_ = UniqueFd(::timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK));
    if (!signals_.valid() || !timer_.valid() || !adopt_orphans()) ::_exit(1);
    for (;;) {
      if (schedule_) {
        act();
        if (reap()) finish();
      }
      wait_for_something();
    }
  }

 private:
  void take_signals() {
    sigset_t all;
    sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &command_mask_);
    sigset_t heard;
    sigemptyset(&heard);
    for (const int signal : {SIGCHLD, SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2}) {
      sigaddset(&heard, signal);
    }
    signals_ = UniqueFd(::signalfd(-1, &heard, SFD_CLOEXEC | SFD_NONBLOCK));
  }

  void act() {
    const KillSchedule::Decision decision = schedule_->decide(BootClock::now());
    if (decision.action == KillSchedule::Action::terminate) {
      if (schedule_->cause() == EndCause::leftovers) {
        std::fputs("conclave: the command left processes behind; they are ended with it\n", stderr);
      }
      signal_descendants(SIGTERM);
    }
    if (decision.action == KillSchedule::Action::kill) {
      const auto out_of_reach = signal_descendants(SIGKILL);
      if (out_of_reach && !complained_) {
        complained_ = true;
        std::fprintf(stderr, "conclave: process %d runs as another user and cannot be ended\n",
                     static_cast<int>(*out_of_reach));
      }
    }
    arm(decision.again_at);
  }

  void arm(Instant when) {
    const auto since_boot = when.time_since_epoch().count();
    itimerspec time{};
    time.it_value.tv_sec = since_boot / 1'000'000'000;
    time.it_value.tv_nsec = since_boot % 1'000'000'000;
    ::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &time, nullptr);
  }

  // True when the command has ended and no process of its family is left. As orphans come to us,
  // "we have no child" says that.
  bool reap() {
    for (;;) {
      int status = 0;
      const pid_t pid = ::waitpid(-1, &status, WNOHANG | WUNTRACED);
      if (pid < 0 && errno == ECHILD) return true;
      if (pid <= 0) break;
      if (pid != pid_) continue;
      if (WIFSTOPPED(status)) {
        stopped(WSTOPSIG(status));
      } else {
        end_.wait_status = status;
        command_ended_ = true;
      }
    }
    if (command_ended_ && schedule_->cause() == EndCause::none && !descendants().empty()) {
      schedule_->end(EndCause::leftovers, BootClock::now());
      act();
    }
    return false;
  }

  // ^Z would suspend the command while its lock runs on; the shell's job is the keeper, not the
  // command.
  void stopped(int signal) {
    if (signal != SIGTSTP) return;
    std::fputs("conclave: the command cannot be suspended while it holds the lock\n", stderr);
    ::kill(-pid_, SIGCONT);
  }

  [[noreturn]] void finish() {
    terminal_.take_back(pid_);
    end_.started = true;
    end_.cause = schedule_->cause();
    report();
  }

  [[noreturn]] void report() {
    const std::string bytes = encode(end_);
    [[maybe_unused]] const ssize_t sent =
        ::send(connection_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    ::_exit(0);
  }

  void wait_for_something() {
    pollfd sources[3] = {
        {connection_.get(), POLLIN, 0}, {signals_.get(), POLLIN, 0}, {timer_.get(), POLLIN, 0}};
    if (::poll(sources, 3, -1) < 0) return;
    if (sources[2].revents != 0) {
      std::uint64_t expirations = 0;
      [[maybe_unused]] const ssize_t size = ::read(timer_.get(), &expirations, sizeof(expirations));
    }
    if (sources[1].revents != 0) hear_signals();
    if (sources[0].revents != 0) hear_keeper();
  }

  void hear_signals() {
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof(info)) == sizeof(info)) {
      const auto signal = static_cast<int>(info.ssi_signo);
      if (signal != SIGCHLD && pid_ > 0 && !command_ended_) ::kill(-pid_, signal);
    }
  }

  void hear_keeper() {
    char bytes[64 * 1024];
    const ssize_t size = ::recv(connection_.get(), bytes, sizeof(bytes), MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (size <= 0) {
      if (!schedule_) ::_exit(0);
      schedule_->end(EndCause::abandoned, BootClock::now());
      // A closed connection stays readable: from here on only signals and the timer matter.
      connection_.reset();
      return;
    }
    if (const auto message = decode_to_guardian({bytes, static_cast<std::size_t>(size)})) {
      obey(*message);
    }
  }

  void obey(const ToGuardian& message) {
    if (message.kind == ToGuardian::Kind::start && !schedule_) return start(message);
    if (!schedule_) return;
    switch (message.kind) {
      case ToGuardian::Kind::start:
        break;
      case ToGuardian::Kind::extend:
        schedule_->extend(message.valid_until);
        break;
      case ToGuardian::Kind::signal:
        if (!command_ended_) ::kill(-pid_, message.signal);
        break;
      case ToGuardian::Kind::end:
        schedule_->end(EndCause::lost, BootClock::now());
        break;
      case ToGuardian::Kind::foreground:
        terminal_.lend_to(pid_);
        ::kill(-pid_, SIGCONT);
        break;
    }
  }

  void start(const ToGuardian& message) {
    KillSchedule schedule(message.ttl, message.valid_until);
    if (schedule.decide(BootClock::now()).action != KillSchedule::Action::wait) {
      end_.cause = EndCause::deadline;
      report();
    }
    const CommandStart started =
        start_command(command_, message.environment, command_mask_, terminal_);
    if (started.pid < 0) {
      end_.error_number = started.error_number;
      report();
    }
    pid_ = started.pid;
    schedule_ = schedule;
  }

  UniqueFd connection_;
  UniqueFd signals_;
  UniqueFd timer_;
  std::vector<std::string> command_;
  TerminalLoan terminal_;
  sigset_t command_mask_{};
  std::optional<KillSchedule> schedule_;  // from the command's start
  pid_t pid_ = -1;
  bool command_ended_ = false;
  bool complained_ = false;
  CommandEnd end_;
};

}  // namespace

void run_guardian(UniqueFd connection, pid_t keeper, std::vector<std::string> command,
                  std::span<char> command_line) {
  const pid_t job = ::getpgid(keeper);
  // Signals aimed at the keeper's group, or at processes of its name, are not for the guardian.
  ::setpgid(0, 0);
  constexpr std::string_view name = "lock-guardian";
  ::prctl(PR_SET_NAME, name.data());
  if (command_line.size() > name.size()) {
    std::fill(command_line.begin(), command_line.end(), '\0');
    std::copy(name.begin(), name.end(), command_line.begin());
  }
  Guardian(std::move(connection), job, std::move(command)).run();
}

}  // namespace conclave::cli
