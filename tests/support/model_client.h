#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "conclave/client/store.h"

#include "tests/support/model_store.h"
#include "tests/support/sim_world.h"

namespace conclave::sim {

// What the network between a process and the store does. Chances are in thousandths.
struct Weather {
  std::uint64_t request_lost = 0;
  std::uint64_t reply_lost = 0;
  std::uint64_t surely_unsent = 0;  // a mutation that fails as Errc::unavailable
  std::uint64_t slow = 0;           // a message that takes up to `slow_max`
  std::uint64_t stray = 0;          // a mutation given up for lost, which arrives up to 6 s later
  std::uint64_t watch_fails = 0;    // per delivery
  Duration usual_max = std::chrono::milliseconds(5);
  Duration slow_max = std::chrono::seconds(3);
};

// The store's side: when it is away nothing is answered and no event delivered. Leases expire, late
// by up to a second and never early, also while it is away.
class ModelServer {
 public:
  explicit ModelServer(World& world) : world_(world) {
    store_.on_change = [this](const std::vector<Event>& events) { changed(events); };
  }

  World& world() { return world_; }
  ModelStore& store() { return store_; }
  bool away() const { return world_.now() < away_until_; }
  void go_away(Duration length) { away_until_ = std::max(away_until_, world_.now() + length); }
  // Called after each revision.
  std::function<void(const std::vector<Event>&)> on_change;

  Result<Grant> grant(Duration ttl, LeaseId id);
  void subscribe(const std::shared_ptr<std::function<void()>>& on_revision);

 private:
  void changed(const std::vector<Event>& events);
  void expire(LeaseId id);

  World& world_;
  ModelStore store_;
  Instant away_until_{};
  std::vector<std::weak_ptr<std::function<void()>>> subscribers_;
};

// The Store port of one process on a ModelServer, through a network with weather. Its promises are
// those of store.h: mutations go at most once and tell unavailable from unknown_outcome, reads are
// retried, watches deliver every event once and in order, each with delays of its own. A request
// may arrive after its deadline.
class ModelClient final : public Store {
 public:
  ModelClient(ModelServer& server, SimExecutor& executor, Weather weather)
      : server_(server), executor_(executor), weather_(weather) {}

  void set_weather(Weather weather) { weather_ = weather; }
  // Nothing comes through in either direction for so long.
  void cut_off(Duration length) { cut_until_ = std::max(cut_until_, world().now() + length); }

  Executor& executor() override { return executor_; }
  void get(Get get, Instant deadline, Done<GetResult> done) override;
  void put(Put put, Instant deadline, Done<PutResult> done) override;
  void erase(Delete erase, Instant deadline, Done<DeleteResult> done) override;
  void txn(Txn txn, Instant deadline, Done<TxnResult> done) override;
  void compact(std::int64_t revision, bool physical, Instant deadline,
               Done<std::int64_t> done) override;
  void grant(Duration ttl, LeaseId id, Instant deadline, Done<Grant> done) override;
  void revoke(LeaseId id, Instant deadline, Done<void> done) override;
  void renew(LeaseId id, Instant deadline, Done<Renewal> done) override;
  void lease_info(LeaseId id, bool with_keys, Instant deadline, Done<LeaseInfo> done) override;
  void leases(Instant deadline, Done<std::vector<LeaseId>> done) override;
  std::unique_ptr<WatchHandle> watch(Watch watch,
                                     std::function<void(const WatchNotice&)> sink) override;

 private:
  struct WatchState;

  World& world() { return server_.world(); }
  bool reachable() { return !server_.away() && world().now() >= cut_until_; }
  Duration delay();
  bool unlucky(std::uint64_t thousandths) { return world().chance(thousandths, 1000); }

  // Sends once; exactly one answer, by the deadline.
  template <class T>
  void mutate(Instant deadline, std::function<Result<T>()> at_server, Done<T> done);
  // Sends until there is an answer.
  template <class T>
  void ask(Instant deadline, std::function<Result<T>()> at_server, Done<T> done);
  void deliver(const std::shared_ptr<WatchState>& state);
  void schedule(const std::shared_ptr<WatchState>& state);

  ModelServer& server_;
  SimExecutor& executor_;
  Weather weather_;
  Instant cut_until_{};
};

}  // namespace conclave::sim
