#include "conclave/server/stream_pacer.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace conclave::server {
namespace {

// What may be written at once after a quiet time, as time that it costs.
constexpr std::chrono::milliseconds kCredit{10};

}  // namespace

StreamPacer::StreamPacer(Clock::duration response_cost)
    : response_cost_(response_cost), thread_([this] { run(); }) {}

void StreamPacer::stop() {
  std::vector<Work> dropped;
  std::vector<Work> dropped_too;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    stopping_ = true;
    dropped.swap(handed_over_);
    dropped_too.swap(waiting_);
  }
  changed_.notify_all();
  thread_.join();
}

void StreamPacer::written(int responses, Work next) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    const Clock::time_point now = Clock::now();
    if (paid_at_ > now || !waiting_.empty()) {
      waiting_.push_back(std::move(next));
      waiting_responses_ += responses;
      if (waiting_.size() == 1) changed_.notify_all();
      return;
    }
    paid_at_ = std::max(paid_at_, now - kCredit) + responses * response_cost_;
  }
  next();
}

void StreamPacer::hand_over(Work work) {
  const std::lock_guard lock(mutex_);
  if (stopping_) return;
  handed_over_.push_back(std::move(work));
  if (handed_over_.size() == 1) changed_.notify_all();
}

void StreamPacer::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    std::vector<Work> work;
    work.swap(handed_over_);
    const Clock::time_point now = Clock::now();
    if (!waiting_.empty() && paid_at_ <= now) {
      paid_at_ = std::max(paid_at_, now - kCredit) + waiting_responses_ * response_cost_;
      waiting_responses_ = 0;
      std::move(waiting_.begin(), waiting_.end(), std::back_inserter(work));
      waiting_.clear();
    }
    if (!work.empty()) {
      lock.unlock();
      for (const Work& each : work) each();
      work.clear();
      lock.lock();
    } else if (waiting_.empty()) {
      changed_.wait(lock);
    } else {
      changed_.wait_until(lock, paid_at_);
    }
  }
}

}  // namespace conclave::server
