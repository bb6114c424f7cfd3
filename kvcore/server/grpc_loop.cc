#include "conclave/server/grpc_loop.h"

#include <algorithm>

#include "conclave/listener/library.h"

namespace conclave::server {
namespace {

using std::chrono::steady_clock;

// As much as is taken in before the handler's turn: enough that a sync of the log serves many and
// that many answers of one connection leave together, not so much that the log waits while the
// network is read.
constexpr int kGatherMax = 600;
// A poll handles one socket at a time, and calls that it found may come only with the next poll.
// The more there was last time, the longer it is worth asking; a lone caller would wait for
// nothing.
constexpr int kEmptyPollsMax = 4;
constexpr int kEventsPerEmptyPoll = 8;

}  // namespace

void GrpcLoop::Wake::ask() {
  if (!asked_.exchange(true)) {
    alarm_.Set(loop_.queue(), listener::grpc_time({}), static_cast<Completion*>(this));
  }
}

void GrpcLoop::Wake::complete(bool) {
  asked_.store(false);
}

GrpcLoop::GrpcLoop(std::unique_ptr<grpc::ServerCompletionQueue> queue, listener::Corks& corks)
    : queue_(std::move(queue)), corks_(corks), wake_(*this) {}

GrpcLoop::~GrpcLoop() {
  shutdown();
}

void GrpcLoop::start() {
  thread_ = std::thread([this] { run(); });
}

void GrpcLoop::shutdown() {
  if (ending_.exchange(true)) return;
  take_no_more_calls();
  if (thread_.joinable()) {
    wake_.ask();
    thread_.join();
  }
  queue_->Shutdown();
  void* tag = nullptr;
  for (bool ok = false; queue_->Next(&tag, &ok);) static_cast<Completion*>(tag)->complete(ok);
}

void GrpcLoop::drive(Driven* driven) {
  std::unique_lock lock(mutex_);
  wanted_ = driven;
  wake_.ask();
  changed_.wait(lock, [this] { return driven_ == wanted_; });
}

void GrpcLoop::run() {
  auto next = steady_clock::now();
  while (!ending_.load()) {
    gather(next);
    change_driven();
    next = driven_ != nullptr ? driven_->drive() : steady_clock::now() + std::chrono::hours(1);
    for (const auto& work : after_turn_) work();
    after_turn_.clear();
  }
  if (driven_ != nullptr) driven_->detach();
}

void GrpcLoop::change_driven() {
  const std::lock_guard lock(mutex_);
  if (driven_ == wanted_) return;
  if (driven_ != nullptr) driven_->detach();
  driven_ = wanted_;
  if (driven_ != nullptr) {
    driven_->attach({.wake = [this] { wake_.ask(); },
                     .send_together =
                         [this](std::size_t answers, const std::function<void()>& send) {
                           const listener::Corks::Held held(corks_, answers);
                           send();
                         }});
  }
  changed_.notify_all();
}

// Waits for something to come in, and takes what else is there.
void GrpcLoop::gather(steady_clock::time_point until) {
  gpr_timespec deadline = listener::grpc_time(until - steady_clock::now());
  const int empty_polls_max = std::min(gathered_ / kEventsPerEmptyPoll, kEmptyPollsMax);
  int empty_polls = 0;
  int taken = 0;
  while (taken < kGatherMax) {
    void* tag = nullptr;
    bool ok = false;
    const auto status = queue_->AsyncNext(&tag, &ok, deadline);
    if (status == grpc::CompletionQueue::GOT_EVENT) {
      static_cast<Completion*>(tag)->complete(ok);
      ++taken;
      empty_polls = 0;
    } else if (taken == 0 || ++empty_polls > empty_polls_max) {
      break;
    }
    deadline = listener::grpc_time({});
  }
  gathered_ = taken;
}

}  // namespace conclave::server
