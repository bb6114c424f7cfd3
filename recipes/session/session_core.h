#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <stop_token>
#include <string>

#include "conclave/base/clock.h"
#include "conclave/base/random.h"
#include "conclave/base/result.h"
#include "conclave/client/executor.h"
#include "conclave/client/store.h"
#include "conclave/session/burial.h"
#include "conclave/session/session.h"
#include "conclave/session/session_machine.h"

namespace conclave::session {

class TurnCore;

// The driver of a SessionMachine and of the session's burials, on a Store. Blocks nowhere.
//
// Threads: the first group of methods from the executor's tasks only, the second from any thread.
// Lifetime: shared; the Store must outlive it. Between open() and the end of close(), or the loss
// of the session, the executor's tasks hold it by weak references only: let close() finish before
// the last reference goes.
class SessionCore : public std::enable_shared_from_this<SessionCore> {
 public:
  using Done = std::function<void(Result<void>)>;

  // `seed`: for the lease id and the nonces; never the same for two sessions.
  SessionCore(Store& store, SessionConfig config, std::uint64_t seed);

  void open(Done done);
  void close(Error reason, Done done);
  // `removed` may be empty; it is called once, or never if the session ends first.
  void bury(Bury what, std::function<void(bool found)> removed);
  std::uint64_t draw_nonce() { return random_.next(); }
  Moment moment() const { return {store_.executor().now(), machine_.valid_until()}; }
  void enlist(std::shared_ptr<TurnCore> turn);
  void dismiss(const std::shared_ptr<TurnCore>& turn);

  Store& store() const { return store_; }
  Executor& executor() const { return store_.executor(); }
  LeaseId lease() const { return lease_.load(); }
  SessionState state() const;
  bool valid() const { return state() != SessionState::lost; }
  Instant valid_until() const { return Instant(Duration(valid_until_ns_.load())); }
  std::stop_token lost() const { return lost_.get_token(); }

 private:
  struct Grave {
    explicit Grave(Bury what) : burial(std::move(what)) {}
    Burial burial;
    std::function<void(bool)> removed;
    std::unique_ptr<WatchHandle> watch;
    Executor::TimerId timer = 0;
  };

  void pump();
  void carry_out(SessionAction action);
  void end(const Error& reason);
  void arm_timer();
  void publish();
  template <class Change>
  void with_grave(std::uint64_t id, Change change);
  void pump_grave(std::uint64_t id);

  Store& store_;
  Random random_;
  SessionMachine machine_;
  Done opened_;
  Done closed_;
  Executor::TimerId timer_ = 0;
  std::map<std::uint64_t, std::unique_ptr<Grave>> graves_;
  std::uint64_t last_grave_ = 0;
  std::set<std::shared_ptr<TurnCore>> turns_;

  // Read by any thread.
  std::atomic<LeaseId> lease_ = 0;
  std::atomic<bool> ended_ = false;
  std::atomic<Duration::rep> valid_until_ns_;
  std::atomic<Duration::rep> jeopardy_at_ns_;
  std::stop_source lost_;
};

}  // namespace conclave::session
