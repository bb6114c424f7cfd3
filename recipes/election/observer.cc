#include <utility>

#include "conclave/base/check.h"
#include "conclave/client/client.h"
#include "conclave/election/election.h"
#include "conclave/election/observer_core.h"

namespace conclave {
namespace {

void stop_observing(const std::shared_ptr<election::ObserverCore>& core) {
  if (core) core->executor().post([core] { core->stop(); });
}

}  // namespace

Observer Election::observe(Store& store, const std::string& name, std::int64_t after) {
  const auto core = std::make_shared<election::ObserverCore>(store, name, after);
  store.executor().post([core] { core->start(); });
  return Observer(core);
}

Observer Election::observe(Client& client, const std::string& name, std::int64_t after) {
  return observe(client.store(), name, after);
}

Observer::Observer(Observer&&) noexcept = default;

Observer& Observer::operator=(Observer&& other) noexcept {
  if (this != &other) {
    stop_observing(core_);
    core_ = std::move(other.core_);
  }
  return *this;
}

Observer::~Observer() {
  stop_observing(core_);
}

Result<LeaderChange> Observer::next(std::stop_token stop, std::optional<Instant> deadline) {
  CONCLAVE_CHECK(core_, "next() of an Observer that was moved from");
  return core_->next(stop, deadline);
}

}  // namespace conclave
