#include "conclave/client/caller.h"

#include <algorithm>
#include <utility>

#include "conclave/api/errors.h"
#include "conclave/api/rpc.pb.h"

namespace conclave::client {

using std::chrono::milliseconds;

namespace {

constexpr Duration kFirstPause = milliseconds(50);
constexpr Duration kLongestPause = milliseconds(1000);
constexpr int kMostDoublings = 5;

// A read leaves a silent endpoint after half of the time it has left, but not sooner than this.
constexpr Duration kShortestReadAttempt = milliseconds(500);

// An answer that took longer than this and did not come says something about the server and not
// only about the caller's patience.
constexpr Duration kStallTime = milliseconds(1000);

constexpr std::string_view kAuthenticate = "/etcdserverpb.Auth/Authenticate";
constexpr std::string_view kAuthenticationOff = "authentication is not enabled";

// The store's own text as it stands; a transport's text with the endpoint it speaks of.
std::string describe(const CallStatus& status, const std::string& endpoint,
                     const std::string& method) {
  if (status.message.starts_with("etcdserver: ")) return status.message;
  if (!status.message.empty()) return endpoint + ": " + status.message;
  // The code then says all there is to say.
  if (status.code == static_cast<int>(api::StatusCode::unimplemented)) {
    return endpoint + ": the server does not implement " + method;
  }
  return endpoint + ": no answer";
}

}  // namespace

Duration Backoff::next(Random& random) {
  const Duration pause = std::min(kLongestPause, kFirstPause * (1 << failures_));
  failures_ = std::min(failures_ + 1, kMostDoublings);
  const auto half = static_cast<std::uint64_t>(pause.count() / 2);
  return Duration(static_cast<Duration::rep>(half + random.below(half + 1)));
}

Caller::Caller(Executor& executor, Endpoints& endpoints, Random& random, Credentials credentials)
    : executor_(&executor),
      endpoints_(&endpoints),
      random_(&random),
      credentials_(std::move(credentials)) {}

Caller::~Caller() {
  for (auto& [id, call] : calls_) {
    executor_->cancel(call.deadline_timer);
    executor_->cancel(call.retry_timer);
  }
}

void Caller::call(Request request, Done done) {
  start(std::move(request), std::move(done), /*authenticates=*/false);
}

Caller::CallId Caller::start(Request request, Done done, bool authenticates) {
  const CallId id = next_call_++;
  Call& call = calls_[id];
  call.request = std::move(request);
  call.done = std::move(done);
  call.authenticates = authenticates;
  call.deadline_timer = executor_->run_at(call.request.deadline + kDeadlineGrace,
                                          [this, id] { deadline_passed(id); });
  prepare(id);
  return id;
}

void Caller::prepare(CallId id) {
  const auto found = calls_.find(id);
  if (found == calls_.end()) return;
  if (found->second.authenticates || !needs_token()) return attempt(id);
  with_token([this, id](const Result<std::string>& token) {
    if (!calls_.contains(id)) return;
    if (!token) return finish(id, token.error());
    attempt(id);
  });
}

Instant Caller::attempt_deadline(const Call& call) const {
  const Duration left = call.request.deadline - executor_->now();
  const bool may_go_elsewhere =
      call.request.kind == CallKind::read && !call.request.endpoint && endpoints_->size() > 1;
  if (!may_go_elsewhere) return call.request.deadline;
  return executor_->now() + std::min(left, std::max(left / 2, kShortestReadAttempt));
}

void Caller::attempt(CallId id) {
  Call& call = calls_.at(id);
  call.retry_timer = 0;
  call.endpoint = call.request.endpoint.value_or(endpoints_->current());
  call.token = call.authenticates ? std::string() : token_;
  call.in_flight = true;
  call.attempt_began = executor_->now();
  const std::size_t attempt = ++call.attempts;
  endpoints_->channel(call.endpoint)
      .unary(call.request.method, call.request.message, call.token, attempt_deadline(call),
             [this, id, attempt](const CallStatus& status, std::string_view reply) {
               answered(id, attempt, status, reply);
             });
}

void Caller::answered(CallId id, std::size_t attempt, const CallStatus& status,
                      std::string_view reply) {
  const auto found = calls_.find(id);
  if (found == calls_.end() || found->second.attempts != attempt) return;
  Call& call = found->second;
  call.in_flight = false;
  const Verdict verdict = judge(status);
  Error error{verdict.code, describe(status, endpoints_->name(call.endpoint), call.request.method)};
  switch (verdict.fate) {
    case Fate::succeeded:
      return finish(id, std::string(reply));
    case Fate::refused:
      return finish(id, std::move(error));
    case Fate::token_rejected:
      if (!has_credentials() || call.token_renewed || call.authenticates) {
        return finish(id, std::move(error));
      }
      call.token_renewed = true;
      forget_token(call.token);
      return prepare(id);
    case Fate::unknown:
      if (verdict.code == Errc::timed_out && executor_->now() - call.attempt_began >= kStallTime) {
        endpoints_->stalled(call.endpoint);
      }
      if (call.request.kind == CallKind::write) {
        endpoints_->failed(call.endpoint);
        return finish(id, Error{Errc::unknown_outcome, std::move(error.message)});
      }
      break;
    case Fate::not_carried_out:
      break;
  }
  retry_or_fail(id, std::move(error));
}

void Caller::retry_or_fail(CallId id, Error error) {
  Call& call = calls_.at(id);
  endpoints_->failed(call.endpoint);
  if (call.request.endpoint) return finish(id, std::move(error));
  call.last_error = error;
  // Once around without a pause: the next endpoint has done nothing wrong yet.
  const bool tried_all = call.attempts % endpoints_->size() == 0;
  const Instant again =
      executor_->now() + (tried_all ? call.backoff.next(*random_) : Duration::zero());
  if (again >= call.request.deadline) return finish(id, std::move(error));
  call.retry_timer = executor_->run_at(again, [this, id] { prepare(id); });
}

void Caller::deadline_passed(CallId id) {
  const auto found = calls_.find(id);
  if (found == calls_.end()) return;
  Call& call = found->second;
  call.deadline_timer = 0;
  if (!call.in_flight) {
    return finish(id, call.last_error.value_or(Error{
                          Errc::timed_out, "the deadline passed before the request was sent"}));
  }
  const std::string text = endpoints_->name(call.endpoint) + ": no answer before the deadline";
  endpoints_->failed(call.endpoint);
  const Errc code = call.request.kind == CallKind::write ? Errc::unknown_outcome : Errc::timed_out;
  finish(id, Error{code, text});
}

void Caller::finish(CallId id, Result<std::string> result) {
  const auto found = calls_.find(id);
  Call call = std::move(found->second);
  calls_.erase(found);
  executor_->cancel(call.deadline_timer);
  executor_->cancel(call.retry_timer);
  call.done(std::move(result));
}

void Caller::with_token(TokenDone done) {
  if (!needs_token()) {
    executor_->post([done = std::move(done), token = token_] { done(token); });
    return;
  }
  token_waiters_.push_back(std::move(done));
  if (!authenticating_) authenticate();
}

void Caller::forget_token(std::string_view token) {
  if (token == token_) token_.clear();
  authentication_off_ = false;
}

void Caller::authenticate() {
  authenticating_ = true;
  etcdserverpb::AuthenticateRequest message;
  message.set_name(credentials_.user);
  message.set_password(credentials_.password);
  Request request{.method = std::string(kAuthenticate),
                  .message = message.SerializeAsString(),
                  .kind = CallKind::read,
                  .deadline = executor_->now() + kAuthenticationTimeout};
  start(
      std::move(request), [this](Result<std::string> reply) { authenticated(std::move(reply)); },
      /*authenticates=*/true);
}

void Caller::authenticated(Result<std::string> reply) {
  authenticating_ = false;
  Result<std::string> token = std::string();
  if (reply) {
    etcdserverpb::AuthenticateResponse message;
    if (message.ParseFromString(*reply) && !message.token().empty()) {
      token_ = message.token();
      token = token_;
    } else {
      token = Error{Errc::refused, "the reply to Authenticate carries no token"};
    }
  } else if (reply.error().message.ends_with(kAuthenticationOff)) {
    authentication_off_ = true;
  } else {
    token = reply.error();
  }
  std::vector<TokenDone> waiters;
  waiters.swap(token_waiters_);
  for (const TokenDone& waiter : waiters) waiter(token);
}

}  // namespace conclave::client
