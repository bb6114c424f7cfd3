#include "tests/support/model_client.h"

#include <algorithm>
#include <type_traits>
#include <utility>
#include <variant>

namespace conclave::sim {
namespace {

using namespace std::chrono_literals;

// One answer out of several that may come.
template <class T>
struct Answer {
  Store::Done<T> done;
  Executor::TimerId timer = 0;

  void give(Executor& executor, Result<T> result) {
    if (!done) return;
    executor.cancel(timer);
    const Store::Done<T> once = std::exchange(done, nullptr);
    once(std::move(result));
  }
};

bool writes(const std::vector<Op>& operations) {
  return std::ranges::any_of(operations, [](const Op& op) {
    if (const Txn* nested = std::get_if<Txn>(&op)) {
      return writes(nested->success) || writes(nested->failure);
    }
    return !std::holds_alternative<Get>(op);
  });
}

}  // namespace

Result<Grant> ModelServer::grant(Duration ttl, LeaseId id) {
  Result<Grant> granted = store_.grant(ttl, id, world_.now());
  if (granted) world_.after(ttl, [this, id] { expire(id); });
  return granted;
}

void ModelServer::expire(LeaseId id) {
  const Instant expires_at = store_.expires_at(id);
  if (expires_at == Instant::max()) return;
  if (world_.now() < expires_at) {
    world_.at(expires_at, [this, id] { expire(id); });
    return;
  }
  world_.after(world_.between(0ms, 1000ms), [this, id] { static_cast<void>(store_.revoke(id)); });
}

void ModelServer::subscribe(const std::shared_ptr<std::function<void()>>& on_revision) {
  std::erase_if(subscribers_, [](const auto& weak) { return weak.expired(); });
  subscribers_.push_back(on_revision);
}

void ModelServer::changed(const std::vector<Event>& events) {
  if (on_change) on_change(events);
  for (std::size_t i = 0; i < subscribers_.size(); ++i) {
    if (const auto subscriber = subscribers_[i].lock()) (*subscriber)();
  }
}

Duration ModelClient::delay() {
  if (unlucky(weather_.slow)) return world().between(0ms, weather_.slow_max);
  return world().between(100us, weather_.usual_max);
}

template <class T>
void ModelClient::mutate(Instant deadline, std::function<Result<T>()> at_server, Done<T> done) {
  const auto answer = std::make_shared<Answer<T>>();
  answer->done = std::move(done);
  const auto give_later = [this, answer](Duration after, Result<T> result) {
    world().after(after, [this, answer, result = std::move(result)]() mutable {
      executor_.post([this, answer, result = std::move(result)]() mutable {
        answer->give(executor_, std::move(result));
      });
    });
  };
  if (unlucky(weather_.surely_unsent)) {
    return give_later(delay(), Error{Errc::unavailable, "connection refused"});
  }
  const Error unknown{Errc::unknown_outcome, "no answer"};
  answer->timer =
      executor_.run_at(deadline, [this, answer, unknown] { answer->give(executor_, unknown); });
  if (unlucky(weather_.stray)) {
    world().after(world().between(0ms, 6s), [this, at_server = std::move(at_server)] {
      if (!server_.away()) static_cast<void>(at_server());
    });
    return give_later(delay(), unknown);
  }
  // A broken connection tells that there will be no answer; a silent one does not.
  const bool told = world().chance(1, 2);
  if (unlucky(weather_.request_lost)) {
    if (told) give_later(delay(), unknown);
    return;
  }
  const bool reply_lost = unlucky(weather_.reply_lost);
  world().after(delay(), [=, this, at_server = std::move(at_server)] {
    if (!reachable()) {
      if (told) give_later(delay(), unknown);
      return;
    }
    Result<T> result = at_server();
    if (!reply_lost) return give_later(delay(), std::move(result));
    if (told) give_later(delay(), unknown);
  });
}

template <class T>
void ModelClient::ask(Instant deadline, std::function<Result<T>()> at_server, Done<T> done) {
  const auto answer = std::make_shared<Answer<T>>();
  answer->done = std::move(done);
  answer->timer = executor_.run_at(deadline, [this, answer] {
    answer->give(executor_, Error{Errc::timed_out, "no answer"});
  });
  // Kept by the attempts that are under way.
  const auto attempt = std::make_shared<std::function<void()>>();
  *attempt = [this, answer, weak = std::weak_ptr(attempt), at_server = std::move(at_server)] {
    const auto self = weak.lock();
    const auto again = [this, answer, self] {
      world().after(100ms, [answer, self] {
        if (answer->done) (*self)();
      });
    };
    if (unlucky(weather_.request_lost)) return again();
    const bool reply_lost = unlucky(weather_.reply_lost);
    world().after(delay(), [=, this] {
      if (!reachable()) return again();
      Result<T> result = at_server();
      if (reply_lost) return again();
      world().after(delay(), [this, answer, result = std::move(result)]() mutable {
        executor_.post([this, answer, result = std::move(result)]() mutable {
          answer->give(executor_, std::move(result));
        });
      });
    });
  };
  (*attempt)();
}

void ModelClient::get(Get get, Instant deadline, Done<GetResult> done) {
  ask<GetResult>(
      deadline, [this, get = std::move(get)] { return server_.store().get(get); }, std::move(done));
}

void ModelClient::txn(Txn txn, Instant deadline, Done<TxnResult> done) {
  const bool mutation = writes(txn.success) || writes(txn.failure);
  const auto at_server = [this, txn = std::move(txn)] { return server_.store().txn(txn); };
  if (mutation) {
    mutate<TxnResult>(deadline, at_server, std::move(done));
  } else {
    ask<TxnResult>(deadline, at_server, std::move(done));
  }
}

void ModelClient::put(Put put, Instant deadline, Done<PutResult> done) {
  Txn one;
  one.success.emplace_back(std::move(put));
  txn(std::move(one), deadline, [done = std::move(done)](const Result<TxnResult>& answer) {
    if (!answer) return done(answer.error());
    done(PutResult{answer->revision, {}});
  });
}

void ModelClient::erase(Delete erase, Instant deadline, Done<DeleteResult> done) {
  Txn one;
  one.success.emplace_back(std::move(erase));
  txn(std::move(one), deadline, [done = std::move(done)](const Result<TxnResult>& answer) {
    if (!answer) return done(answer.error());
    done(std::get<DeleteResult>(answer->results.front()));
  });
}

void ModelClient::compact(std::int64_t revision, bool, Instant deadline, Done<std::int64_t> done) {
  mutate<std::int64_t>(
      deadline,
      [this, revision]() -> Result<std::int64_t> {
        server_.store().compact(revision);
        return server_.store().revision();
      },
      std::move(done));
}

void ModelClient::grant(Duration ttl, LeaseId id, Instant deadline, Done<Grant> done) {
  const Instant sent_at = executor_.now();
  mutate<Grant>(
      deadline,
      [this, ttl, id, sent_at] {
        Result<Grant> granted = server_.grant(ttl, id);
        if (granted) granted->sent_at = sent_at;
        return granted;
      },
      std::move(done));
}

void ModelClient::revoke(LeaseId id, Instant deadline, Done<void> done) {
  mutate<void>(
      deadline, [this, id] { return server_.store().revoke(id); }, std::move(done));
}

void ModelClient::renew(LeaseId id, Instant deadline, Done<Renewal> done) {
  const Instant sent_at = executor_.now();
  ask<Renewal>(
      deadline,
      [this, id, sent_at]() -> Result<Renewal> {
        const Result<Duration> ttl = server_.store().renew(id, world().now());
        if (!ttl) return ttl.error();
        return Renewal{sent_at, *ttl};
      },
      std::move(done));
}

void ModelClient::lease_info(LeaseId id, bool, Instant deadline, Done<LeaseInfo> done) {
  ask<LeaseInfo>(
      deadline,
      [this, id]() -> Result<LeaseInfo> {
        const Instant expires_at = server_.store().expires_at(id);
        LeaseInfo info;
        info.remaining = expires_at == Instant::max() ? Duration(-1) : expires_at - world().now();
        return info;
      },
      std::move(done));
}

void ModelClient::leases(Instant deadline, Done<std::vector<LeaseId>> done) {
  ask<std::vector<LeaseId>>(
      deadline,
      [this]() -> Result<std::vector<LeaseId>> {
        std::vector<LeaseId> ids;
        for (const auto& [id, expires_at] : server_.store().leases()) ids.push_back(id);
        return ids;
      },
      std::move(done));
}

struct ModelClient::WatchState {
  Watch watch;
  std::function<void(const WatchNotice&)> sink;
  std::int64_t next = 0;
  bool scheduled = false;
  bool ended = false;
  std::shared_ptr<std::function<void()>> on_revision;
};

namespace {

// Ends the watch when it is destroyed.
class ModelWatchHandle final : public WatchHandle {
 public:
  explicit ModelWatchHandle(std::function<void()> end) : end_(std::move(end)) {}
  ~ModelWatchHandle() override { end_(); }

 private:
  std::function<void()> end_;
};

}  // namespace

std::unique_ptr<WatchHandle> ModelClient::watch(Watch watch,
                                                std::function<void(const WatchNotice&)> sink) {
  const auto state = std::make_shared<WatchState>();
  state->watch = std::move(watch);
  state->sink = std::move(sink);
  state->next = state->watch.start_revision;
  state->on_revision = std::make_shared<std::function<void()>>([this, weak = std::weak_ptr(state)] {
    if (const auto self = weak.lock()) schedule(self);
  });
  server_.subscribe(state->on_revision);
  schedule(state);
  return std::make_unique<ModelWatchHandle>([state] {
    state->ended = true;
    state->on_revision = nullptr;
  });
}

void ModelClient::schedule(const std::shared_ptr<WatchState>& state) {
  if (state->scheduled || state->ended) return;
  state->scheduled = true;
  world().after(delay(), [this, state] {
    state->scheduled = false;
    deliver(state);
  });
}

void ModelClient::deliver(const std::shared_ptr<WatchState>& state) {
  if (state->ended || executor_.crashed()) return;
  if (!reachable()) {
    state->scheduled = true;
    world().after(50ms, [this, state] {
      state->scheduled = false;
      deliver(state);
    });
    return;
  }
  ModelStore& store = server_.store();
  WatchNotice notice;
  notice.revision = store.revision();
  if (state->next == 0) state->next = store.revision() + 1;
  if (state->next < store.compact_revision()) {
    notice.kind = WatchNotice::Kind::compacted;
    notice.compact_revision = store.compact_revision();
  } else if (unlucky(weather_.watch_fails)) {
    notice.kind = WatchNotice::Kind::failed;
    notice.error = {Errc::unavailable, "the watch broke"};
  } else {
    notice.events = store.events(state->watch, state->next, store.revision());
    state->next = std::max(state->next, store.revision() + 1);
    if (notice.events.empty()) return;
  }
  executor_.post([state, notice = std::move(notice)] {
    if (state->ended) return;
    if (notice.kind != WatchNotice::Kind::events) state->ended = true;
    const auto sink = state->sink;
    sink(notice);
  });
}

}  // namespace conclave::sim
