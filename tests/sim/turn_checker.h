#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "conclave/session/turn_core.h"

#include "tests/sim/cluster.h"

namespace conclave::sim {

// Holds what lock and election believe against the one history:
// - A turn that is held and valid() by its process's own clock has its key at the head of the
//   queue; so no two are ever valid at once. Paused processes are no exception. (Not where clocks
//   jump: then only the fence excludes.)
// - A turn that was granted had its key at the head at some time.
// - A guarded write gets through only under the fence of the head, so fences never go back; and
//   only the head's key gets another value.
class TurnChecker {
 public:
  explicit TurnChecker(Cluster& cluster) : cluster_(cluster) {}

  // Follows the history from now on.
  void start();
  void granted(const std::string& name, const std::shared_ptr<session::TurnCore>& turn);
  std::uint64_t granted_count() const { return granted_count_; }
  std::uint64_t write_count() const { return write_count_; }
  bool queues_are_empty() const;

  static std::string resource_of(const std::string& name) { return "resource:" + name; }
  static const std::vector<std::string>& locks();
  static const std::string& election();

 private:
  void changed();
  void take(const mvcc::RevisionEvents& events);
  void check_write(const std::string& name, const mvccpb::KeyValue& kv);
  void check_held();
  std::int64_t head(const std::string& name) const;  // its create revision; 0: nobody

  Cluster& cluster_;
  std::int64_t seen_ = 1;
  std::map<std::string, std::map<std::int64_t, std::string>> queues_;  // create revision -> key
  std::set<std::int64_t> were_head_;
  std::map<std::string, std::int64_t> last_fence_;
  std::vector<std::pair<std::string, std::weak_ptr<session::TurnCore>>> held_;
  std::uint64_t granted_count_ = 0;
  std::uint64_t write_count_ = 0;
};

}  // namespace conclave::sim
