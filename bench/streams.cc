#include "conclave/bench/streams.h"

#include <algorithm>

namespace conclave::bench {

class Watchers::Stream : public StreamHandler {
 public:
  explicit Stream(Watchers& owner) : owner_(owner) {}

  void on_message(std::string_view message) override {
    const WatchSummary summary = summarize_watch_response(message);
    if (!summary.valid || summary.canceled) {
      owner_.error_ = summary.valid ? "a watcher was cancelled" : "a response is no message";
      return;
    }
    if (summary.created) ++owner_.created_;
    owner_.events_ += summary.events;
    if (summary.events > 0 && owner_.callback_) owner_.callback_(message);
  }
  void on_end(const Status& status) override {
    owner_.error_ = "a watch stream ended: status " + std::to_string(status.code) + ", " +
                    std::string(status.message);
  }

 private:
  Watchers& owner_;
};

Watchers::Watchers(Rig& rig) : rig_(rig) {}

Watchers::~Watchers() = default;

void Watchers::add_stream(std::size_t connection, int count,
                          const etcdserverpb::WatchCreateRequest& request) {
  etcdserverpb::WatchRequest create;
  *create.mutable_create_request() = request;
  const std::string bytes = framed(create);
  streams_.push_back(std::make_unique<Stream>(*this));
  Connection& carrier = rig_.connection(connection);
  Connection::Stream* stream = carrier.stream(kWatchPath, *streams_.back());
  for (int i = 0; i < count; ++i) carrier.send(stream, bytes);
  wanted_ += count;
}

Result<void> Watchers::wait_until_created(std::chrono::seconds limit) {
  const auto done = [this] { return created_ >= wanted_ || is_failed(); };
  if (rig_.loop().run(done, limit) && !is_failed()) return {};
  return failure(is_failed() ? error_
                             : std::to_string(created_) + " of " + std::to_string(wanted_) +
                                   " watchers were confirmed in time");
}

class Renewals::Stream : public StreamHandler {
 public:
  Stream(Renewals& owner, Connection& connection)
      : owner_(owner), connection_(connection), stream_(connection.stream(kKeepAlivePath, *this)) {}

  void renew(std::int64_t lease) {
    request_.set_id(lease);
    connection_.send(stream_, framed(request_));
    sent_.push_back(Clock::now());
  }

  void on_message(std::string_view message) override {
    if (!reply_.ParseFromArray(message.data(), static_cast<int>(message.size())) || sent_.empty()) {
      owner_.error_ = "an answer to a renewal is none";
      return;
    }
    if (reply_.ttl() <= 0) ++owner_.lost_;
    ++owner_.answered_;
    owner_.latencies_.record_ns((Clock::now() - sent_.front()).count());
    sent_.pop_front();
  }
  void on_end(const Status& status) override {
    owner_.error_ = "a stream of renewals ended: status " + std::to_string(status.code) + ", " +
                    std::string(status.message);
  }

 private:
  Renewals& owner_;
  Connection& connection_;
  Connection::Stream* stream_;
  std::deque<TimePoint> sent_;  // answers come in the order of the requests
  etcdserverpb::LeaseKeepAliveRequest request_;
  etcdserverpb::LeaseKeepAliveResponse reply_;
};

Renewals::Renewals(Rig& rig, std::size_t first_connection, std::size_t connections,
                   std::size_t streams)
    : rig_(rig) {
  for (std::size_t i = 0; i < streams; ++i) {
    streams_.push_back(
        std::make_unique<Stream>(*this, rig.connection(first_connection + i % connections)));
  }
}

Renewals::~Renewals() = default;

void Renewals::renew(std::int64_t count) {
  // After a stream has ended there is nothing to send on.
  for (std::int64_t i = 0; i < count && !is_failed(); ++i) {
    last_ = last_ < leases_ ? last_ + 1 : 1;
    ++sent_;
    streams_[static_cast<std::size_t>(last_) % streams_.size()]->renew(last_);
  }
}

void Renewals::start(double period_seconds) {
  constexpr double kTicksPerSecond = 500;
  owed_ = 0;
  pacer_.emplace(rig_.loop(), kTicksPerSecond, [this, period_seconds](TimePoint) {
    owed_ += static_cast<double>(leases_) / period_seconds / kTicksPerSecond;
    const auto whole = static_cast<std::int64_t>(owed_);
    owed_ -= static_cast<double>(whole);
    renew(whole);
  });
}

void Renewals::clear() {
  sent_ = answered_ = lost_ = 0;
  latencies_.clear();
}

}  // namespace conclave::bench
