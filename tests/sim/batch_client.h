#pragma once

#include <cstdint>
#include <set>
#include <string>

#include "tests/sim/cluster.h"

namespace conclave::sim {

// Changes several keys in one revision, and keys that have had a lease.
//
// Checked: a range within the transaction sees what the transaction has done before it, and nothing
// else; a key that was put again without its lease outlives the lease. (That watchers are told such
// revisions whole, watchers check.)
class BatchClient {
 public:
  static constexpr char kPrefix[] = "batch/";

  BatchClient(Cluster& cluster, ClientNetwork& network) : cluster_(cluster), network_(network) {}

  void start();
  void stop() { stopped_ = true; }
  // When all leases have ended.
  void check_kept() const;

 private:
  void act();
  void change_several();
  void check_range(const etcdserverpb::TxnResponse& response) const;
  void keep_key();
  void put(const std::string& key, std::int64_t lease, std::function<void()> done);
  std::string key_of(int number) const;
  std::string new_value();

  Cluster& cluster_;
  ClientNetwork& network_;
  int count_ = 0;
  int writes_ = 0;
  std::set<std::string> kept_;
  bool stopped_ = false;
};

}  // namespace conclave::sim
