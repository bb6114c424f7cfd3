#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <stop_token>

#include "conclave/base/clock.h"
#include "conclave/base/result.h"
#include "conclave/client/types.h"

namespace conclave {

class Client;
class Store;
namespace session {
class SessionCore;
}

enum class SessionState : std::uint8_t {
  safe,      // renewed lately
  jeopardy,  // half of the TTL has passed since the last acknowledged renewal was sent: wind down
  lost,      // valid no more; final
};

struct SessionOptions {
  // For how long the store keeps the lease without a renewal: the time after which others go on
  // when this process dies. Whole seconds count, 1 at least; etcd raises less than 2 s to 2 s.
  std::chrono::seconds ttl{10};
  // By how much valid_until() stays below what the store promised. It must cover by how much this
  // machine's clock and the store's may differ in rate over one TTL. 0: a tenth of the TTL, and at
  // least 200 ms. Half of the TTL at most.
  std::chrono::milliseconds margin{0};
  std::chrono::milliseconds open_timeout{5000};
  std::chrono::milliseconds close_timeout{2000};
};

// A kept-alive lease: the life of this process as the store sees it. Locks and elections hang on
// one, and end with it.
//
// Caveats. valid() is a statement of this machine's clock: it turns false before the store may
// expire the lease if clock rates differ by less than the margin. It says nothing about an operator
// who revokes the lease, and a process that is paused between asking and acting acts late: only a
// Fence or a Guard excludes then. etcd up to 3.5 can acknowledge a renewal on a leader that has
// been deposed; against it validity is advisory.
//
// What it does: takes a lease under an id of its own choice, renews it every third of the TTL, more
// often in jeopardy, and knows until when it is surely valid: the sending time of the last
// acknowledged renewal plus the TTL in the answer minus the margin, on CLOCK_BOOTTIME, which goes
// on in suspend. Lost is final: open a new Session. Keys whose creation or removal was never
// acknowledged are watched and removed for as long as the session lives, and go with its lease
// after that.
//
// Threads: every method from any thread. lost() callbacks run on the client's loop thread and must
// not block; calling a blocking method of the library from one is a deadlock. Lifetime: the Client
// (or Store) must outlive the session, and everything that was made on it. Handles that outlive
// their session answer session_lost.
//
//   Result<Session> session = Session::open(client, {.ttl = std::chrono::seconds(10)});
//   if (!session) return session.error();
//   Mutex deploy(*session, "deploy");
class Session {
 public:
  // Blocks until the lease stands, open_timeout has passed, or `stop` is requested.
  // Errors: timed_out or unavailable: no answer in time; cancelled; invalid_argument: a TTL below 1
  // s or a margin above half of it; whatever else the store refuses with. After an error
  // nothing is held; a lease that was granted unseen has no keys and expires by itself.
  static Result<Session> open(Client& client, SessionOptions options = {},
                              std::stop_token stop = {});
  static Result<Session> open(Store& store, SessionOptions options = {}, std::stop_token stop = {});

  Session(Session&&) noexcept = default;
  Session& operator=(Session&&) noexcept;
  // close(), its result dropped.
  ~Session();

  LeaseId lease() const;
  SessionState state() const;
  // The present is before valid_until() and the session is not lost. Never true again after false.
  bool valid() const;
  // Of a lost session: an instant in the past.
  Instant valid_until() const;
  // Fires once, when the session is lost or closed, and never un-fires.
  std::stop_token lost() const;

  // Gives the lease back: everything that hangs on it ends at once, first here, then in the store.
  // Waits close_timeout at most. A second call does nothing and succeeds. Errors: those of the
  // revocation; the session is closed all the same, and the lease expires by itself within its TTL.
  Result<void> close();

  // For recipes.
  const std::shared_ptr<session::SessionCore>& core() const { return core_; }

 private:
  explicit Session(std::shared_ptr<session::SessionCore> core) : core_(std::move(core)) {}

  std::shared_ptr<session::SessionCore> core_;
};

}  // namespace conclave
