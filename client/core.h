#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "conclave/base/random.h"
#include "conclave/client/caller.h"
#include "conclave/client/endpoints.h"
#include "conclave/client/renewer.h"
#include "conclave/client/store.h"
#include "conclave/client/watch_hub.h"

namespace conclave::client {

struct CoreOptions {
  std::vector<std::string> endpoints{};
  Duration dial_timeout = std::chrono::seconds(2);
  Credentials credentials{};
  std::uint64_t seed = 0;  // of the pauses between attempts
};

// The Store over channels: everything a client decides, without a thread, a clock or a socket of
// its own.
//
// Threads: the executor's tasks, construction and destruction included. Destroying it drops what is
// under way without a callback.
class StoreCore final : public Store {
 public:
  // Errors: invalid_argument, naming the endpoint.
  static Result<std::unique_ptr<StoreCore>> open(Executor& executor, ChannelFactory& factory,
                                                 CoreOptions options);

  Executor& executor() override { return *executor_; }

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

  // For calls in the wire's own form.
  Caller& caller() { return caller_; }
  Endpoints& endpoints() { return *endpoints_; }

 private:
  StoreCore(Executor& executor, std::unique_ptr<Endpoints> endpoints, CoreOptions options);

  Executor* executor_;
  Random random_;
  std::unique_ptr<Endpoints> endpoints_;
  Caller caller_;
  Renewer renewer_;
  WatchHub watches_;
};

}  // namespace conclave::client
