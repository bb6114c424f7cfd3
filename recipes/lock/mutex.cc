#include "conclave/lock/mutex.h"

#include <utility>

#include "conclave/base/check.h"
#include "conclave/client/store.h"
#include "conclave/session/session_core.h"
#include "conclave/session/turn_core.h"
#include "conclave/session/turn_wait.h"

namespace conclave {
namespace {

// For what has nobody to report to: handles that are destroyed, unlock().
constexpr std::chrono::milliseconds kQuietRelease = std::chrono::seconds(1);
// How long a try waits for the store's answer.
constexpr Duration kTryTimeout = std::chrono::seconds(5);

}  // namespace

Lock::Lock(Lock&&) noexcept = default;

Lock& Lock::operator=(Lock&& other) noexcept {
  if (this != &other) {
    if (turn_) static_cast<void>(release(kQuietRelease));
    turn_ = std::move(other.turn_);
  }
  return *this;
}

Lock::~Lock() {
  if (turn_) static_cast<void>(release(kQuietRelease));
}

Fence Lock::fence() const {
  return turn_ ? turn_->fence() : Fence{};
}

const std::string& Lock::key() const {
  CONCLAVE_CHECK(turn_, "key() of a Lock that was moved from");
  return turn_->key();
}

bool Lock::valid() const {
  return turn_ && turn_->valid();
}
Instant Lock::valid_until() const {
  return turn_ ? turn_->valid_until() : Instant::min();
}
std::stop_token Lock::lost() const {
  return turn_ ? turn_->lost() : std::stop_token{};
}

Guard Lock::guard() const {
  CONCLAVE_CHECK(turn_, "guard() of a Lock that was moved from");
  return turn_->guard();
}

GuardedTxn Lock::txn() const {
  CONCLAVE_CHECK(turn_, "txn() of a Lock that was moved from");
  return GuardedTxn(turn_->session().store(), turn_->guard());
}

Result<void> Lock::release(std::chrono::milliseconds timeout) {
  if (!turn_) return {};
  return session::release_turn(turn_, timeout);
}

Mutex::Mutex(Session& session, std::string name, MutexOptions options)
    : session_(session.core()), name_(std::move(name)), options_(std::move(options)) {}

Result<Lock> Mutex::wait_for_turn(const AcquireOptions& options, bool only_if_free) {
  session::TurnConfig config;
  config.name = name_;
  config.kind = "lock";
  config.value = HolderInfo::of_this_process(options_.label).encode();
  config.only_if_free = only_if_free;
  Result<std::shared_ptr<session::TurnCore>> turn =
      session::wait_for_turn(session_, std::move(config), options);
  if (!turn) return turn.error();
  return Lock(*std::move(turn));
}

Result<Lock> Mutex::acquire(std::stop_token stop) {
  AcquireOptions options;
  options.stop = std::move(stop);
  return wait_for_turn(options, false);
}

Result<Lock> Mutex::acquire(const AcquireOptions& options) {
  return wait_for_turn(options, false);
}

Result<Lock> Mutex::try_acquire() {
  AcquireOptions options;
  options.deadline = session_->executor().now() + kTryTimeout;
  return wait_for_turn(options, true);
}

Result<Lock> Mutex::try_acquire_until(Instant deadline, std::stop_token stop) {
  if (deadline <= session_->executor().now()) return try_acquire();
  AcquireOptions options;
  options.stop = std::move(stop);
  options.deadline = deadline;
  return wait_for_turn(options, false);
}

Result<Lock> Mutex::try_acquire_for(Duration timeout, std::stop_token stop) {
  const Instant now = session_->executor().now();
  // Durations up to "for ever" are fine.
  const Instant deadline = timeout < Instant::max() - now ? now + timeout : Instant::max();
  return try_acquire_until(deadline, std::move(stop));
}

void Mutex::hold(Lock lock) {
  const std::lock_guard guard(mutex_);
  const bool first = held_.emplace(std::this_thread::get_id(), std::move(lock)).second;
  CONCLAVE_CHECK(first, "a thread locks a mutex that it has locked");
}

void Mutex::lock() {
  hold(acquire().value());
}

bool Mutex::try_lock() {
  return lock_for(Duration(0));
}

bool Mutex::lock_for(Duration timeout) {
  Result<Lock> lock = try_acquire_for(timeout);
  if (lock) {
    hold(*std::move(lock));
    return true;
  }
  const Errc code = lock.error().code;
  if (code == Errc::would_block || code == Errc::timed_out) return false;
  throw Failure(lock.error());
}

void Mutex::unlock() noexcept {
  std::map<std::thread::id, Lock>::node_type released;
  {
    const std::lock_guard guard(mutex_);
    released = held_.extract(std::this_thread::get_id());
  }
  CONCLAVE_CHECK(released, "unlock() by a thread that has not locked");
  static_cast<void>(released.mapped().release(kQuietRelease));
}

const Lock& Mutex::held() const {
  const std::lock_guard guard(mutex_);
  const auto found = held_.find(std::this_thread::get_id());
  CONCLAVE_CHECK(found != held_.end(), "only for a thread that has locked the mutex with lock()");
  return found->second;
}

Fence Mutex::fence() const {
  return held().fence();
}
bool Mutex::valid() const {
  return held().valid();
}
std::stop_token Mutex::lost() const {
  return held().lost();
}
Guard Mutex::guard() const {
  return held().guard();
}
GuardedTxn Mutex::txn() const {
  return held().txn();
}

}  // namespace conclave
