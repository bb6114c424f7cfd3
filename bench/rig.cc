#include "conclave/bench/rig.h"

#include <thread>

namespace conclave::bench {
namespace {

constexpr std::chrono::seconds kCallLimit(60);
constexpr std::chrono::milliseconds kRetryPause(1);

class OneCall : public StreamHandler {
 public:
  void on_message(std::string_view message) override { message_ = message; }
  void on_end(const Status& status) override {
    code_ = status.code;
    error_ = status.message;
    ended_ = true;
  }

  bool is_ended() const { return ended_; }
  Result<std::string> outcome(std::string_view path) && {
    if (!ended_) return failure(std::string(path) + ": no answer in time");
    if (code_ == 0) return std::move(message_);
    return failure(std::string(path) + ": status " + std::to_string(code_) + ", " + error_);
  }

 private:
  bool ended_ = false;
  int code_ = -1;
  std::string message_;
  std::string error_;
};

}  // namespace

std::string end_of_prefix(std::string prefix) {
  prefix.back() = static_cast<char>(prefix.back() + 1);
  return prefix;
}

Error failure(std::string message) {
  return {Errc::refused, std::move(message)};
}

Result<void> Rig::wait_until_serving(std::chrono::seconds limit) {
  const TimePoint deadline = Clock::now() + limit;
  Result<void> answered;
  for (std::size_t member = servers_.size(); answered && member-- > 0;) {
    aim_at(member);
    answered = wait_until_answered(deadline);
  }
  return answered;
}

Result<void> Rig::wait_until_answered(TimePoint deadline) {
  std::string last = "never asked";
  while (Clock::now() < deadline && !server().has_ended() && !is_interrupted()) {
    disconnect();
    Result<void> connected = connect(1);
    if (connected) {
      etcdserverpb::RangeRequest request;
      request.set_key("any");
      const auto reply = call<etcdserverpb::RangeResponse>(kRangePath, request);
      if (reply) return {};
      last = reply.error().message;
    } else {
      last = connected.error().message;
    }
    std::this_thread::sleep_for(kRetryPause);
  }
  return failure(server().name() + " does not serve: " + last + "\n" + server().last_words());
}

void Rig::aim_at(std::size_t member) {
  if (member == aim_) return;
  disconnect();
  aim_ = member;
}

Result<void> Rig::connect(int count) {
  while (static_cast<int>(connections_.size()) < count) {
    auto connection = Connection::open(loop_, server().port());
    if (!connection) return connection.error();
    connections_.push_back(*std::move(connection));
  }
  return {};
}

Result<std::string> Rig::call_encoded(std::string_view path, const std::string& framed_request) {
  const Result<void> connected = connect(1);
  if (!connected) return connected.error();
  OneCall call;
  connections_.front()->unary(path, framed_request, call);
  const bool answered = loop_.run([&call] { return call.is_ended(); }, kCallLimit);
  if (!answered) disconnect();
  return std::move(call).outcome(path);
}

Result<std::string> Rig::call_encoded_at(std::size_t member, std::string_view path,
                                         const std::string& framed_request,
                                         std::chrono::seconds limit) {
  OneCall call;
  const auto connection = Connection::open(loop_, servers_[member].port());
  if (!connection) return connection.error();
  (*connection)->unary(path, framed_request, call);
  loop_.run([&call] { return call.is_ended(); }, limit);
  return std::move(call).outcome(path);
}

Result<std::int64_t> Rig::revision() {
  etcdserverpb::RangeRequest request;
  request.set_key("any");
  const auto reply = call<etcdserverpb::RangeResponse>(kRangePath, request);
  if (!reply) return reply.error();
  return static_cast<std::int64_t>(reply->header().revision());
}

Result<std::int64_t> Rig::count(const std::string& prefix) {
  etcdserverpb::RangeRequest request;
  request.set_key(prefix);
  request.set_range_end(end_of_prefix(prefix));
  request.set_count_only(true);
  const auto reply = call<etcdserverpb::RangeResponse>(kRangePath, request);
  if (!reply) return reply.error();
  return static_cast<std::int64_t>(reply->count());
}

}  // namespace conclave::bench
