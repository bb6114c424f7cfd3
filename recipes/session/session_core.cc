#include "conclave/session/session_core.h"

#include <utility>
#include <variant>
#include <vector>

#include "conclave/base/check.h"
#include "conclave/session/planted_bugs.h"
#include "conclave/session/turn_core.h"

namespace conclave::session {

SessionCore::SessionCore(Store& store, SessionConfig config, std::uint64_t seed)
    : store_(store),
      random_(seed),
      machine_(config, Random(random_.next())),
      valid_until_ns_(Instant::min().time_since_epoch().count()),
      jeopardy_at_ns_(Instant::min().time_since_epoch().count()) {}

void SessionCore::open(Done done) {
  if (machine_.phase() != SessionMachine::Phase::idle) {
    return done(Error{Errc::cancelled, "the session was closed before it opened"});
  }
  opened_ = std::move(done);
  machine_.open(executor().now());
  pump();
}

void SessionCore::close(Error reason, Done done) {
  using Phase = SessionMachine::Phase;
  if (machine_.phase() == Phase::closing || machine_.phase() == Phase::closed) return done({});
  closed_ = std::move(done);
  machine_.close(executor().now(), std::move(reason));
  pump();
}

SessionState SessionCore::state() const {
  if (ended_.load()) return SessionState::lost;
  const Duration::rep now = executor().now().time_since_epoch().count();
  if (now >= valid_until_ns_.load() && !CONCLAVE_PLANTED(ignore_expiry)) return SessionState::lost;
  return now >= jeopardy_at_ns_.load() ? SessionState::jeopardy : SessionState::safe;
}

void SessionCore::publish() {
  lease_ = machine_.lease();
  jeopardy_at_ns_ = machine_.jeopardy_at().time_since_epoch().count();
  valid_until_ns_ = machine_.valid_until().time_since_epoch().count();
}

void SessionCore::pump() {
  publish();
  const std::shared_ptr<SessionCore> alive = shared_from_this();
  for (SessionAction& action : machine_.take_actions()) carry_out(std::move(action));
  arm_timer();
}

void SessionCore::arm_timer() {
  executor().cancel(std::exchange(timer_, 0));
  if (machine_.timer() == Instant::max()) return;
  timer_ = executor().run_at(machine_.timer(), [weak = weak_from_this()] {
    if (const auto self = weak.lock()) {
      self->timer_ = 0;
      self->machine_.on_timer(self->executor().now());
      self->pump();
    }
  });
}

void SessionCore::carry_out(SessionAction action) {
  const std::weak_ptr<SessionCore> weak = weak_from_this();
  if (auto* grant = std::get_if<SendGrant>(&action)) {
    store_.grant(grant->ttl, grant->id, grant->deadline, [weak](Result<Grant> answer) {
      if (const auto self = weak.lock()) {
        self->machine_.on_grant(self->executor().now(), answer);
        self->pump();
      }
    });
  } else if (auto* renew = std::get_if<SendRenew>(&action)) {
    store_.renew(renew->id, renew->deadline, [weak](Result<Renewal> answer) {
      if (const auto self = weak.lock()) {
        self->machine_.on_renew(self->executor().now(), answer);
        self->pump();
      }
    });
  } else if (auto* revoke = std::get_if<SendRevoke>(&action)) {
    store_.revoke(revoke->id, revoke->deadline, [weak](Result<void> answer) {
      if (const auto self = weak.lock()) {
        self->machine_.on_revoke(self->executor().now(), answer);
        self->pump();
      }
    });
  } else if (std::holds_alternative<Opened>(action)) {
    if (const Done done = std::exchange(opened_, nullptr)) done({});
  } else if (auto* failed = std::get_if<FailedToOpen>(&action)) {
    end(failed->error);
    if (const Done done = std::exchange(opened_, nullptr)) done(failed->error);
    if (const Done done = std::exchange(closed_, nullptr)) done({});
  } else if (auto* lost = std::get_if<Lost>(&action)) {
    end(lost->reason);
  } else if (auto* closed = std::get_if<Closed>(&action)) {
    if (const Done done = std::exchange(closed_, nullptr)) done(closed->result);
  }
}

void SessionCore::end(const Error& reason) {
  ended_ = true;
  // The keys go with the lease, and no delayed request can attach one to it any more.
  for (auto& [id, grave] : graves_) executor().cancel(grave->timer);
  graves_.clear();
  for (const auto& turn : std::exchange(turns_, {})) turn->on_session_lost(reason);
  lost_.request_stop();
}

void SessionCore::enlist(std::shared_ptr<TurnCore> turn) {
  turns_.insert(std::move(turn));
}

void SessionCore::dismiss(const std::shared_ptr<TurnCore>& turn) {
  turns_.erase(turn);
}

void SessionCore::bury(Bury what, std::function<void(bool found)> removed) {
  if (ended_) return;
  const std::uint64_t id = ++last_grave_;
  auto grave = std::make_unique<Grave>(std::move(what));
  grave->removed = std::move(removed);
  Grave& placed = *grave;
  graves_.emplace(id, std::move(grave));
  placed.burial.start(executor().now());
  pump_grave(id);
}

template <class Change>
void SessionCore::with_grave(std::uint64_t id, Change change) {
  const auto found = graves_.find(id);
  if (found == graves_.end()) return;
  change(found->second->burial);
  pump_grave(id);
}

void SessionCore::pump_grave(std::uint64_t id) {
  Grave& grave = *graves_.at(id);
  const std::weak_ptr<SessionCore> weak = weak_from_this();
  // Called last: it may end the session, and the grave with it.
  std::function<void()> report;
  for (BurialAction& action : grave.burial.take_actions()) {
    if (auto* send = std::get_if<SendTxn>(&action)) {
      store_.txn(std::move(send->txn), send->deadline,
                 [weak, id, request = send->request](Result<TxnResult> answer) {
                   const auto self = weak.lock();
                   if (!self) return;
                   self->with_grave(id, [&](Burial& burial) {
                     burial.on_txn(self->executor().now(), request, answer);
                   });
                 });
    } else if (auto* start = std::get_if<StartWatch>(&action)) {
      grave.watch = store_.watch(std::move(start->watch), [weak, id](const WatchNotice& notice) {
        const auto self = weak.lock();
        if (!self) return;
        self->with_grave(id,
                         [&](Burial& burial) { burial.on_watch(self->executor().now(), notice); });
      });
    } else if (std::holds_alternative<StopWatch>(action)) {
      grave.watch.reset();
    } else if (auto* gone = std::get_if<Removed>(&action)) {
      if (grave.removed)
        report = [call = std::move(grave.removed), found = gone->found] { call(found); };
      grave.removed = nullptr;
    }
  }
  executor().cancel(std::exchange(grave.timer, 0));
  if (grave.burial.done()) {
    graves_.erase(id);
  } else if (grave.burial.timer() != Instant::max()) {
    grave.timer = executor().run_at(grave.burial.timer(), [weak, id] {
      const auto self = weak.lock();
      if (!self) return;
      self->with_grave(id, [&](Burial& burial) { burial.on_timer(self->executor().now()); });
    });
  }
  if (report) report();
}

}  // namespace conclave::session
