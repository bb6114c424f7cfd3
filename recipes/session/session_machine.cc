#include "conclave/session/session_machine.h"

#include <algorithm>
#include <string>
#include <utility>

#include "conclave/base/check.h"
#include "conclave/session/actions.h"
#include "conclave/session/planted_bugs.h"

namespace conclave::session {
namespace {

using namespace std::chrono_literals;

constexpr Duration kGrantRetry = 100ms;
constexpr Duration kGrantTimeout = 1s;

// etcd's answer to a grant under an id that is taken; a stable part of its API.
bool lease_exists(const Error& error) {
  return error.message.find("lease already exists") != std::string::npos;
}

}  // namespace

Duration default_margin(Duration ttl) {
  return std::max<Duration>(ttl / 10, 200ms);
}

SessionMachine::SessionMachine(SessionConfig config, Random random)
    : config_(config), random_(random) {
  CONCLAVE_CHECK(config_.ttl >= 1s && config_.margin >= 0s && config_.margin < config_.ttl,
                 "a session's margin must leave something of its TTL");
}

void SessionMachine::draw_lease() {
  do {
    lease_ = static_cast<LeaseId>(random_.next() >> 1);
  } while (lease_ == 0);
}

void SessionMachine::open(Instant now) {
  CONCLAVE_CHECK(phase_ == Phase::idle, "a session opens once");
  phase_ = Phase::opening;
  open_deadline_ = now + config_.open_timeout;
  draw_lease();
  send_grant(now);
}

void SessionMachine::send_grant(Instant now) {
  next_send_ = Instant::max();
  actions_.emplace_back(
      SendGrant{lease_, config_.ttl, std::min(now + kGrantTimeout, open_deadline_)});
}

void SessionMachine::send_renew(Instant now) {
  const Duration ttl = granted_ttl_ > 0s ? granted_ttl_ : config_.ttl;
  // Several may be under way in jeopardy: any answer will do, the newest sending counts.
  actions_.emplace_back(SendRenew{lease_, now + ttl});
  next_send_ = now + ttl / 12;
}

void SessionMachine::on_grant(Instant now, const Result<Grant>& answer) {
  if (phase_ != Phase::opening) return;
  if (answer) {
    granted_ = true;
    acknowledge(now, answer->sent_at, answer->ttl);
    return;
  }
  const Error& error = answer.error();
  if (lease_exists(error)) {
    if (!grant_unknown_) {
      draw_lease();  // somebody else's
      send_grant(now);
      return;
    }
    granted_ = true;  // ours: the grant whose answer was lost
    send_renew(now);
    return;
  }
  last_error_ = error;
  const bool maybe_granted = grant_unknown_ || error.code == Errc::resource_exhausted;
  if (!is_transient(error.code)) return fail_opening(error, maybe_granted);
  if (error.code != Errc::unavailable) grant_unknown_ = true;
  next_send_ = now + kGrantRetry;
}

void SessionMachine::acknowledge(Instant now, Instant sent_at, Duration ttl) {
  const Instant counted_from = CONCLAVE_PLANTED(validity_from_receipt) ? now : sent_at;
  const Instant valid_until = counted_from + ttl - config_.margin;
  // Answers may come out of order; validity never shrinks.
  if (valid_until <= valid_until_) return;
  granted_ttl_ = ttl;
  last_sent_at_ = counted_from;
  valid_until_ = valid_until;
  jeopardy_at_ = std::min(counted_from + ttl / 2, valid_until);
  next_send_ = std::min(counted_from + ttl / 3, valid_until);
  if (phase_ == Phase::opening) {
    if (now >= valid_until_) return send_renew(now);
    phase_ = Phase::open;
    actions_.emplace_back(Opened{});
  }
}

void SessionMachine::on_renew(Instant now, const Result<Renewal>& answer) {
  if (phase_ != Phase::opening && phase_ != Phase::open) return;
  if (expire(now)) return;
  if (answer) return acknowledge(now, answer->sent_at, answer->ttl);
  const Error& error = answer.error();
  last_error_ = error;
  if (error.code == Errc::not_found) {
    if (phase_ == Phase::open) {
      return lose(now, {Errc::session_lost, "the store has no such lease any more"});
    }
    // Granted unseen and expired since: begin again under another id.
    grant_unknown_ = granted_ = false;
    valid_until_ = Instant::min();
    draw_lease();
    return send_grant(now);
  }
  if (!is_transient(error.code) && phase_ == Phase::opening) return fail_opening(error, true);
}

bool SessionMachine::expire(Instant now) {
  if (phase_ != Phase::open || now < valid_until_ || CONCLAVE_PLANTED(ignore_expiry)) return false;
  lose(now, {Errc::session_lost, "no renewal was acknowledged in time"});
  return true;
}

void SessionMachine::lose(Instant now, Error reason) {
  phase_ = Phase::lost;
  valid_until_ = std::min(valid_until_, now);
  next_send_ = Instant::max();
  actions_.emplace_back(Lost{std::move(reason)});
  // So that others need not wait for the lease to run out. Not repeated: it runs out by itself.
  actions_.emplace_back(SendRevoke{lease_, now + config_.close_timeout});
}

void SessionMachine::fail_opening(Error error, bool maybe_granted) {
  phase_ = Phase::closed;
  next_send_ = Instant::max();
  valid_until_ = Instant::min();
  if (maybe_granted)
    actions_.emplace_back(SendRevoke{lease_, open_deadline_ + config_.close_timeout});
  actions_.emplace_back(FailedToOpen{std::move(error)});
}

void SessionMachine::close(Instant now, Error reason) {
  switch (phase_) {
    case Phase::idle:
    case Phase::opening:
      return fail_opening(std::move(reason), phase_ == Phase::opening);
    case Phase::open:
      phase_ = Phase::closing;
      valid_until_ = std::min(valid_until_, now);
      close_deadline_ = now + config_.close_timeout;
      next_send_ = Instant::max();
      actions_.emplace_back(Lost{std::move(reason)});
      actions_.emplace_back(SendRevoke{lease_, close_deadline_});
      return;
    case Phase::lost:
      phase_ = Phase::closed;
      actions_.emplace_back(Closed{{}});
      return;
    case Phase::closing:
    case Phase::closed:
      return;
  }
}

void SessionMachine::on_revoke(Instant now, const Result<void>& answer) {
  if (phase_ != Phase::closing) return;
  const bool gone = answer || answer.error().code == Errc::not_found;
  if (!gone && answer.error().code == Errc::unavailable && now + kGrantRetry < close_deadline_) {
    next_send_ = now + kGrantRetry;
    return;
  }
  phase_ = Phase::closed;
  actions_.emplace_back(Closed{gone ? Result<void>{} : answer});
}

void SessionMachine::on_timer(Instant now) {
  if (phase_ == Phase::opening && now >= open_deadline_) return fail_opening(last_error_, true);
  if (expire(now)) return;
  if (now < next_send_) return;
  if (phase_ == Phase::opening && !granted_) return send_grant(now);
  if (phase_ == Phase::opening || phase_ == Phase::open) return send_renew(now);
  if (phase_ == Phase::closing) {
    next_send_ = Instant::max();
    actions_.emplace_back(SendRevoke{lease_, close_deadline_});
  }
}

std::vector<SessionAction> SessionMachine::take_actions() {
  return std::exchange(actions_, {});
}

Instant SessionMachine::timer() const {
  Instant at = next_send_;
  if (phase_ == Phase::opening) at = std::min(at, open_deadline_);
  if (phase_ == Phase::open && !CONCLAVE_PLANTED(ignore_expiry)) at = std::min(at, valid_until_);
  return at;
}

}  // namespace conclave::session
