#pragma once

#include <chrono>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>

#include "conclave/base/clock.h"
#include "conclave/cli/verbs/context.h"
#include "conclave/session/queue.h"
#include "conclave/session/session.h"

namespace conclave::cli {

// A turn and the session that it hangs on, which outlives it.
template <class Turn>
struct Won {
  Session session;
  Turn turn;
};

// Waits for a lock or a leadership until --timeout, across the ends of sessions: one that the store
// or this process was away for too long is followed by another, at the end of the queue. Says on
// stderr what it waits for.
//
// A wait that is over takes up to 1.5 s more to leave the queue of a store that does not answer.
// Only what has never reached the store gives up by itself, after --command-timeout.
class TurnWait {
 public:
  // `what`: "the lock deploy", for messages. --timeout counts from here.
  TurnWait(const Arguments& arguments, std::string name, std::string what, std::chrono::seconds ttl,
           std::stop_token stop);

  // `enter(session, options)` waits for the turn, `attempt(session)` takes it if it is free; each
  // returns Result<Turn>. Errors: those of these two and of opening a session; unavailable: the
  // store is away; invalid_argument of the store's becomes refused.
  template <class Turn, class Enter, class Attempt>
  Result<Won<Turn>> win(Client& client, Enter enter, Attempt attempt) {
    for (;;) {
      auto session = open(client);
      if (!session) return session.error();
      Result<Turn> turn = only_once() ? attempt(*session) : enter(*session, options());
      if (turn) return Won<Turn>{std::move(*session), std::move(*turn)};
      if (!starts_over(turn.error())) return of_store(turn.error());
    }
  }

 private:
  bool only_once() const { return deadline_ && *deadline_ <= began_; }
  bool over() const;
  Result<Session> open(Client& client);
  AcquireOptions options() const;
  bool starts_over(const Error& error);

  std::string name_;
  std::string what_;
  std::chrono::seconds ttl_;
  std::chrono::milliseconds command_timeout_;
  std::stop_token stop_;
  Instant began_;
  std::optional<Instant> deadline_;
  bool reached_ = false;  // some session was open
};

}  // namespace conclave::cli
