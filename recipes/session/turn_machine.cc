#include "conclave/session/turn_machine.h"

#include <algorithm>
#include <utility>

#include "conclave/base/bytes.h"
#include "conclave/base/check.h"
#include "conclave/session/planted_bugs.h"
#include "conclave/session/turn_key.h"

namespace conclave::session {
namespace {

const GetResult* get_at(const TxnResult& answer, std::size_t index) {
  if (index >= answer.results.size()) return nullptr;
  return std::get_if<GetResult>(&answer.results[index]);
}

const Error kMalformed{Errc::refused, "the store's answer does not fit the question"};

}  // namespace

TurnMachine::TurnMachine(TurnConfig config)
    : config_(std::move(config)),
      key_(contender_key(config_.name, config_.lease, config_.kind, config_.nonce)),
      prefix_(queue_prefix(config_.name)),
      plain_entry_(!config_.only_if_free) {}

void TurnMachine::start(Moment moment) {
  CONCLAVE_CHECK(phase_ == Phase::idle, "a turn starts once");
  if (config_.name.empty()) return end({Errc::invalid_argument, "a name must not be empty"});
  if (!moment.session_valid()) return end({Errc::session_lost, "the session is lost"});
  phase_ = Phase::entering;
  send_enter(moment.now);
}

void TurnMachine::send(Instant now, Txn txn) {
  retry_at_ = Instant::max();
  pending_ = true;
  ++request_;
  actions_.emplace_back(SendTxn{request_, std::move(txn), now + kRequestTimeout});
}

Get TurnMachine::read_predecessor(std::int64_t below) const {
  Get get = read_queue(config_.name, SortOrder::descending, page_size_);
  get.max_create_revision = below;
  get.keys_only = true;
  return get;
}

void TurnMachine::send_enter(Instant now) {
  Txn txn;
  txn.success.emplace_back(read_predecessor(0));
  txn.success.emplace_back(Put{.key = key_, .value = config_.value, .lease = config_.lease});
  txn.failure.emplace_back(read_key(key_));
  if (plain_entry_) {
    txn.compares.push_back(created_at(key_, 0));
  } else {
    // No key at all below the name, our own of an earlier attempt included.
    Compare free = created_at(prefix_, 0);
    free.range_end = prefix_end(prefix_);
    txn.compares.push_back(std::move(free));
    txn.failure.emplace_back(read_predecessor(0));
  }
  send(now, std::move(txn));
}

void TurnMachine::send_read(Instant now) {
  Txn txn;
  txn.success.emplace_back(read_key(key_));
  txn.success.emplace_back(read_predecessor(create_revision_ - 1));
  send(now, std::move(txn));
}

void TurnMachine::retry(Instant now, const Error& error) {
  answered_ = false;
  last_error_ = error;
  retry_at_ = now + backoff_.next();
}

void TurnMachine::on_txn(Moment moment, std::uint64_t request, const Result<TxnResult>& answer) {
  if (!pending_ || request != request_) return;
  pending_ = false;
  if (phase_ == Phase::abandoned) return settle_abandoned(answer);
  if (!underway() && phase_ != Phase::holding) return;
  if (answer) {
    answered_ = true;
    backoff_.reset();
  }
  if (phase_ == Phase::entering) return on_entered(moment, answer);
  return on_read(moment, answer);
}

void TurnMachine::on_entered(Moment moment, const Result<TxnResult>& answer) {
  if (!answer) {
    const Error& error = answer.error();
    if (!is_transient(error.code)) {
      const bool lease_gone = error.code == Errc::not_found;
      if (uncertain_ || error.code == Errc::resource_exhausted) bury();
      return end(lease_gone ? Error{Errc::session_lost, error.message} : error);
    }
    if (error.code != Errc::unavailable) uncertain_ = true;
    return retry(moment.now, error);
  }
  if (!answer->succeeded) return on_refused_entry(moment, *answer);
  const GetResult* page = get_at(*answer, 0);
  create_revision_ = answer->revision;
  if (page == nullptr) {
    bury();
    return end(kMalformed);
  }
  watch_own(answer->revision);
  decide(moment, answer->revision, *page);
}

void TurnMachine::on_refused_entry(Moment moment, const TxnResult& answer) {
  const GetResult* own = get_at(answer, 0);
  if (own != nullptr && !own->kvs.empty()) {
    // An earlier attempt, whose answer was lost, did it.
    create_revision_ = own->kvs.front().create_revision;
    watch_own(answer.revision);
    phase_ = Phase::waiting;
    return send_read(moment.now);
  }
  const GetResult* page = get_at(answer, 1);
  if (plain_entry_ || page == nullptr) {
    if (uncertain_) bury();
    return end(kMalformed);
  }
  const bool taken = std::ranges::any_of(
      page->kvs, [&](const KeyValue& kv) { return is_contender(prefix_, kv.key); });
  if (taken) {
    if (uncertain_) bury();
    return end({Errc::would_block, config_.name + " is taken"});
  }
  // Only keys of deeper names: they do not count, but the compare cannot tell.
  plain_entry_ = true;
  send_enter(moment.now);
}

void TurnMachine::on_read(Moment moment, const Result<TxnResult>& answer) {
  if (!answer) {
    if (is_transient(answer.error().code) || phase_ == Phase::holding) {
      return retry(moment.now, answer.error());
    }
    bury();
    return end(answer.error());
  }
  const GetResult* own = get_at(*answer, 0);
  const GetResult* page = get_at(*answer, 1);
  if (own == nullptr || page == nullptr) return retry(moment.now, kMalformed);
  if (own->kvs.empty() || own->kvs.front().create_revision != create_revision_) {
    return own_key_gone(moment);
  }
  if (!watching_own_) watch_own(answer->revision);
  if (phase_ == Phase::waiting) decide(moment, answer->revision, *page);
}

// The decision: our key stands at `revision`, and `page` has the contenders below it, nearest
// first.
void TurnMachine::decide(Moment moment, std::int64_t revision, const GetResult& page) {
  phase_ = Phase::waiting;
  const auto ahead = std::ranges::find_if(page.kvs, [&](const KeyValue& kv) {
    return kv.key != key_ && is_contender(prefix_, kv.key);
  });
  if (ahead != page.kvs.end()) {
    if (config_.only_if_free) {
      bury();
      return end({Errc::would_block, config_.name + " is taken"});
    }
    Watch watch;
    watch.key = ahead->key;
    watch.start_revision = revision + 1;
    watch.no_put = true;
    actions_.emplace_back(StartWatch{WatchSlot::predecessor, std::move(watch)});
    actions_.emplace_back(Waiting{ahead->key});
    return;
  }
  if (page.more) {
    page_size_ *= 8;
    return send_read(moment.now);
  }
  if (!moment.session_valid() && !CONCLAVE_PLANTED(ignore_expiry)) {
    return end({Errc::session_lost, "the session ran out while waiting"});
  }
  grant();
}

void TurnMachine::watch_own(std::int64_t after) {
  Watch watch;
  watch.key = key_;
  watch.start_revision = after + 1;
  watch.no_put = true;
  watching_own_ = true;
  actions_.emplace_back(StartWatch{WatchSlot::own, std::move(watch)});
}

void TurnMachine::grant() {
  phase_ = Phase::holding;
  actions_.emplace_back(StopWatch{WatchSlot::predecessor});
  actions_.emplace_back(Granted{fence()});
}

void TurnMachine::on_watch(Moment moment, WatchSlot slot, const WatchNotice& notice) {
  if (phase_ != Phase::waiting && phase_ != Phase::holding) return;
  const bool own = slot == WatchSlot::own;
  if (own && CONCLAVE_PLANTED(wait_on_predecessor_only)) return;
  switch (notice.kind) {
    case WatchNotice::Kind::created:
    case WatchNotice::Kind::progress:
      return;
    case WatchNotice::Kind::events: {
      const bool erased = std::ranges::any_of(
          notice.events, [](const Event& event) { return event.type == Event::Type::erase; });
      if (!erased) return;
      if (own) return own_key_gone(moment);
      break;
    }
    case WatchNotice::Kind::compacted:
    case WatchNotice::Kind::failed:
      break;
  }
  // The predecessor is gone, or a watch has ended and with it what we knew.
  if (own) watching_own_ = false;
  actions_.emplace_back(StopWatch{slot});
  if (notice.kind == WatchNotice::Kind::failed) {
    if (!pending_) retry(moment.now, notice.error);
    return;
  }
  if (!own && CONCLAVE_PLANTED(wait_on_predecessor_only)) return grant();
  send_read(moment.now);
}

void TurnMachine::own_key_gone(Moment moment) {
  const Error gone{Errc::not_held, "somebody else has deleted " + key_};
  if (phase_ == Phase::holding) {
    if (uncertain_) bury();
    phase_ = Phase::ended;
    actions_.emplace_back(StopWatch{WatchSlot::own});
    actions_.emplace_back(Taken{gone});
    return;
  }
  if (uncertain_) bury();
  // After a pause the news that the lease took the key may come before the session's own end.
  if (!moment.session_valid()) {
    return end({Errc::session_lost, "the session ran out while waiting"});
  }
  end(gone);
}

void TurnMachine::on_session_lost(const Error& reason) {
  if (CONCLAVE_PLANTED(wait_on_predecessor_only) && phase_ == Phase::waiting) return;
  const Error error{Errc::session_lost, reason.message};
  if (phase_ == Phase::holding) {
    phase_ = Phase::ended;
    actions_.emplace_back(StopWatch{WatchSlot::own});
    actions_.emplace_back(Taken{error});
    return;
  }
  if (underway()) return end(error);
  // What is left of it goes with the lease.
  phase_ = Phase::ended;
}

void TurnMachine::cancel() {
  if (!underway()) return;
  const Error error{Errc::cancelled, "the wait for " + config_.name + " was cancelled"};
  if (phase_ == Phase::entering && pending_) {
    end(error);
    phase_ = Phase::abandoned;
    return;
  }
  if (create_revision_ != 0 || uncertain_) bury();
  end(error);
}

void TurnMachine::settle_abandoned(const Result<TxnResult>& answer) {
  phase_ = Phase::ended;
  if (!answer) {
    const Errc code = answer.error().code;
    if (code == Errc::resource_exhausted) return bury();
    if (is_transient(code) && code != Errc::unavailable) uncertain_ = true;
  } else if (answer->succeeded) {
    create_revision_ = answer->revision;
  } else if (const GetResult* own = get_at(*answer, 0); own != nullptr && !own->kvs.empty()) {
    create_revision_ = own->kvs.front().create_revision;
  }
  if (create_revision_ != 0 || uncertain_) bury();
}

void TurnMachine::release() {
  if (phase_ != Phase::holding) return;
  phase_ = Phase::ended;
  actions_.emplace_back(StopWatch{WatchSlot::own});
  actions_.emplace_back(Bury{key_, create_revision_, uncertain_});
}

void TurnMachine::bury() {
  if (CONCLAVE_PLANTED(forget_cancelled_key)) return;
  actions_.emplace_back(Bury{key_, create_revision_, uncertain_});
}

void TurnMachine::end(Error error) {
  phase_ = Phase::ended;
  retry_at_ = Instant::max();
  actions_.emplace_back(StopWatch{WatchSlot::predecessor});
  actions_.emplace_back(StopWatch{WatchSlot::own});
  actions_.emplace_back(Ended{std::move(error)});
}

void TurnMachine::on_timer(Moment moment) {
  if (underway() && moment.now >= config_.deadline) {
    const Error error = answered_
                            ? Error{Errc::timed_out, "the wait for " + config_.name + " timed out"}
                            : Error{Errc::unavailable, last_error_.message};
    if (phase_ == Phase::entering && pending_) {
      end(error);
      phase_ = Phase::abandoned;
      return;
    }
    if (create_revision_ != 0 || uncertain_) bury();
    return end(error);
  }
  if (moment.now < retry_at_) return;
  if (phase_ == Phase::entering) return send_enter(moment.now);
  if (phase_ == Phase::waiting || phase_ == Phase::holding) send_read(moment.now);
}

std::vector<TurnAction> TurnMachine::take_actions() {
  return std::exchange(actions_, {});
}

Instant TurnMachine::timer() const {
  if (underway()) return std::min(retry_at_, config_.deadline);
  return phase_ == Phase::holding ? retry_at_ : Instant::max();
}

}  // namespace conclave::session
