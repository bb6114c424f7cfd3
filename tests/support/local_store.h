#pragma once

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <utility>
#include <variant>
#include <vector>

#include "conclave/client/loop.h"
#include "conclave/client/store.h"

#include "tests/support/model_store.h"

namespace conclave::test {

// A Store of this process alone, in real time, with nothing in between: for tests of blocking
// calls. Leases do not expire by themselves; a test revokes them.
class LocalStore final : public Store {
 public:
  LocalStore() {
    model_.on_change = [this](const std::vector<Event>&) { post_deliveries(); };
  }
  ~LocalStore() override { loop_.stop(); }

  // While it is away requests stay unanswered until their deadline, and have not been carried out.
  void set_away(bool away) { away_ = away; }

  Executor& executor() override { return loop_; }

  void get(Get get, Instant deadline, Done<GetResult> done) override {
    answer<GetResult>(deadline, std::move(done), [this, get] { return model_.get(get); });
  }
  void txn(Txn txn, Instant deadline, Done<TxnResult> done) override {
    answer<TxnResult>(deadline, std::move(done), [this, txn] { return model_.txn(txn); });
  }
  void put(Put put, Instant deadline, Done<PutResult> done) override {
    Txn one;
    one.success.emplace_back(std::move(put));
    answer<PutResult>(deadline, std::move(done), [this, one]() -> Result<PutResult> {
      const Result<TxnResult> result = model_.txn(one);
      if (!result) return result.error();
      return PutResult{result->revision, {}};
    });
  }
  void erase(Delete erase, Instant deadline, Done<DeleteResult> done) override {
    Txn one;
    one.success.emplace_back(std::move(erase));
    answer<DeleteResult>(deadline, std::move(done), [this, one]() -> Result<DeleteResult> {
      return std::get<DeleteResult>(model_.txn(one).value().results.front());
    });
  }
  void compact(std::int64_t revision, bool, Instant deadline, Done<std::int64_t> done) override {
    answer<std::int64_t>(deadline, std::move(done), [this, revision]() -> Result<std::int64_t> {
      model_.compact(revision);
      return model_.revision();
    });
  }
  void grant(Duration ttl, LeaseId id, Instant deadline, Done<Grant> done) override {
    const Instant sent_at = loop_.now();
    answer<Grant>(deadline, std::move(done), [=, this] {
      Result<Grant> granted = model_.grant(ttl, id, sent_at);
      if (granted) granted->sent_at = sent_at;
      return granted;
    });
  }
  void revoke(LeaseId id, Instant deadline, Done<void> done) override {
    answer<void>(deadline, std::move(done), [this, id] { return model_.revoke(id); });
  }
  void renew(LeaseId id, Instant deadline, Done<Renewal> done) override {
    const Instant sent_at = loop_.now();
    answer<Renewal>(deadline, std::move(done), [=, this]() -> Result<Renewal> {
      const Result<Duration> ttl = model_.renew(id, sent_at);
      if (!ttl) return ttl.error();
      return Renewal{sent_at, *ttl};
    });
  }
  void lease_info(LeaseId, bool, Instant deadline, Done<LeaseInfo> done) override {
    answer<LeaseInfo>(deadline, std::move(done), []() -> Result<LeaseInfo> { return LeaseInfo{}; });
  }
  void leases(Instant deadline, Done<std::vector<LeaseId>> done) override {
    answer<std::vector<LeaseId>>(deadline, std::move(done), []() -> Result<std::vector<LeaseId>> {
      return std::vector<LeaseId>{};
    });
  }
  std::unique_ptr<WatchHandle> watch(Watch watch,
                                     std::function<void(const WatchNotice&)> sink) override {
    auto state = std::make_shared<State>(State{std::move(watch), std::move(sink), 0});
    state->next = state->watch.start_revision;
    if (state->next == 0) state->next = model_.revision() + 1;
    watches_.push_back(state);
    post_deliveries();
    return std::make_unique<Handle>(std::move(state));
  }

 private:
  struct State {
    Watch watch;
    std::function<void(const WatchNotice&)> sink;
    std::int64_t next;
  };
  struct Handle final : WatchHandle {
    explicit Handle(std::shared_ptr<State> kept) : state(std::move(kept)) {}
    std::shared_ptr<State> state;
  };

  template <class T>
  void answer(Instant deadline, Done<T> done, std::function<Result<T>()> at_store) {
    if (away_) {
      loop_.run_at(deadline, [done] { done(Error{Errc::unavailable, "the store is away"}); });
      return;
    }
    loop_.post([done, at_store] { done(at_store()); });
  }
  void post_deliveries() {
    loop_.post([this] {
      std::erase_if(watches_, [](const auto& weak) { return weak.expired(); });
      const std::vector<std::weak_ptr<State>> watches = watches_;
      for (const std::weak_ptr<State>& weak : watches) {
        if (const auto state = weak.lock()) deliver(*state);
      }
    });
  }
  void deliver(State& state) {
    WatchNotice notice;
    notice.revision = model_.revision();
    notice.events = model_.events(state.watch, state.next, model_.revision());
    state.next = std::max(state.next, model_.revision() + 1);
    if (!notice.events.empty()) state.sink(notice);
  }

  std::atomic<bool> away_ = false;
  sim::ModelStore model_;
  std::vector<std::weak_ptr<State>> watches_;
  client::LoopExecutor loop_;
};

}  // namespace conclave::test
