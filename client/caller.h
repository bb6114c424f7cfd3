#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "conclave/base/random.h"
#include "conclave/base/result.h"
#include "conclave/client/call_kind.h"
#include "conclave/client/endpoints.h"
#include "conclave/client/executor.h"
#include "conclave/client/verdict.h"

namespace conclave::client {

struct Credentials {
  std::string user;  // empty: no authentication
  std::string password;
};

// The pauses between attempts: doubling up to a second, half of each random, so that the clients of
// a server that comes back do not all return in the same instant.
class Backoff {
 public:
  Duration next(Random& random);
  void reset() { failures_ = 0; }

 private:
  int failures_ = 0;
};

// Unary calls that survive what can be survived: the one place that decides whether a request is
// sent again. The README of this room has the table.
//
// Threads: the executor's tasks. Callbacks come as tasks, once, at the deadline at the latest (give
// or take kDeadlineGrace). Destroying a Caller drops what is under way without a callback.
class Caller {
 public:
  using Done = std::function<void(Result<std::string> reply)>;
  using TokenDone = std::function<void(Result<std::string> token)>;

  // The transport is given the deadline itself, and this long to say with which status it passed:
  // it knows whether the request was sent.
  static constexpr Duration kDeadlineGrace = std::chrono::milliseconds(30);
  static constexpr Duration kAuthenticationTimeout = std::chrono::seconds(5);

  Caller(Executor& executor, Endpoints& endpoints, Random& random, Credentials credentials);
  ~Caller();

  Caller(const Caller&) = delete;
  Caller& operator=(const Caller&) = delete;

  struct Request {
    std::string method;
    std::string message;
    CallKind kind = CallKind::read;
    Instant deadline;
    // Tried there only, and once.
    std::optional<Endpoints::Index> endpoint{};
  };
  void call(Request request, Done done);

  // The token for a stream, "" where none is needed; authenticates first if none is known.
  void with_token(TokenDone done);
  // The server did not accept this token: the next one to ask gets a new one.
  void forget_token(std::string_view token);
  bool has_credentials() const { return !credentials_.user.empty(); }

 private:
  using CallId = std::uint64_t;
  struct Call {
    Request request;
    Done done;
    bool authenticates = false;  // carries no token itself
    bool token_renewed = false;
    bool in_flight = false;
    std::string token;
    Endpoints::Index endpoint = 0;
    Instant attempt_began;
    std::size_t attempts = 0;
    Backoff backoff;
    std::optional<Error> last_error;
    Executor::TimerId deadline_timer = 0;
    Executor::TimerId retry_timer = 0;
  };

  CallId start(Request request, Done done, bool authenticates);
  void prepare(CallId id);
  void attempt(CallId id);
  Instant attempt_deadline(const Call& call) const;
  void answered(CallId id, std::size_t attempt, const CallStatus& status, std::string_view reply);
  void retry_or_fail(CallId id, Error error);
  void deadline_passed(CallId id);
  void finish(CallId id, Result<std::string> result);
  void authenticate();
  void authenticated(Result<std::string> reply);
  bool needs_token() const { return has_credentials() && !authentication_off_ && token_.empty(); }

  Executor* executor_;
  Endpoints* endpoints_;
  Random* random_;
  Credentials credentials_;

  std::unordered_map<CallId, Call> calls_;
  CallId next_call_ = 1;

  std::string token_;
  bool authentication_off_ = false;  // the cluster says that it asks for no user
  bool authenticating_ = false;
  std::vector<TokenDone> token_waiters_;
};

}  // namespace conclave::client
