#include "conclave/session/turn_core.h"

#include <utility>
#include <variant>

namespace conclave::session {
namespace {

// How long a wait that has ended is kept waiting for its key to be gone.
constexpr Duration kRemovalGrace = std::chrono::milliseconds(500);

}  // namespace

TurnCore::TurnCore(std::shared_ptr<SessionCore> session, TurnConfig config)
    : session_(std::move(session)), config_(std::move(config)) {}

void TurnCore::start(Done done, std::function<void()> waiting) {
  waited_ = std::move(done);
  waiting_ = std::move(waiting);
  config_.lease = session_->lease();
  config_.nonce = session_->draw_nonce();
  machine_.emplace(std::move(config_));
  key_ = machine_->key();
  session_->enlist(shared_from_this());
  machine_->start(session_->moment());
  pump();
}

void TurnCore::cancel() {
  if (!machine_) return;
  machine_->cancel();
  pump();
}

void TurnCore::release(Instant deadline, Done done) {
  if (!machine_ || machine_->phase() != TurnMachine::Phase::holding) {
    if (const auto reason = std::exchange(taken_, std::nullopt)) return done(*reason);
    return done({});
  }
  held_ = false;
  released_ = std::move(done);
  grace_timer_ = session_->executor().run_at(deadline, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) {
      self->grace_timer_ = 0;
      self->finish_release(
          Error{Errc::unknown_outcome, "no answer to the release; the key goes with the session"});
    }
  });
  machine_->release();
  pump();
}

void TurnCore::on_session_lost(const Error& reason) {
  if (!machine_) return;
  machine_->on_session_lost(reason);
  pump();
  // Nothing will be removed by the session any more.
  removing_ = false;
  if (ended_) finish_wait(*std::exchange(ended_, std::nullopt));
  if (released_) finish_release(Error{Errc::session_lost, reason.message});
}

void TurnCore::pump() {
  const std::shared_ptr<TurnCore> alive = shared_from_this();
  for (TurnAction& action : machine_->take_actions()) carry_out(std::move(action));
  arm_timer();
  finish_wait_if_clean();
  dismiss_if_idle();
}

void TurnCore::arm_timer() {
  Executor& executor = session_->executor();
  executor.cancel(std::exchange(timer_, 0));
  if (machine_->timer() == Instant::max()) return;
  timer_ = executor.run_at(machine_->timer(), [weak = weak_from_this()] {
    if (const auto self = weak.lock()) {
      self->timer_ = 0;
      self->machine_->on_timer(self->session_->moment());
      self->pump();
    }
  });
}

void TurnCore::carry_out(TurnAction action) {
  const std::weak_ptr<TurnCore> weak = weak_from_this();
  if (auto* send = std::get_if<SendTxn>(&action)) {
    session_->store().txn(std::move(send->txn), send->deadline,
                          [weak, request = send->request](Result<TxnResult> answer) {
                            const auto self = weak.lock();
                            if (!self) return;
                            self->machine_->on_txn(self->session_->moment(), request, answer);
                            self->pump();
                          });
  } else if (auto* start = std::get_if<StartWatch>(&action)) {
    const WatchSlot slot = start->slot;
    auto& handle = slot == WatchSlot::own ? own_watch_ : predecessor_watch_;
    handle =
        session_->store().watch(std::move(start->watch), [weak, slot](const WatchNotice& notice) {
          const auto self = weak.lock();
          if (!self) return;
          self->machine_->on_watch(self->session_->moment(), slot, notice);
          self->pump();
        });
  } else if (auto* stop = std::get_if<StopWatch>(&action)) {
    (stop->slot == WatchSlot::own ? own_watch_ : predecessor_watch_).reset();
  } else if (auto* bury = std::get_if<Bury>(&action)) {
    removing_ = true;
    session_->bury(std::move(*bury), [weak](bool found) {
      if (const auto self = weak.lock()) self->on_removed(found);
    });
  } else if (std::holds_alternative<Waiting>(action)) {
    if (waiting_) waiting_();
  } else if (auto* granted = std::get_if<Granted>(&action)) {
    on_granted(granted->fence);
  } else if (auto* ended = std::get_if<Ended>(&action)) {
    on_ended(std::move(ended->error));
  } else if (auto* taken = std::get_if<Taken>(&action)) {
    on_taken(std::move(taken->reason));
  }
}

void TurnCore::on_granted(Fence fence) {
  fence_ = fence;
  held_ = true;
  finish_wait({});
}

void TurnCore::on_ended(Error error) {
  ended_ = std::move(error);
  grace_timer_ = session_->executor().run_at(
      session_->executor().now() + kRemovalGrace, [weak = weak_from_this()] {
        const auto self = weak.lock();
        if (!self) return;
        self->grace_timer_ = 0;
        if (self->ended_) self->finish_wait(*std::exchange(self->ended_, std::nullopt));
        self->dismiss_if_idle();
      });
}

void TurnCore::on_taken(Error reason) {
  held_ = false;
  taken_ = std::move(reason);
  lost_.request_stop();
}

void TurnCore::on_removed(bool found) {
  removing_ = false;
  if (released_) {
    finish_release(found ? Result<void>{}
                         : Error{Errc::not_held, "somebody else had deleted " + key_});
  }
  finish_wait_if_clean();
  dismiss_if_idle();
}

void TurnCore::finish_wait_if_clean() {
  if (!ended_ || removing_ || machine_->phase() == TurnMachine::Phase::abandoned) return;
  finish_wait(*std::exchange(ended_, std::nullopt));
}

void TurnCore::finish_wait(Result<void> result) {
  session_->executor().cancel(std::exchange(grace_timer_, 0));
  waiting_ = nullptr;
  if (const Done done = std::exchange(waited_, nullptr)) done(std::move(result));
}

void TurnCore::finish_release(Result<void> result) {
  session_->executor().cancel(std::exchange(grace_timer_, 0));
  if (const Done done = std::exchange(released_, nullptr)) done(std::move(result));
  dismiss_if_idle();
}

void TurnCore::dismiss_if_idle() {
  if (machine_->phase() != TurnMachine::Phase::ended || ended_ || released_) return;
  own_watch_.reset();
  predecessor_watch_.reset();
  session_->dismiss(shared_from_this());
}

}  // namespace conclave::session
