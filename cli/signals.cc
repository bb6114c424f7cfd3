#include "conclave/cli/signals.h"

#include <cstdint>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

namespace conclave::cli {

Signals::Signals(bool with_command) {
  sigset_t heard;
  sigemptyset(&heard);
  const auto hear = [&heard](int signal) {
    struct sigaction action {};
    ::sigaction(signal, nullptr, &action);
    if (action.sa_handler != SIG_IGN) sigaddset(&heard, signal);
  };
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) hear(signal);
  if (with_command) {
    for (const int signal : {SIGUSR1, SIGUSR2, SIGCONT}) hear(signal);
  }
  ::pthread_sigmask(SIG_BLOCK, &heard, nullptr);
  signals_ = UniqueFd(::signalfd(-1, &heard, SFD_CLOEXEC | SFD_NONBLOCK));
}

std::optional<int> Signals::next() const {
  signalfd_siginfo info{};
  if (::read(signals_.get(), &info, sizeof(info)) != sizeof(info)) return std::nullopt;
  return static_cast<int>(info.ssi_signo);
}

bool asks_for_end(int signal) {
  return signal == SIGINT || signal == SIGTERM || signal == SIGHUP || signal == SIGQUIT;
}

StopOnSignal::StopOnSignal(const Signals& signals)
    : ended_(::eventfd(0, EFD_CLOEXEC)), thread_([this, &signals] { listen(signals); }) {}

StopOnSignal::~StopOnSignal() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t size = ::write(ended_.get(), &one, sizeof(one));
  thread_.join();
}

std::optional<int> StopOnSignal::signal() const {
  const int signal = signal_.load();
  if (signal == 0) return std::nullopt;
  return signal;
}

void StopOnSignal::listen(const Signals& signals) {
  for (;;) {
    pollfd sources[2] = {{signals.fd(), POLLIN, 0}, {ended_.get(), POLLIN, 0}};
    if (::poll(sources, 2, -1) < 0) continue;
    if (sources[1].revents != 0) return;
    while (const auto signal = signals.next()) {
      if (!asks_for_end(*signal)) continue;
      signal_.store(*signal);
      stop_.request_stop();
      return;
    }
  }
}

void die_by(int signal) {
  // The command has left its core file already.
  const rlimit none{};
  ::setrlimit(RLIMIT_CORE, &none);
  ::signal(signal, SIG_DFL);
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, signal);
  ::pthread_sigmask(SIG_UNBLOCK, &mask, nullptr);
  ::kill(::getpid(), signal);
  // A signal that does not end a process by default.
  ::_exit(128 + signal);
}

}  // namespace conclave::cli
