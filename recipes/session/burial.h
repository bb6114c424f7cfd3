#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "conclave/base/clock.h"
#include "conclave/base/result.h"
#include "conclave/client/store.h"
#include "conclave/session/actions.h"

namespace conclave::session {

using BurialAction = std::variant<SendTxn, StartWatch, StopWatch, Removed>;

// Removes one key of ours and sees to it that it stays removed: tries until the store acknowledges,
// and, if a request that creates the key may still be under way, watches the key from there on and
// removes it whenever it appears. Ends when done() or with the session, whose lease takes the key
// with it.
//
// Repeating a removal does no harm: it compares the create revision or, where that is not known,
// relies on the key's nonce, by which every generation of the key is ours.
class Burial {
 public:
  explicit Burial(Bury what) : what_(std::move(what)) {}

  void start(Instant now);
  void on_txn(Instant now, std::uint64_t request, const Result<TxnResult>& answer);
  void on_watch(Instant now, const WatchNotice& notice);
  void on_timer(Instant now);

  std::vector<BurialAction> take_actions();
  Instant timer() const { return retry_at_; }
  // The key is gone and cannot come back.
  bool done() const { return done_; }

 private:
  void remove(Instant now);

  Bury what_;
  bool done_ = false;
  bool acknowledged_ = false;
  bool maybe_removed_ = false;  // some attempt was sent and not answered
  std::uint64_t request_ = 0;
  Instant retry_at_ = Instant::max();
  Backoff backoff_;
  std::vector<BurialAction> actions_;
};

}  // namespace conclave::session
