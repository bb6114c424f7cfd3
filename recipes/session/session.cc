#include "conclave/session/session.h"

#include <cstdint>
#include <random>
#include <string>
#include <utility>

#include "conclave/base/check.h"
#include "conclave/client/store.h"
#include "conclave/session/await.h"
#include "conclave/session/session_core.h"

namespace conclave {
namespace {

using session::SessionConfig;
using session::SessionCore;

std::uint64_t draw_seed() {
  std::random_device device;
  return (static_cast<std::uint64_t>(device()) << 32) | device();
}

Result<SessionConfig> config_of(const SessionOptions& options) {
  SessionConfig config;
  config.ttl = options.ttl;
  if (options.ttl < std::chrono::seconds(1)) {
    return Error{Errc::invalid_argument, "a session's TTL must be at least 1 s"};
  }
  config.margin = options.margin == std::chrono::milliseconds(0)
                      ? session::default_margin(config.ttl)
                      : Duration(options.margin);
  if (config.margin < Duration(0) || config.margin > config.ttl / 2) {
    return Error{Errc::invalid_argument, "a session's margin must be at most half of its TTL"};
  }
  config.open_timeout = options.open_timeout;
  config.close_timeout = options.close_timeout;
  return config;
}

void close_blocking(const std::shared_ptr<SessionCore>& core, Result<void>* result) {
  Result<void> closed =
      session::await<Result<void>>(core->executor(), [core](SessionCore::Done done) {
        core->close({Errc::session_lost, "the session was closed"}, std::move(done));
      });
  if (result != nullptr) *result = std::move(closed);
}

}  // namespace

Result<Session> Session::open(Store& store, SessionOptions options, std::stop_token stop) {
  const Result<SessionConfig> config = config_of(options);
  if (!config) return config.error();
  const auto core = std::make_shared<SessionCore>(store, *config, draw_seed());
  const std::stop_callback on_stop(stop, [core] {
    core->executor().post([core] {
      core->close({Errc::cancelled, "opening the session was cancelled"}, [](Result<void>) {});
    });
  });
  const Result<void> opened = session::await<Result<void>>(
      store.executor(), [core](SessionCore::Done done) { core->open(std::move(done)); });
  if (!opened) return opened.error();
  if (stop.stop_requested()) {
    close_blocking(core, nullptr);
    return Error{Errc::cancelled, "opening the session was cancelled"};
  }
  return Session(core);
}

Session& Session::operator=(Session&& other) noexcept {
  if (this != &other) {
    if (core_) close_blocking(core_, nullptr);
    core_ = std::move(other.core_);
  }
  return *this;
}

Session::~Session() {
  if (core_) close_blocking(core_, nullptr);
}

LeaseId Session::lease() const {
  return core_->lease();
}
SessionState Session::state() const {
  return core_->state();
}
bool Session::valid() const {
  return core_->valid();
}
Instant Session::valid_until() const {
  return core_->valid_until();
}
std::stop_token Session::lost() const {
  return core_->lost();
}

Result<void> Session::close() {
  Result<void> result;
  close_blocking(core_, &result);
  return result;
}

}  // namespace conclave
