#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "conclave/base/clock.h"
#include "conclave/base/result.h"
#include "conclave/client/store.h"
#include "conclave/client/types.h"
#include "conclave/session/actions.h"

namespace conclave::session {

struct TurnConfig {
  std::string name;
  std::string kind;   // "lock", "elect"
  std::string value;  // of the key
  LeaseId lease = 0;
  std::uint64_t nonce = 0;
  // Take the turn only if nobody is there; else end with would_block.
  bool only_if_free = false;
  Instant deadline = Instant::max();  // of the wait
};

using TurnAction =
    std::variant<SendTxn, StartWatch, StopWatch, Bury, Waiting, Granted, Ended, Taken>;

// One contender's way through a queue, without clock or I/O: events in, actions and one timer out.
// After each input the driver carries out take_actions() and arms a timer for timer().
//
// The queue is the keys directly below "<name>/" in the order of their create revisions; the lowest
// has the turn (the queue of etcd's concurrency package, which so queues with ours).
//
// - It enters with one transaction that creates its key if that is absent, else reads it, so that
//   it can be made again when its answer was lost.
// - It waits on its predecessor and on its own key. Events of two watches come in no common order:
//   that the predecessor is gone says nothing about the own key. So one linearizable read of both
//   decides, and the session must be valid when its answer is looked at.
// - It leaves by having its key buried; see burial.h.
class TurnMachine {
 public:
  enum class Phase : std::uint8_t {
    idle,
    entering,
    waiting,
    holding,
    abandoned,  // ended for its user; the answer that tells what to bury is still to come
    ended,
  };

  explicit TurnMachine(TurnConfig config);

  void start(Moment moment);
  void on_txn(Moment moment, std::uint64_t request, const Result<TxnResult>& answer);
  void on_watch(Moment moment, WatchSlot slot, const WatchNotice& notice);
  void on_timer(Moment moment);
  void on_session_lost(const Error& reason);
  // Ends a wait. Of a turn that is held, or over: nothing happens.
  void cancel();
  // Gives the turn back. Of one that is not held: nothing happens.
  void release();

  std::vector<TurnAction> take_actions();
  Instant timer() const;  // Instant::max(): none

  Phase phase() const { return phase_; }
  const std::string& key() const { return key_; }
  Fence fence() const { return {create_revision_}; }

 private:
  bool underway() const { return phase_ == Phase::entering || phase_ == Phase::waiting; }
  void send(Instant now, Txn txn);
  void send_enter(Instant now);
  void send_read(Instant now);
  Get read_predecessor(std::int64_t below) const;
  void retry(Instant now, const Error& error);

  void on_entered(Moment moment, const Result<TxnResult>& answer);
  void on_refused_entry(Moment moment, const TxnResult& answer);
  void on_read(Moment moment, const Result<TxnResult>& answer);
  void settle_abandoned(const Result<TxnResult>& answer);
  void decide(Moment moment, std::int64_t revision, const GetResult& page);
  void watch_own(std::int64_t after);
  void grant();
  void own_key_gone(Moment moment);
  void bury();
  void end(Error error);

  TurnConfig config_;
  std::string key_;
  std::string prefix_;
  Phase phase_ = Phase::idle;
  bool plain_entry_;        // enter even if somebody is there
  bool uncertain_ = false;  // some entering transaction was sent and not answered
  bool answered_ = false;   // the last request was
  Error last_error_{Errc::unavailable, "no answer from the store"};
  std::int64_t create_revision_ = 0;  // of our key; 0: not known to exist
  bool watching_own_ = false;
  std::int64_t page_size_ = 4;  // keys of deeper names may stand between us and the predecessor
  std::uint64_t request_ = 0;   // the last one made
  bool pending_ = false;        // and whether its answer is awaited
  Instant retry_at_ = Instant::max();
  Backoff backoff_;
  std::vector<TurnAction> actions_;
};

}  // namespace conclave::session
