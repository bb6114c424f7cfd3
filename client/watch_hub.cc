#include "conclave/client/watch_hub.h"

#include <algorithm>
#include <utility>

#include "conclave/client/convert.h"
#include "conclave/client/verdict.h"

namespace conclave::client {

namespace {

constexpr std::string_view kWatchMethod = "/etcdserverpb.Watch/Watch";

}  // namespace

class WatchHub::Handle final : public WatchHandle {
 public:
  Handle(WatchHub& hub, WatchId id) : hub_(&hub), alive_(hub.alive_), id_(id) {}
  ~Handle() override {
    if (!alive_.expired()) hub_->end(id_);
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

 private:
  WatchHub* hub_;
  std::weak_ptr<bool> alive_;
  WatchId id_;
};

WatchHub::WatchHub(Executor& executor, Endpoints& endpoints, Caller& caller, Random& random,
                   Duration dial_timeout)
    : executor_(&executor),
      endpoints_(&endpoints),
      caller_(&caller),
      random_(&random),
      silence_limit_(2 * dial_timeout) {
  endpoints.on_stalled([this, alive = std::weak_ptr(alive_)](Endpoints::Index index) {
    if (!alive.expired() && stream_ && stream_endpoint_ == index) reopen(/*endpoint_failed=*/true);
  });
}

WatchHub::~WatchHub() {
  drop_stream();
  executor_->cancel(reopen_timer_);
}

std::unique_ptr<WatchHandle> WatchHub::watch(Watch watch, Sink sink) {
  const WatchId id = next_id_++;
  Entry& entry = entries_[id];
  entry.next_revision = watch.start_revision;
  entry.request = std::move(watch);
  entry.sink = std::make_shared<Sink>(std::move(sink));
  if (entry.next_revision < 0) {
    fail_later(id, {Errc::invalid_argument, "a watch cannot start at a negative revision"});
  } else if (stream_) {
    create_on_stream(id, entry);
  } else {
    open_stream();
  }
  return std::make_unique<Handle>(*this, id);
}

void WatchHub::end(WatchId id) {
  const auto found = entries_.find(id);
  if (found == entries_.end()) return;
  const Phase phase = found->second.phase;
  entries_.erase(found);
  if (entries_.empty()) {
    executor_->cancel(reopen_timer_);
    reopen_timer_ = 0;
    opening_ = false;
    return drop_stream();
  }
  // One that is still being created is cancelled once its reply is here: a server may not know it
  // before.
  if (stream_ && phase == Phase::standing) {
    etcdserverpb::WatchRequest request;
    request.mutable_cancel_request()->set_watch_id(id);
    stream_->send(request.SerializeAsString());
  }
}

void WatchHub::open_stream() {
  if (stream_ || opening_) return;
  opening_ = true;
  caller_->with_token([this, alive = std::weak_ptr(alive_)](const Result<std::string>& token) {
    if (alive.expired() || !opening_) return;
    opening_ = false;
    if (entries_.empty() || stream_) return;
    if (token) return open_with(*token);
    if (token.error().code == Errc::permission_denied) return fail_all(token.error());
    reopen(/*endpoint_failed=*/false);
  });
}

void WatchHub::open_with(const std::string& token) {
  stream_endpoint_ = endpoints_->current();
  stream_token_ = token;
  stream_ = endpoints_->channel(stream_endpoint_)
                .open(kWatchMethod, token,
                      {.message = [this](std::string_view bytes) { received(bytes); },
                       .closed = [this](const CallStatus& status) { stream_closed(status); }});
  for (const auto& [id, entry] : entries_) {
    if (entry.next_revision >= 0) create_on_stream(id, entry);
  }
}

void WatchHub::create_on_stream(WatchId id, const Entry& entry) {
  etcdserverpb::WatchRequest request;
  *request.mutable_create_request() = to_wire(entry.request);
  request.mutable_create_request()->set_watch_id(id);
  request.mutable_create_request()->set_start_revision(entry.next_revision);
  stream_->send(request.SerializeAsString());
  entries_.at(id).phase = Phase::creating;
  creating_.push_back(id);
  watch_for_silence();
}

// A server that takes a create request and does not answer it is frozen or cut off.
void WatchHub::watch_for_silence() {
  executor_->cancel(silence_timer_);
  silence_timer_ = 0;
  if (creating_.empty()) return;
  silence_timer_ = executor_->run_at(executor_->now() + silence_limit_, [this] {
    silence_timer_ = 0;
    const Endpoints::Index silent_endpoint = stream_endpoint_;
    reopen(/*endpoint_failed=*/true);
    endpoints_->stalled(silent_endpoint);
  });
}

void WatchHub::drop_stream() {
  stream_.reset();
  creating_.clear();
  executor_->cancel(silence_timer_);
  silence_timer_ = 0;
  for (auto& [id, entry] : entries_) {
    entry.phase = Phase::waiting;
    entry.fragments.clear();
  }
}

void WatchHub::reopen(bool endpoint_failed) {
  if (endpoint_failed) endpoints_->failed(stream_endpoint_);
  drop_stream();
  if (entries_.empty() || opening_) return;
  opening_ = true;
  const bool tried_all = ++failures_ % endpoints_->size() == 0;
  const Duration pause = tried_all ? backoff_.next(*random_) : Duration::zero();
  reopen_timer_ = executor_->run_at(executor_->now() + pause, [this] {
    reopen_timer_ = 0;
    opening_ = false;
    open_stream();
  });
}

void WatchHub::stream_closed(const CallStatus& status) {
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

void WatchHub::received(std::string_view bytes) {
  etcdserverpb::WatchResponse reply;
  if (!reply.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return reopen(/*endpoint_failed=*/true);
  }
  WatchId id = reply.watch_id();
  if (reply.created()) {
    id = take_creating(id);
    watch_for_silence();
    if (!reply.canceled()) {
      failures_ = 0;
      backoff_.reset();
      return on_created(id, reply);
    }
  }
  if (!entries_.contains(id)) return;
  if (reply.canceled()) return on_canceled(id, reply);
  if (reply.events_size() > 0 || reply.fragment() || !entries_.at(id).fragments.empty()) {
    return on_events(id, reply);
  }
  on_progress(id, reply.header().revision());
}

// A refused create comes back with the id -1: then it is the oldest that is unanswered.
WatchHub::WatchId WatchHub::take_creating(WatchId named) {
  auto found = std::ranges::find(creating_, named);
  if (found == creating_.end()) found = creating_.begin();
  if (found == creating_.end()) return named;
  const WatchId id = *found;
  creating_.erase(found);
  return id;
}

void WatchHub::on_created(WatchId id, const etcdserverpb::WatchResponse& reply) {
  const auto found = entries_.find(id);
  if (found == entries_.end()) {
    etcdserverpb::WatchRequest request;
    request.mutable_cancel_request()->set_watch_id(id);
    if (stream_) stream_->send(request.SerializeAsString());
    return;
  }
  Entry& entry = found->second;
  entry.phase = Phase::standing;
  entry.token_renewed = false;
  const std::int64_t revision = reply.header().revision();
  if (entry.next_revision == 0) entry.next_revision = revision + 1;
  if (std::exchange(entry.announced, true)) return;
  deliver(entry, {.kind = WatchNotice::Kind::created, .revision = revision});
}

void WatchHub::on_events(WatchId id, etcdserverpb::WatchResponse& reply) {
  Entry& entry = entries_.at(id);
  for (mvccpb::Event& event : *reply.mutable_events()) {
    if (event.kv().mod_revision() >= entry.next_revision) {
      entry.fragments.push_back(from_wire(event));
    }
  }
  if (reply.fragment() || entry.fragments.empty()) return;
  WatchNotice notice{.kind = WatchNotice::Kind::events};
  notice.events.swap(entry.fragments);
  // Not the header's: while a watch catches up, that is ahead of what has been sent.
  notice.revision = notice.events.back().kv.mod_revision;
  entry.next_revision = notice.revision + 1;
  deliver(entry, notice);
}

void WatchHub::on_progress(WatchId id, std::int64_t revision) {
  Entry& entry = entries_.at(id);
  entry.next_revision = std::max(entry.next_revision, revision + 1);
  deliver(entry, {.kind = WatchNotice::Kind::progress, .revision = revision});
}

void WatchHub::on_canceled(WatchId id, const etcdserverpb::WatchResponse& reply) {
  Entry& entry = entries_.at(id);
  const Verdict verdict = judge_text(reply.cancel_reason());
  if (reply.compact_revision() > 0 || verdict.code == Errc::compacted) {
    return finish(id, {.kind = WatchNotice::Kind::compacted,
                       .revision = reply.header().revision(),
                       .compact_revision = reply.compact_revision()});
  }
  if (verdict.code == Errc::permission_denied && caller_->has_credentials() &&
      !std::exchange(entry.token_renewed, true)) {
    // A server that has restarted does not know the old token and may say so in these words.
    caller_->forget_token(stream_token_);
    return reopen(/*endpoint_failed=*/false);
  }
  if (verdict.fate == Fate::refused && !reply.cancel_reason().empty()) {
    return finish(
        id, {.kind = WatchNotice::Kind::failed, .error = {verdict.code, reply.cancel_reason()}});
  }
  reopen(/*endpoint_failed=*/true);
}

// The sink may end this watch or any other: its function is held on to, and nothing is touched
// after it.
void WatchHub::deliver(const Entry& entry, const WatchNotice& notice) {
  const std::shared_ptr<Sink> sink = entry.sink;
  (*sink)(notice);
}

void WatchHub::finish(WatchId id, const WatchNotice& notice) {
  const std::shared_ptr<Sink> sink = entries_.at(id).sink;
  entries_.erase(id);
  if (entries_.empty()) drop_stream();
  (*sink)(notice);
}

void WatchHub::fail_later(WatchId id, Error error) {
  executor_->post([this, alive = std::weak_ptr(alive_), id, error = std::move(error)] {
    if (alive.expired() || !entries_.contains(id)) return;
    finish(id, {.kind = WatchNotice::Kind::failed, .error = error});
  });
}

void WatchHub::fail_all(const Error& error) {
  drop_stream();
  for (const auto& [id, entry] : entries_) fail_later(id, error);
}

}  // namespace conclave::client
