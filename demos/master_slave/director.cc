#include "conclave/master_slave/director.h"

#include <atomic>
#include <csignal>
#include <cstdio>
#include <system_error>

#include <signal.h>

#include "conclave/master_slave/roles.h"

namespace master_slave {
namespace {

using conclave::BootClock;
using conclave::Result;
using std::chrono::milliseconds;

constexpr int kWritesInBetween = 30;
constexpr std::chrono::seconds kStepTimeout{20};

std::atomic<int> interrupt_signal = 0;
static_assert(std::atomic<int>::is_always_lock_free, "a signal handler writes it");

void note_interrupt(int number) {
  interrupt_signal = number;
}

// A closed pipe on standard output ends the demo too, and with it its processes.
void catch_interrupts() {
  struct sigaction action {};
  action.sa_handler = note_interrupt;
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) sigaction(number, &action, nullptr);
}

}  // namespace

int Director::interrupted_by() {
  return interrupt_signal;
}

Director::Director(std::string server, TemporaryDirectory directory)
    : server_(std::move(server)),
      began_(BootClock::now()),
      story_(kSlaves),
      stage_(std::move(directory)) {
  catch_interrupts();
}

bool Director::play() {
  return gather() && work() && kill_leader() && work() && pause_leader() && work() &&
         wake_former_leader() && work() && retire_leader() && work();
}

bool Director::gather() {
  screen_.heading("1. Three masters campaign; five slaves follow whoever leads");
  return start_server() && start_cast() && succeeded(0);
}

bool Director::kill_leader() {
  screen_.heading("2. The leader dies (SIGKILL): its lease must expire first");
  const std::int64_t fence = story_.latest_fence();
  const std::string name = leader().master;
  end_term(now(), "kills " + name, "killed");
  stage_.remove(name);
  return succeeded(fence);
}

bool Director::pause_leader() {
  screen_.heading("3. The next leader is paused past its TTL (SIGSTOP)");
  woken_fence_ = story_.latest_fence();
  woken_ = leader().master;
  return pause_between_check_and_write(woken_) && succeeded(woken_fence_);
}

bool Director::pause_between_check_and_write(const std::string& master) {
  constexpr int kAttempts = 20;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (!wait_for(master + " prepares a write", [&] { return story_.has_write_pending(master); })) {
      return false;
    }
    stage_.child(master).pause();
    const StoryTime paused = now();
    // A write that had left before the pause arrives within this time: it was the wrong moment.
    while (now() < paused + milliseconds(200)) hear(milliseconds(20));
    if (story_.has_write_pending(master)) {
      end_term(paused, "pauses " + master + " between its check and its write", "paused");
      return true;
    }
    stage_.child(master).signal(SIGCONT);
  }
  return fail("no pause fell between a check and a write of " + master);
}

bool Director::wake_former_leader() {
  screen_.heading("4. It wakes up (SIGCONT) and does not know that it leads no more");
  const int campaigns = story_.campaigns_of(woken_);
  screen_.event(now(), "director", "wakes " + woken_);
  stage_.child(woken_).signal(SIGCONT);
  if (!wait_for("the late write arrives", [this] { return !story_.has_write_pending(woken_); })) {
    return false;
  }
  if (story_.term_of(woken_fence_).refused == 0) return fail("the late write was accepted");
  return wait_for(woken_ + " campaigns again",
                  [&] { return story_.campaigns_of(woken_) > campaigns; });
}

bool Director::retire_leader() {
  screen_.heading("5. A leader that is asked to go (SIGTERM) resigns: no lease to wait for");
  const std::int64_t fence = story_.latest_fence();
  const std::string name = leader().master;
  end_term(now(), "asks " + name + " to go", "resigned");
  stage_.child(name).signal(SIGTERM);
  if (!wait_for(name + " goes", [&] { return !stage_.child(name).is_running(); })) return false;
  hear(milliseconds(0));
  stage_.remove(name);
  return succeeded(fence);
}

bool Director::succeeded(std::int64_t fence) {
  return wait_for("a new leader writes and all slaves follow it", [&] {
    const std::int64_t latest = story_.latest_fence();
    return latest > fence && leader().accepted > 0 && story_.followers_of(latest) == kSlaves;
  });
}

bool Director::work() {
  const int enough = story_.accepted() + kWritesInBetween;
  return wait_for("the leader works", [&] { return story_.accepted() >= enough; });
}

bool Director::wait_for(const std::string& what, const std::function<bool()>& has_come) {
  const StoryTime deadline = now() + kStepTimeout;
  while (!has_come()) {
    if (interrupted_by() != 0 || screen_.failure() != 0) return false;
    const std::string ended = stage_.first_ended();
    if (!ended.empty() && !has_come()) {
      for (const std::string& line : stage_.last_words(ended, 5)) screen_.text(line);
      return fail(ended + " has ended by itself");
    }
    if (now() > deadline) return fail("in vain for " + seconds(kStepTimeout) + ": " + what);
    hear(milliseconds(100));
  }
  return true;
}

StoryTime Director::now() const {
  return std::chrono::duration_cast<StoryTime>(BootClock::now() - began_);
}

int run_director(const std::string& server) {
  Result<TemporaryDirectory> directory = TemporaryDirectory::make();
  if (!directory) {
    std::fprintf(stderr, "master_slave: %s\n", directory.error().message.c_str());
    return 1;
  }
  Director director(server, std::move(*directory));
  const bool played = director.play();
  const bool safe = director.sum_up();
  if (!played) std::puts("Not played to the end.");
  constexpr int kSignalBase = 128;
  if (Director::interrupted_by() != 0) return kSignalBase + Director::interrupted_by();
  if (director.output_failure() != 0) {
    std::fprintf(stderr, "master_slave: cannot write to standard output: %s\n",
                 std::generic_category().message(director.output_failure()).c_str());
    return 1;
  }
  return played && safe ? 0 : 1;
}

}  // namespace master_slave
