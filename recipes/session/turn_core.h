#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "conclave/base/clock.h"
#include "conclave/base/result.h"
#include "conclave/client/executor.h"
#include "conclave/client/store.h"
#include "conclave/session/fence.h"
#include "conclave/session/session_core.h"
#include "conclave/session/turn_machine.h"

namespace conclave::session {

// The driver of a TurnMachine. Blocks nowhere.
//
// Threads: the first group of methods from the executor's tasks only, the second from any thread;
// those of the third are constant once `done` of start() has been called with success. Lifetime:
// shared. While it has something to do its session holds it, so that a handle may be dropped.
class TurnCore : public std::enable_shared_from_this<TurnCore> {
 public:
  using Done = std::function<void(Result<void>)>;

  // `config` without lease and nonce, which come from the session.
  TurnCore(std::shared_ptr<SessionCore> session, TurnConfig config);

  // `done` comes once: with success when the turn is held; else when the wait has ended and its key
  // is gone or, after half a second more, is left to the session to remove. `waiting` (may be
  // empty) comes each time there is a new predecessor.
  void start(Done done, std::function<void()> waiting);
  void cancel();
  void release(Instant deadline, Done done);
  void on_session_lost(const Error& reason);

  bool valid() const { return held_.load() && session_->valid(); }
  Instant valid_until() const { return held_.load() ? session_->valid_until() : Instant::min(); }
  std::stop_token lost() const { return lost_.get_token(); }
  SessionCore& session() const { return *session_; }

  const std::string& key() const { return key_; }
  Fence fence() const { return fence_; }
  Guard guard() const { return {key_, fence_}; }

 private:
  void pump();
  void carry_out(TurnAction action);
  void on_granted(Fence fence);
  void on_ended(Error error);
  void on_taken(Error reason);
  void on_removed(bool found);
  void finish_wait_if_clean();
  void finish_wait(Result<void> result);
  void finish_release(Result<void> result);
  void dismiss_if_idle();
  void arm_timer();

  std::shared_ptr<SessionCore> session_;
  TurnConfig config_;
  std::optional<TurnMachine> machine_;
  Done waited_;
  Done released_;
  std::function<void()> waiting_;
  std::optional<Error> ended_;  // of a wait whose key is being removed
  std::optional<Error> taken_;
  bool removing_ = false;
  std::unique_ptr<WatchHandle> own_watch_;
  std::unique_ptr<WatchHandle> predecessor_watch_;
  Executor::TimerId timer_ = 0;
  Executor::TimerId grace_timer_ = 0;

  std::atomic<bool> held_ = false;
  std::stop_source lost_;

  std::string key_;
  Fence fence_;
};

}  // namespace conclave::session
