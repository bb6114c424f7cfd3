#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "conclave/base/clock.h"
#include "conclave/base/result.h"
#include "conclave/session/fence.h"
#include "conclave/session/queue.h"
#include "conclave/session/session.h"

namespace conclave {

namespace session {
class TurnCore;
}
namespace election {
class ObserverCore;
}

// A former leader that is paused does not know that it is one. valid() and lost() tell as early as
// its own clock can; what a former leader must never write goes through txn(), or carries fence()
// to a resource that refuses lower ones.

// A term of office. Moves, does not copy; resigns by itself.
//
// Threads: all methods from any thread, except that moving, resigning and destroying need the
// handle to yourself. After resign(), or of a moved-from handle, what lock/mutex.h says of Lock
// holds; proclaim() of a moved-from one ends the process, too.
class [[nodiscard]] Leadership {
 public:
  Leadership(Leadership&&) noexcept;
  Leadership& operator=(Leadership&&) noexcept;
  // resign(), its result dropped; waits up to a second for the store.
  ~Leadership();

  // Higher than that of every earlier leader of this election.
  Fence fence() const;
  std::int64_t revision() const { return fence().revision; }
  const std::string& key() const;

  bool valid() const;
  Instant valid_until() const;
  // Fires once: session lost or closed, or the key deleted by an operator. Not on resign().
  std::stop_token lost() const;

  Guard guard() const;
  GuardedTxn txn() const;

  // Replaces the value that others see, guarded. Errors: not_held: we lead no more, nothing was
  // written. unavailable, unknown_outcome and the like: the leadership itself is untouched.
  Result<void> proclaim(std::string value);

  // Ends the term. Errors and aftermath as Lock::release(): whatever it returns, this handle leads
  // no more.
  Result<void> resign(std::chrono::milliseconds timeout = std::chrono::seconds(5));

 private:
  friend class Election;
  explicit Leadership(std::shared_ptr<session::TurnCore> turn) : turn_(std::move(turn)) {}

  std::shared_ptr<session::TurnCore> turn_;
};

struct Leader {
  std::string key;
  std::string value;
  Fence fence;
  LeaseId lease = 0;
  std::int64_t mod_revision = 0;  // of its last proclamation

  friend bool operator==(const Leader&, const Leader&) = default;
};

// Who led from `revision` on.
struct LeaderChange {
  std::optional<Leader> leader;  // nullopt: nobody
  std::int64_t revision = 0;
  // The store had compacted revisions that this observer had not seen: changes between the previous
  // one and this may be missing. Never silently.
  bool gap = false;
};

// Follows an election: every leader, every proclamation, and every time without a leader, in order
// and each once.
//
// Lifetime: the Client must outlive it. Threads: one at a time; destroying it needs it to yourself.
class Observer {
 public:
  Observer(Observer&&) noexcept;
  Observer& operator=(Observer&&) noexcept;
  ~Observer();

  // Blocks until there is a change that has not been handed out yet: the first call returns the
  // state of affairs, be it that nobody leads. A store that is away is waited for. Errors:
  // cancelled: `stop` was requested; nothing is lost, call again. timed_out: `deadline` passed,
  // likewise. permission_denied and other refusals end the observer: each further call returns the
  // same.
  Result<LeaderChange> next(std::stop_token stop = {}, std::optional<Instant> deadline = {});

 private:
  friend class Election;
  explicit Observer(std::shared_ptr<election::ObserverCore> core) : core_(std::move(core)) {}

  std::shared_ptr<election::ObserverCore> core_;
};

// One leader at a time among those who campaign under a name; the others wait in line.
//
// Promises: as Mutex (conclave/lock/mutex.h), which is the same queue. The candidate's key holds
// its value as it is, so `etcdctl elect --listen`, Go's concurrency.Election and v3election see our
// leaders and we theirs. Use a name for a lock or for an election, not for both.
//
// Threads: every method from any thread. Lifetime: the Session's Client must outlive it.
//
//   Election election(session, "master");
//   Result<Leadership> term = election.campaign("10.0.0.7:8080", stop);
//   if (!term) return term.error();
//   while (term->valid() && !stop.stop_requested()) serve_for_a_moment(term->fence());
//   return term->resign();
class Election {
 public:
  Election(Session& session, std::string name);

  const std::string& name() const { return name_; }

  // Blocks until we lead. Errors and aftermath as Mutex::acquire(): no key is left after any of
  // them.
  Result<Leadership> campaign(std::string value, std::stop_token stop = {});
  Result<Leadership> campaign(std::string value, const AcquireOptions& options);

  // As campaign(), but would_block at once if somebody leads or waits. Costs one round trip, and no
  // key is ever made if there is a leader. Waits 5 s for an answer.
  Result<Leadership> try_campaign(std::string value);

  // Campaigns, calls `while_leading` on this thread with the leadership and a token that fires when
  // the leadership is lost or `stop` is requested, and resigns when it returns; one term. Errors:
  // those of campaign(); not_held or session_lost if the term ended before `while_leading`
  // returned; those of resign(). An exception of `while_leading` passes through after resigning.
  Result<void> run(std::string value,
                   const std::function<void(Leadership&, std::stop_token)>& while_leading,
                   std::stop_token stop = {});

  // Who leads now, from one linearizable read. Errors: those of a read.
  static Result<std::optional<Leader>> leader(Client& client, const std::string& name);
  static Result<std::optional<Leader>> leader(Store& store, const std::string& name);

  // Leader and candidates in line, from one read at one revision.
  static Result<QueueState> list(Client& client, const std::string& name);
  static Result<QueueState> list(Store& store, const std::string& name);

  // `after`: the revision of the last LeaderChange that was seen, to go on from there; 0: from now
  // on. Never fails by itself: the first next() tells.
  static Observer observe(Client& client, const std::string& name, std::int64_t after = 0);
  static Observer observe(Store& store, const std::string& name, std::int64_t after = 0);

 private:
  Result<Leadership> wait_for_turn(std::string value, const AcquireOptions& options,
                                   bool only_if_free);

  std::shared_ptr<session::SessionCore> session_;
  std::string name_;
};

}  // namespace conclave
