#include "conclave/cli/verbs/turn_wait.h"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <thread>

#include "conclave/cli/verbs/queue_text.h"

namespace conclave::cli {
namespace {

// How long the end of a wait may take to give the lease back: it runs out by itself, too.
constexpr auto kCloseTimeout = std::chrono::seconds(1);
// Between two sessions, so that a store that ends each at once is not asked without a pause.
constexpr auto kPause = std::chrono::milliseconds(100);

void say(const std::string& text) {
  std::fprintf(stderr, "conclave: %s\n", text.c_str());
}

bool is_away(Errc code) {
  return code == Errc::unavailable || code == Errc::unknown_outcome || code == Errc::timed_out;
}

}  // namespace

TurnWait::TurnWait(const Arguments& arguments, std::string name, std::string what,
                   std::chrono::seconds ttl, std::stop_token stop)
    : name_(std::move(name)),
      what_(std::move(what)),
      ttl_(ttl),
      command_timeout_(arguments.duration("command-timeout")),
      stop_(std::move(stop)),
      began_(BootClock::now()) {
  if (arguments.has("timeout")) deadline_ = began_ + arguments.duration("timeout");
}

bool TurnWait::over() const {
  return stop_.stop_requested() || (deadline_ && BootClock::now() >= *deadline_);
}

Result<Session> TurnWait::open(Client& client) {
  bool told_away = false;
  for (;;) {
    SessionOptions options{
        .ttl = ttl_, .open_timeout = command_timeout_, .close_timeout = kCloseTimeout};
    if (deadline_ && !only_once()) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline_ - BootClock::now());
      options.open_timeout = std::clamp(left, std::chrono::milliseconds(1), options.open_timeout);
    }
    auto session = Session::open(client, options, stop_);
    if (session) {
      if (told_away) say("the store is back; queueing again for " + what_);
      reached_ = true;
      return session;
    }
    const Error& error = session.error();
    if (!is_away(error.code)) return of_store(error);
    if (!reached_ || over()) return Error{Errc::unavailable, error.message};
    if (!told_away) say("the store is away (" + error.message + "); waiting for it");
    told_away = true;
    std::this_thread::sleep_for(kPause);
  }
}

AcquireOptions TurnWait::options() const {
  AcquireOptions options;
  options.stop = stop_;
  options.deadline = deadline_;
  struct Said {
    int position = 0;
    std::string holder_key;
    Instant at{};
  };
  options.on_wait = [name = name_, said = std::make_shared<Said>()](const WaitStatus& status) {
    const std::string holder_key = status.holder ? status.holder->key : "";
    const Instant now = BootClock::now();
    const bool news = status.position != said->position || holder_key != said->holder_key ||
                      now - said->at >= std::chrono::minutes(1);
    if (!news) return;
    *said = {status.position, holder_key, now};
    std::fprintf(stderr, "%s\n", waiting_text(name, status).c_str());
  };
  return options;
}

bool TurnWait::starts_over(const Error& error) {
  if (error.code != Errc::session_lost || only_once() || over()) return false;
  say("lost the place in the queue for " + what_ + " (" + error.message + "); queueing again");
  std::this_thread::sleep_for(kPause);
  return true;
}

}  // namespace conclave::cli
