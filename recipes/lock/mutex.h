#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>

#include "conclave/base/clock.h"
#include "conclave/base/result.h"
#include "conclave/session/fence.h"
#include "conclave/session/queue.h"
#include "conclave/session/session.h"

namespace conclave {

namespace session {
class TurnCore;
}

// What a lock like this cannot do: stop a process that is paused. Between the moment valid() said
// yes and the moment your write arrives, a process can lie still for longer than its TTL (suspend,
// swap, a stopped container), lose the lock, and write all the same. No lock service can prevent
// that from outside. What prevents it is the place that is written to: write to the store through
// txn(), whose guard the store checks at the very revision of the write, or hand fence() to a
// resource that refuses lower fences. For work that is merely wasteful if done twice, valid() and
// lost() are enough.

// A held lock. Moves, does not copy; releases itself.
//
// Threads: all methods from any thread, except that moving, releasing and destroying need the
// handle to yourself. After release(): valid() is false, fence() and key() stay. A moved-from
// handle may be destroyed, assigned to, and asked for valid() and fence(), which are false and 0;
// key(), guard() and txn() end the process then.
class [[nodiscard]] Lock {
 public:
  Lock(Lock&&) noexcept;
  Lock& operator=(Lock&&) noexcept;
  // release(), its result dropped; waits up to a second for the store.
  ~Lock();

  // Higher than that of every earlier holder of this name.
  Fence fence() const;
  std::int64_t revision() const { return fence().revision; }
  // The key in the queue; it exists as long as the lock is held.
  const std::string& key() const;

  // Held and, by this machine's clock, surely not expired.
  bool valid() const;
  Instant valid_until() const;
  // Fires once: session lost or closed, or the key deleted by an operator. Not on release().
  std::stop_token lost() const;

  // Conditions and transactions that hold only while this lock is held; see fence.h.
  Guard guard() const;
  GuardedTxn txn() const;

  // Lets the next one in. Waits until the store has acknowledged, `timeout` at most. The key is
  // removed only if it is the one this handle made. Calling it again does nothing and succeeds.
  // Errors, after each of which the lock is not held any more: not_held: it had been taken away
  // before. session_lost: the session ended first. unknown_outcome: no answer in time; the session
  // goes on removing the key in the background, and it goes with the lease at the latest.
  Result<void> release(std::chrono::milliseconds timeout = std::chrono::seconds(5));

 private:
  friend class Mutex;
  explicit Lock(std::shared_ptr<session::TurnCore> turn) : turn_(std::move(turn)) {}

  std::shared_ptr<session::TurnCore> turn_;
};

struct MutexOptions {
  // Shown to those who wait and to list(): what for the lock is held.
  std::string label{};
};

// A fair lock that all machines share: who asks first is first served.
//
// Promises: two handles of one name are never both valid(), if clock rates differ by less than the
// session's margin and no operator breaks in; with txn() and fences no write of a former holder
// gets through, with no conditions. A failed, cancelled or timed-out acquire leaves nothing behind:
// its key is removed at once, or by the session as soon as the store can be reached, or with the
// lease. Waiters do not stampede: each watches the one before it and its own key. etcdctl's lock,
// Go's concurrency.Mutex and v3lock queue together with this one under the same name. Locks `a` and
// `a/b` have nothing to do with each other here (to etcdctl, which takes any key below `a/` for a
// waiter, they do).
//
// Not recursive: a thread that acquires twice waits for itself. Threads may share a Mutex; each
// acquire is a contender of its own. Lifetime: the Session's Client must outlive the Mutex; the
// Session should.
//
//   Mutex mutex(session, "deploy", {.label = "rollout 7"});
//   Result<Lock> lock = mutex.acquire(stop);
//   if (!lock) return lock.error();
//   Result<TxnResult> done = lock->txn().then(Put{.key = "deployed", .value = "7"}).commit();
//   if (!done) return done.error();  // not_held: somebody else's turn, and nothing was written
//   return lock->release();
class Mutex {
 public:
  // An empty name makes every acquire fail with invalid_argument.
  Mutex(Session& session, std::string name, MutexOptions options = {});
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  const std::string& name() const { return name_; }

  // Blocks until it is our turn. Errors, after each of which nothing is held and no key is left:
  // cancelled: `stop` was requested. session_lost: the session ended first. not_held: an operator
  // deleted our key while we waited. timed_out: the deadline passed; unavailable: it passed and the
  // store did not answer. permission_denied, resource_exhausted, refused: by the store, in its
  // words. A store that is away is waited for, for as long as the session lives.
  Result<Lock> acquire(std::stop_token stop = {});
  Result<Lock> acquire(const AcquireOptions& options);

  // As acquire, but would_block at once if somebody holds or waits. Costs one round trip, and no
  // key is ever made if it is taken. Waits 5 s for an answer.
  Result<Lock> try_acquire();
  // As acquire with a deadline. One that has passed already makes it a try_acquire().
  Result<Lock> try_acquire_until(Instant deadline, std::stop_token stop = {});
  Result<Lock> try_acquire_for(Duration timeout, std::stop_token stop = {});

  // For std::lock_guard, std::unique_lock, std::scoped_lock (std TimedLockable). The calls that
  // wait throw Failure where acquire() would return an error other than would_block and timed_out.
  void lock();
  bool try_lock();
  template <class Rep, class Period>
  bool try_lock_for(const std::chrono::duration<Rep, Period>& timeout) {
    return lock_for(std::chrono::ceil<Duration>(timeout));
  }
  template <class Clock, class Length>
  bool try_lock_until(const std::chrono::time_point<Clock, Length>& deadline) {
    return lock_for(std::chrono::ceil<Duration>(deadline - Clock::now()));
  }
  // Best effort, a second at most: the lease is the backstop.
  void unlock() noexcept;

  // Of the holding made by lock() and its kin, by the thread that has it; a programming error
  // otherwise.
  Fence fence() const;
  bool valid() const;
  std::stop_token lost() const;
  Guard guard() const;
  GuardedTxn txn() const;

  // Holder and waiters, from one read at one revision. Errors: those of a read.
  static Result<QueueState> list(Client& client, const std::string& name);
  static Result<QueueState> list(Store& store, const std::string& name);

  // For an operator: takes the lock from the holder with that fence, and from nobody else. Its
  // handle's lost() fires, late perhaps; only fenced writes of it are excluded from now on. Errors:
  // not_held: that holder has gone already. unknown_outcome, unavailable: list() again.
  static Result<void> break_holder(Client& client, const std::string& name, Fence holder);
  static Result<void> break_holder(Store& store, const std::string& name, Fence holder);

 private:
  Result<Lock> wait_for_turn(const AcquireOptions& options, bool only_if_free);
  bool lock_for(Duration timeout);
  const Lock& held() const;
  void hold(Lock lock);

  std::shared_ptr<session::SessionCore> session_;
  std::string name_;
  MutexOptions options_;

  mutable std::mutex mutex_;
  // By the thread that locked: a holder that an operator broke and the next one can be here
  // together.
  std::map<std::thread::id, Lock> held_;  // under mutex_
};

}  // namespace conclave
