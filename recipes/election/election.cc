#include "conclave/election/election.h"

#include <utility>

#include "conclave/base/check.h"
#include "conclave/client/client.h"
#include "conclave/client/store.h"
#include "conclave/session/session_core.h"
#include "conclave/session/turn_core.h"
#include "conclave/session/turn_wait.h"

namespace conclave {
namespace {

constexpr std::chrono::milliseconds kQuietRelease = std::chrono::seconds(1);
// How long a try waits for the store's answer.
constexpr Duration kTryTimeout = std::chrono::seconds(5);

Leader leader_of(const Contender& head, std::int64_t mod_revision) {
  return {head.key, head.value, head.fence, head.lease, mod_revision};
}

}  // namespace

Leadership::Leadership(Leadership&&) noexcept = default;

Leadership& Leadership::operator=(Leadership&& other) noexcept {
  if (this != &other) {
    if (turn_) static_cast<void>(resign(kQuietRelease));
    turn_ = std::move(other.turn_);
  }
  return *this;
}

Leadership::~Leadership() {
  if (turn_) static_cast<void>(resign(kQuietRelease));
}

Fence Leadership::fence() const {
  return turn_ ? turn_->fence() : Fence{};
}

const std::string& Leadership::key() const {
  CONCLAVE_CHECK(turn_, "key() of a Leadership that was moved from");
  return turn_->key();
}

bool Leadership::valid() const {
  return turn_ && turn_->valid();
}
Instant Leadership::valid_until() const {
  return turn_ ? turn_->valid_until() : Instant::min();
}
std::stop_token Leadership::lost() const {
  return turn_ ? turn_->lost() : std::stop_token{};
}

Guard Leadership::guard() const {
  CONCLAVE_CHECK(turn_, "guard() of a Leadership that was moved from");
  return turn_->guard();
}

GuardedTxn Leadership::txn() const {
  CONCLAVE_CHECK(turn_, "txn() of a Leadership that was moved from");
  return GuardedTxn(turn_->session().store(), turn_->guard());
}

Result<void> Leadership::proclaim(std::string value) {
  GuardedTxn txn = this->txn();
  Put put;
  put.key = key();
  put.value = std::move(value);
  put.lease = turn_->session().lease();
  const Result<TxnResult> done = txn.then(std::move(put)).commit();
  if (!done) return done.error();
  return {};
}

Result<void> Leadership::resign(std::chrono::milliseconds timeout) {
  if (!turn_) return {};
  return session::release_turn(turn_, timeout);
}

Election::Election(Session& session, std::string name)
    : session_(session.core()), name_(std::move(name)) {}

Result<Leadership> Election::campaign(std::string value, std::stop_token stop) {
  AcquireOptions options;
  options.stop = std::move(stop);
  return campaign(std::move(value), options);
}

Result<Leadership> Election::campaign(std::string value, const AcquireOptions& options) {
  return wait_for_turn(std::move(value), options, false);
}

Result<Leadership> Election::try_campaign(std::string value) {
  AcquireOptions options;
  options.deadline = session_->executor().now() + kTryTimeout;
  return wait_for_turn(std::move(value), options, true);
}

Result<Leadership> Election::wait_for_turn(std::string value, const AcquireOptions& options,
                                           bool only_if_free) {
  session::TurnConfig config;
  config.name = name_;
  config.kind = "elect";
  config.only_if_free = only_if_free;
  config.value = std::move(value);
  Result<std::shared_ptr<session::TurnCore>> turn =
      session::wait_for_turn(session_, std::move(config), options);
  if (!turn) return turn.error();
  return Leadership(*std::move(turn));
}

Result<void> Election::run(std::string value,
                           const std::function<void(Leadership&, std::stop_token)>& while_leading,
                           std::stop_token stop) {
  Result<Leadership> term = campaign(std::move(value), stop);
  if (!term) return term.error();
  std::stop_source over;
  const auto end = [&over] { over.request_stop(); };
  const std::stop_callback on_stop(std::move(stop), end);
  const std::stop_callback on_lost(term->lost(), end);
  while_leading(*term, over.get_token());
  return term->resign();
}

Result<std::optional<Leader>> Election::leader(Store& store, const std::string& name) {
  // Keys below a deeper "/" may come first and are no candidates, so the whole queue is read.
  const Result<QueueState> queue = list(store, name);
  if (!queue) return queue.error();
  if (queue->contenders.empty()) return std::optional<Leader>{};
  const Contender& head = queue->contenders.front();
  return std::optional<Leader>(leader_of(head, head.mod_revision));
}

Result<std::optional<Leader>> Election::leader(Client& client, const std::string& name) {
  return leader(client.store(), name);
}

Result<QueueState> Election::list(Store& store, const std::string& name) {
  return session::read_queue_state(store, name);
}

Result<QueueState> Election::list(Client& client, const std::string& name) {
  return list(client.store(), name);
}

}  // namespace conclave
