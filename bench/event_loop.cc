#include "conclave/bench/event_loop.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>

#include <sys/epoll.h>
#include <unistd.h>

#include "conclave/base/check.h"

namespace conclave::bench {
namespace {

volatile std::sig_atomic_t interrupted = 0;

}  // namespace

void catch_interrupts() {
  for (const int signal : {SIGINT, SIGTERM}) std::signal(signal, [](int) { interrupted = 1; });
}

bool is_interrupted() {
  return interrupted != 0;
}

EventLoop::EventLoop() : epoll_(epoll_create1(EPOLL_CLOEXEC)) {
  CONCLAVE_CHECK(epoll_ >= 0, "no epoll descriptor can be made");
}

EventLoop::~EventLoop() {
  close(epoll_);
}

void EventLoop::set_events(int operation, int fd, Pollable& pollable) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.ptr = &pollable;
  CONCLAVE_CHECK(epoll_ctl(epoll_, operation, fd, &event) == 0, "epoll refuses a socket");
}

void EventLoop::watch(int fd, Pollable& pollable) {
  set_events(EPOLL_CTL_ADD, fd, pollable);
}

void EventLoop::look_again(int fd, Pollable& pollable) {
  set_events(EPOLL_CTL_MOD, fd, pollable);
}

void EventLoop::forget(int fd, Pollable& pollable) {
  epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
  std::erase(to_flush_, &pollable);
}

EventLoop::TimerId EventLoop::at(TimePoint when, std::function<void()> callback) {
  const TimerId id{when, ++timers_made_};
  timers_.emplace(id, std::move(callback));
  return id;
}

bool EventLoop::run(const std::function<bool()>& done, std::chrono::nanoseconds limit) {
  const TimePoint deadline = Clock::now() + limit;
  while (true) {
    flush_marked();
    if (done()) return true;
    const TimePoint now = Clock::now();
    if (now >= deadline || is_interrupted()) return false;
    if (!fire_due_timers(now)) wait_until(deadline);
  }
}

void EventLoop::flush_marked() {
  std::vector<Pollable*> marked;
  marked.swap(to_flush_);
  for (Pollable* pollable : marked) pollable->flush();
  marked.clear();
  if (to_flush_.empty()) to_flush_.swap(marked);  // keeps the memory
}

bool EventLoop::fire_due_timers(TimePoint now) {
  bool fired = false;
  while (!timers_.empty() && timers_.begin()->first.first <= now) {
    auto due = timers_.extract(timers_.begin());
    due.mapped()();
    fired = true;
  }
  return fired;
}

void EventLoop::wait_until(TimePoint deadline) {
  if (!timers_.empty()) deadline = std::min(deadline, timers_.begin()->first.first);
  const auto left =
      std::max<std::chrono::nanoseconds>(std::chrono::nanoseconds(0), deadline - Clock::now());
  timespec timeout{};
  timeout.tv_sec = left.count() / 1'000'000'000;
  timeout.tv_nsec = left.count() % 1'000'000'000;
  std::array<epoll_event, 256> events;
  const int count =
      epoll_pwait2(epoll_, events.data(), static_cast<int>(events.size()), &timeout, nullptr);
  CONCLAVE_CHECK(count >= 0 || errno == EINTR, "epoll cannot wait");
  for (int i = 0; i < count; ++i) {
    static_cast<Pollable*>(events[i].data.ptr)->on_ready(events[i].events);
  }
}

Pacer::Pacer(EventLoop& loop, double per_second, std::function<void(TimePoint due)> tick)
    : loop_(loop), interval_ns_(1e9 / per_second), tick_(std::move(tick)), start_(Clock::now()) {
  arm();
}

void Pacer::stop() {
  stopped_ = true;
  loop_.cancel(timer_);
}

TimePoint Pacer::due() const {
  return start_ + std::chrono::nanoseconds(
                      static_cast<std::int64_t>(interval_ns_ * static_cast<double>(ticks_)));
}

void Pacer::arm() {
  timer_ = loop_.at(due(), [this] { fire(); });
}

void Pacer::fire() {
  const TimePoint now = Clock::now();
  for (TimePoint next = due(); next <= now && !stopped_; next = due()) {
    ++ticks_;
    tick_(next);
  }
  if (!stopped_) arm();
}

}  // namespace conclave::bench
