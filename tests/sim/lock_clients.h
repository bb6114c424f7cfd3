#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "conclave/client/core.h"
#include "conclave/session/session_core.h"
#include "conclave/session/turn_core.h"

#include "tests/sim/channel.h"
#include "tests/sim/cluster.h"

namespace conclave::sim {

// Holds what lock and election believe against the one history:
// - A turn that is held and valid() by its process's own clock has its key at the head of the
//   queue; so no two are ever valid at once. Paused processes are no exception. (Not where clocks
//   jump: then only the fence excludes.)
// - A turn that was granted had its key at the head at some time.
// - A guarded write gets through only under the fence of the head, so fences never go back.
class LockChecker {
 public:
  explicit LockChecker(Cluster& cluster) : cluster_(cluster) {}

  // After each change of the history.
  void changed();
  void granted(const std::string& name, const std::shared_ptr<session::TurnCore>& turn);
  std::uint64_t granted_count() const { return granted_count_; }
  std::uint64_t write_count() const { return write_count_; }
  bool queues_are_empty() const;

  static std::string resource_of(const std::string& name) { return "resource:" + name; }
  static const std::vector<std::string>& names();

 private:
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

// One process of a user: its own clock, the real client on its own channels, a session after the
// other, and a contender for locks.
class LockProcess {
 public:
  LockProcess(Cluster& cluster, LockChecker& checker, const std::string& kind);

  void start();
  void stop() { stopped_ = true; }
  SimExecutor& executor() { return executor_; }
  SimChannels& channels() { return channels_; }

 private:
  void act();
  void act_later();
  bool has_session();
  void contend();
  void work(int writes_left);
  void write(int writes_left);
  void release();

  Cluster& cluster_;
  LockChecker& checker_;
  const std::string kind_;
  SimExecutor executor_;
  SimChannels channels_;
  std::unique_ptr<client::StoreCore> store_;
  session::SessionConfig config_;
  std::shared_ptr<session::SessionCore> session_;
  bool opening_ = false;
  std::string name_;
  std::shared_ptr<session::TurnCore> turn_;
  bool stopped_ = false;
};

// The processes of a run, and what befalls them.
class LockClients {
 public:
  explicit LockClients(Cluster& cluster) : cluster_(cluster), checker_(cluster) {}

  void start();
  // They release what they have; whoever cannot is ended.
  void stop();
  const LockChecker& checker() const { return checker_; }

 private:
  void add();
  void strike();

  Cluster& cluster_;
  LockChecker checker_;
  std::vector<std::unique_ptr<LockProcess>> processes_;
};

}  // namespace conclave::sim
