#include "conclave/client/renewer.h"

#include <algorithm>
#include <utility>

#include "conclave/api/rpc.pb.h"
#include "conclave/client/verdict.h"

namespace conclave::client {

namespace {

constexpr std::string_view kKeepAliveMethod = "/etcdserverpb.Lease/LeaseKeepAlive";
// The stream is shared: one hasty caller does not make the others leave it.
constexpr Duration kLeastPatience = std::chrono::milliseconds(250);

}  // namespace

Renewer::Renewer(Executor& executor, Endpoints& endpoints, Caller& caller, Random& random,
                 Duration dial_timeout)
    : executor_(&executor),
      endpoints_(&endpoints),
      caller_(&caller),
      random_(&random),
      silence_limit_(dial_timeout) {
  endpoints.on_stalled([this, alive = std::weak_ptr(alive_)](Endpoints::Index index) {
    if (!alive.expired() && stream_ && stream_endpoint_ == index) reopen(/*endpoint_failed=*/true);
  });
}

Renewer::~Renewer() {
  executor_->cancel(reopen_timer_);
  for (auto& [id, request] : requests_) {
    executor_->cancel(request.deadline_timer);
    executor_->cancel(request.silence_timer);
  }
}

void Renewer::renew(LeaseId id, Instant deadline, Done done) {
  const RequestId request_id = next_id_++;
  const Instant now = executor_->now();
  Request& request = requests_[request_id];
  request.lease = id;
  request.sent_at = now;
  request.done = std::move(done);
  request.deadline_timer =
      executor_->run_at(deadline, [this, request_id] { deadline_passed(request_id); });
  // A silent server is left while there is still time to ask another.
  request.patience = std::max(std::min(silence_limit_, (deadline - now) / 2), kLeastPatience);
  request.silence_timer =
      executor_->run_at(now + request.patience, [this, request_id] { silent(request_id); });
  if (stream_) {
    send(request_id);
  } else {
    open_stream();
  }
}

void Renewer::open_stream() {
  if (stream_ || opening_) return;
  opening_ = true;
  caller_->with_token([this, alive = std::weak_ptr(alive_)](const Result<std::string>& token) {
    if (alive.expired() || !opening_) return;
    opening_ = false;
    if (requests_.empty() || stream_) return;
    if (token) return open_with(*token);
    last_failure_ = token.error().message;
    if (token.error().code == Errc::permission_denied) return fail_all(token.error());
    reopen(/*endpoint_failed=*/false);
  });
}

void Renewer::open_with(const std::string& token) {
  stream_endpoint_ = endpoints_->current();
  stream_opened_at_ = executor_->now();
  stream_token_ = token;
  stream_ = endpoints_->channel(stream_endpoint_)
                .open(kKeepAliveMethod, token,
                      {.message = [this](std::string_view bytes) { received(bytes); },
                       .closed = [this](const CallStatus& status) { stream_closed(status); }});
  for (const auto& [id, request] : requests_) send(id);
}

void Renewer::send(RequestId id) {
  const LeaseId lease = requests_.at(id).lease;
  etcdserverpb::LeaseKeepAliveRequest message;
  message.set_id(lease);
  unanswered_[lease].push_back(id);
  stream_->send(message.SerializeAsString());
}

void Renewer::drop_stream() {
  stream_.reset();
  unanswered_.clear();
  std::erase_if(requests_, [this](const auto& entry) {
    if (entry.second.done) return false;
    executor_->cancel(entry.second.silence_timer);
    return true;
  });
}

void Renewer::reopen(bool endpoint_failed) {
  if (endpoint_failed) endpoints_->failed(stream_endpoint_);
  drop_stream();
  if (requests_.empty() || opening_) return;
  opening_ = true;
  const bool tried_all = ++failures_ % endpoints_->size() == 0;
  const Duration pause = tried_all ? backoff_.next(*random_) : Duration::zero();
  reopen_timer_ = executor_->run_at(executor_->now() + pause, [this] {
    reopen_timer_ = 0;
    opening_ = false;
    if (!requests_.empty()) open_stream();
  });
}

void Renewer::received(std::string_view bytes) {
  etcdserverpb::LeaseKeepAliveResponse reply;
  if (!reply.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return reopen(/*endpoint_failed=*/true);
  }
  failures_ = 0;
  backoff_.reset();
  const auto found = unanswered_.find(reply.id());
  if (found == unanswered_.end()) return;
  const RequestId id = found->second.front();
  found->second.pop_front();
  if (found->second.empty()) unanswered_.erase(found);
  if (reply.ttl() <= 0) {
    return finish(id, Error{Errc::not_found, "etcdserver: requested lease not found"});
  }
  finish(id,
         Renewal{.sent_at = requests_.at(id).sent_at, .ttl = std::chrono::seconds(reply.ttl())});
}

void Renewer::stream_closed(const CallStatus& status) {
  last_failure_ = endpoints_->name(stream_endpoint_) + ": " + status.message;
  const Verdict verdict = judge(status);
  if (verdict.fate == Fate::refused && verdict.code != Errc::unavailable) {
    return fail_all({verdict.code, status.message});
  }
  if (verdict.fate == Fate::token_rejected) {
    if (!caller_->has_credentials()) return fail_all({verdict.code, status.message});
    caller_->forget_token(stream_token_);
    return reopen(/*endpoint_failed=*/false);
  }
  reopen(/*endpoint_failed=*/true);
}

void Renewer::silent(RequestId id) {
  // A stream that was opened after the request was made has its own time to answer.
  const Instant now = executor_->now();
  const Instant since = stream_ ? stream_opened_at_ : now;
  Request& request = requests_.at(id);
  const bool had_its_time = now - since >= request.patience;
  const Instant again = (had_its_time ? now : since) + request.patience;
  request.silence_timer = executor_->run_at(again, [this, id] { silent(id); });
  if (!had_its_time) return;
  const Endpoints::Index silent_endpoint = stream_endpoint_;
  reopen(/*endpoint_failed=*/true);
  endpoints_->stalled(silent_endpoint);
}

void Renewer::deadline_passed(RequestId id) {
  Request& request = requests_.at(id);
  request.deadline_timer = 0;
  Done done;
  done.swap(request.done);
  if (!stream_) {
    executor_->cancel(request.silence_timer);
    requests_.erase(id);
  }
  done(Error{Errc::timed_out, last_failure_.empty()
                                  ? "the lease was not renewed before the deadline"
                                  : last_failure_});
}

void Renewer::finish(RequestId id, const Result<Renewal>& result) {
  Request request = std::move(requests_.at(id));
  requests_.erase(id);
  executor_->cancel(request.deadline_timer);
  executor_->cancel(request.silence_timer);
  if (request.done) request.done(result);
}

void Renewer::fail_all(const Error& error) {
  drop_stream();
  while (!requests_.empty()) {
    const RequestId id = requests_.begin()->first;
    executor_->post(
        [this, alive = std::weak_ptr(alive_), done = requests_.begin()->second.done, error] {
          if (!alive.expired()) done(error);
        });
    requests_.begin()->second.done = nullptr;
    finish(id, error);
  }
}

}  // namespace conclave::client
