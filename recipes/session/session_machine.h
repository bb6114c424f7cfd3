#pragma once

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "conclave/base/clock.h"
#include "conclave/base/error.h"
#include "conclave/base/random.h"
#include "conclave/base/result.h"
#include "conclave/client/store.h"
#include "conclave/client/types.h"

namespace conclave::session {

struct SessionConfig {
  Duration ttl{};
  Duration margin{};  // below ttl
  Duration open_timeout{};
  Duration close_timeout{};
};

// The margin that stands for "0: choose" in SessionOptions: a tenth of the TTL, at least 200 ms.
// Clocks that differ by a tenth in rate are broken; the 200 ms cover what the store's own timers
// are coarse by.
Duration default_margin(Duration ttl);

// Requests for the driver to make. The answers come back by the machine's on_... of the same name.
struct SendGrant {
  LeaseId id;
  Duration ttl;
  Instant deadline;
};
struct SendRenew {
  LeaseId id;
  Instant deadline;
};
struct SendRevoke {
  LeaseId id;
  Instant deadline;
};
// Facts for the driver to pass on, each at most once: opened or failed_to_open; then lost; then
// closed.
struct Opened {};
struct FailedToOpen {
  Error error;
};
struct Lost {
  Error reason;
};
struct Closed {
  Result<void> result;
};
using SessionAction =
    std::variant<SendGrant, SendRenew, SendRevoke, Opened, FailedToOpen, Lost, Closed>;

// The life of one lease, without clock or I/O: events in, actions and one timer out. After each
// input the driver carries out take_actions() and arms a timer for timer(), which calls on_timer().
//
// valid_until() = sending time of the last acknowledged grant or renewal + TTL in its answer -
// margin. Renewals are due every third of the TTL after the sending of the last acknowledged one;
// from half of the TTL on (jeopardy) one is sent every twelfth of it, whether or not earlier ones
// have been answered. Lost is decided at the first input at or after valid_until(), before that
// input is looked at: an answer that comes too late changes nothing.
class SessionMachine {
 public:
  enum class Phase : std::uint8_t { idle, opening, open, lost, closing, closed };

  // `random` for the lease id: a caller who draws the same numbers in two processes gets one lease
  // for both.
  SessionMachine(SessionConfig config, Random random);

  void open(Instant now);
  // While opening: gives up. Afterwards: revokes; Lost comes first, at once.
  void close(Instant now, Error reason);

  void on_grant(Instant now, const Result<Grant>& answer);
  void on_renew(Instant now, const Result<Renewal>& answer);
  void on_revoke(Instant now, const Result<void>& answer);
  void on_timer(Instant now);

  std::vector<SessionAction> take_actions();
  Instant timer() const;  // Instant::max(): none

  Phase phase() const { return phase_; }
  LeaseId lease() const { return lease_; }
  Instant valid_until() const { return valid_until_; }
  // From here on, without a newer renewal, the session is in jeopardy.
  Instant jeopardy_at() const { return jeopardy_at_; }

 private:
  void draw_lease();
  void send_grant(Instant now);
  void send_renew(Instant now);
  void acknowledge(Instant now, Instant sent_at, Duration ttl);
  // True if the session was open and is not any more.
  bool expire(Instant now);
  void lose(Instant now, Error reason);
  void fail_opening(Error error, bool maybe_granted);

  SessionConfig config_;
  Random random_;
  Phase phase_ = Phase::idle;
  LeaseId lease_ = 0;
  bool grant_unknown_ = false;  // some grant of lease_ was sent and not answered
  bool granted_ = false;
  Error last_error_{Errc::timed_out, "no answer from the store"};
  Instant open_deadline_{};
  Instant close_deadline_{};
  Instant last_sent_at_{};  // of the last acknowledged grant or renewal
  Instant valid_until_ = Instant::min();
  Instant jeopardy_at_ = Instant::min();
  Instant next_send_ = Instant::max();
  Duration granted_ttl_{};
  std::vector<SessionAction> actions_;
};

}  // namespace conclave::session
