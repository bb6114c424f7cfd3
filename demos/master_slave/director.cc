#include "conclave/master_slave/director.h"

#include <atomic>
#include <csignal>
#include <cstdio>

#include <signal.h>

#include "conclave/master_slave/lines.h"
#include "conclave/master_slave/roles.h"

namespace master_slave {
namespace {

using conclave::BootClock;
using conclave::Result;
using std::chrono::milliseconds;

constexpr int kMasters = 3;
constexpr int kSlaves = 5;
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

std::string numbered(const std::string& name, int number) {
  return name + "-" + std::to_string(number);
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

bool Director::start_server() {
  // A free port can be taken by another process before the server has it.
  for (int attempt = 1; attempt <= 3; ++attempt) {
    const Result<int> client_port = free_port();
    const Result<int> peer_port = free_port();
    if (!client_port || !peer_port) return fail("no free port on 127.0.0.1");
    endpoint_ = "127.0.0.1:" + std::to_string(*client_port);
    const std::string client_url = "http://" + endpoint_;
    const std::string peer_url = "http://127.0.0.1:" + std::to_string(*peer_port);
    const std::string data = (stage_.directory() / numbered("data", attempt)).string();
    if (!checked(stage_.start(
            "server", {server_, "--name", "demo", "--data-dir", data, "--listen-client-urls",
                       client_url, "--advertise-client-urls", client_url, "--listen-peer-urls",
                       peer_url, "--initial-advertise-peer-urls", peer_url, "--initial-cluster",
                       "demo=" + peer_url}))) {
      return false;
    }
    const bool serves = wait_for("the server answers", [this] {
      return accepts_connections(endpoint_) || stage_.first_ended() == "server";
    });
    if (!serves) return false;
    if (stage_.first_ended().empty()) {
      screen_.event(now(), "server", "listens on " + endpoint_);
      return true;
    }
    for (const std::string& line : stage_.last_words("server", 3)) screen_.text(line);
    stage_.remove("server");
  }
  return fail("the server " + server_ + " does not start");
}

bool Director::start_cast() {
  const auto listens = [this](const std::string& who) {
    return wait_for(who + " listens", [this, who] { return !story_.address_of(who).empty(); });
  };
  if (!checked(stage_.start_role("resource", {"resource"})) || !listens("resource")) return false;
  for (int number = 1; number <= kMasters; ++number) {
    const std::string name = numbered("master", number);
    if (!checked(
            stage_.start_role(name, {"master", name, endpoint_, story_.address_of("resource")}))) {
      return false;
    }
  }
  for (int number = 1; number <= kSlaves; ++number) {
    if (!checked(stage_.start_role(numbered("slave", number), {"slave", endpoint_}))) return false;
  }
  return true;
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
  return wait_for("the late write is refused",
                  [this] { return story_.term_of(woken_fence_).refused > 0; }) &&
         wait_for(woken_ + " campaigns again",
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
    if (interrupted_by() != 0) return false;
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

void Director::hear(milliseconds timeout) {
  for (const auto& [who, line] : stage_.listen(timeout)) {
    if (who == "server") continue;  // not one of ours: what it prints is no report
    const int refused = story_.refused();
    const auto told = story_.hear(now(), who, line);
    if (!told) continue;
    const bool is_slave = who.starts_with("slave");
    screen_.event(now(), is_slave ? "slaves" : who, *told,
                  story_.refused() > refused ? Tone::bad : Tone::plain);
  }
  show_status();
}

void Director::show_status() {
  const std::int64_t fence = story_.latest_fence();
  const auto ending = endings_.find(fence);
  std::string leads = "nobody leads yet";
  if (ending != endings_.end()) {
    leads = "nobody leads for " + seconds(now() - ending->second.at);
  } else if (fence != 0) {
    leads = leader().master + " leads for " + seconds(now() - leader().since) + ", fence " +
            std::to_string(fence);
  }
  screen_.status(leads + " | writes: " + std::to_string(story_.accepted()) +
                 ", refused: " + std::to_string(story_.refused()) + " | slaves: " +
                 std::to_string(story_.followers_of(fence)) + " of " + std::to_string(kSlaves));
}

void Director::end_term(StoryTime at, const std::string& deed, const std::string& ending) {
  endings_[story_.latest_fence()] = {at, ending};
  screen_.event(at, "director", deed);
}

bool Director::fail(const std::string& why) {
  screen_.event(now(), "director", why, Tone::bad);
  return false;
}

bool Director::checked(const Result<void>& result) {
  return result ? true : fail(result.error().message);
}

StoryTime Director::now() const {
  return std::chrono::duration_cast<StoryTime>(BootClock::now() - began_);
}

bool Director::sum_up() {
  screen_.heading("fence  master    leads since  writes  refused  slaves waited  ended");
  for (const auto& [fence, term] : story_.terms()) {
    const auto ending = endings_.find(fence);
    const StoryTime waited = term.longest_gap();
    char row[100];
    std::snprintf(row, sizeof(row), "%5lld  %-8s  %11s  %6d  %7d  %13s  %s",
                  static_cast<long long>(fence), term.master.c_str(), seconds(term.since).c_str(),
                  term.accepted, term.refused, waited.count() == 0 ? "-" : seconds(waited).c_str(),
                  ending == endings_.end() ? "leads" : ending->second.how.c_str());
    screen_.text(row);
  }
  const Verdict verdict = judge(story_.journal());
  for (const std::string& violation : verdict.violations) screen_.text(violation, Tone::bad);
  screen_.text("");
  screen_.text(std::to_string(verdict.accepted) + " writes accepted, " +
               std::to_string(verdict.refused) + " refused by fence.");
  if (verdict.safe()) {
    screen_.text("Never did two masters both get a write through.", Tone::good);
  } else {
    screen_.text("NOT SAFE: the journal holds writes that should not be there.", Tone::bad);
  }
  return verdict.safe();
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
  constexpr int kSignalBase = 128;
  if (Director::interrupted_by() != 0) return kSignalBase + Director::interrupted_by();
  return played && safe ? 0 : 1;
}

}  // namespace master_slave
