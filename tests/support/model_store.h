#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "conclave/base/clock.h"
#include "conclave/base/result.h"
#include "conclave/client/store.h"
#include "conclave/client/types.h"

namespace conclave::sim {

// The etcd data model, small and obviously right, for simulations: keys with revisions,
// transactions, leases, the history for watches, compaction. It has no clock: whoever owns it says
// what time it is.
class ModelStore {
 public:
  // Called after each revision, with its events.
  std::function<void(const std::vector<Event>&)> on_change;

  std::int64_t revision() const { return revision_; }
  std::int64_t compact_revision() const { return compact_revision_; }
  const std::map<std::string, KeyValue>& keys() const { return keys_; }
  const KeyValue* find(const std::string& key) const;

  Result<GetResult> get(const Get& get) const;
  Result<TxnResult> txn(const Txn& txn);
  void compact(std::int64_t revision);

  Result<Grant> grant(Duration ttl, LeaseId id, Instant now);
  Result<Duration> renew(LeaseId id, Instant now);
  Result<void> revoke(LeaseId id);
  // A lease may be revoked as expired from then on; Instant::max(): there is no such lease.
  Instant expires_at(LeaseId id) const;
  const std::map<LeaseId, Instant>& leases() const { return expiries_; }

  // Events with revisions in [from, to] of a key or range, as a watch delivers them.
  std::vector<Event> events(const Watch& watch, std::int64_t from, std::int64_t to) const;

 private:
  bool holds(const Compare& compare) const;
  bool leases_exist(const std::vector<Op>& operations) const;
  Result<TxnResult> branch(const Txn& txn);
  OpResult carry_out(const Op& op);
  void put(const Put& put);
  std::int64_t erase(const std::string& key, const std::string& range_end);
  void commit();

  std::int64_t revision_ = 1;
  std::int64_t compact_revision_ = 0;
  std::map<std::string, KeyValue> keys_;
  std::vector<Event> history_;
  std::vector<Event> pending_;  // of the revision that is being made
  std::map<LeaseId, Instant> expiries_;
  std::map<LeaseId, Duration> ttls_;
};

bool in_range(const std::string& key, const std::string& from, const std::string& range_end);

}  // namespace conclave::sim
