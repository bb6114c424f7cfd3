#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "conclave/raft/node.h"

namespace conclave::raft {

// Nodes on a network that drops, doubles and reorders, with disks that are slow and, in a crash,
// keep any prefix of what was not synced. One seed decides everything. Checks, all the way, what
// the paper's figure 3 promises, that reads are linearizable, and that nothing is applied beyond
// the own disk. A violation is a non-empty failure().
class SimulatedGroup {
 public:
  struct Setup {
    std::uint64_t seed = 1;
    int nodes = 3;   // that run
    int voters = 3;  // of them, in the first configuration
    bool change_members = false;
    bool crashes = true;
    bool turbulent = false;  // an election every few dozen events
  };

  explicit SimulatedGroup(Setup setup);

  // One random event.
  void step();
  // Everything runs and nothing is lost from here: whether, within a bounded time, a leader commits
  // a new entry and all its members have it.
  bool recovers();

  // Every node's state, for people.
  std::string picture() const;

  const std::string& failure() const { return failure_; }
  Index applied_anywhere() const { return history_.empty() ? 0 : history_.rbegin()->first; }
  std::size_t terms_led() const { return leaders_.size(); }
  int reads_answered() const { return reads_answered_; }
  int snapshots_installed() const { return snapshots_installed_; }
  int config_changes() const { return static_cast<int>(configs_.size()) - 1; }

 private:
  struct Write {
    std::uint64_t number = 0;
    std::optional<SnapshotMetadata> snapshot;
    std::vector<Entry> entries;
    std::optional<HardState> hard_state;
    std::vector<Message> messages_after;
  };
  struct Disk {
    SnapshotMetadata base;
    std::vector<Entry> entries;
    HardState hard_state;
    Index last() const { return base.index + entries.size(); }
  };
  struct Member {
    NodeId id = 0;
    std::unique_ptr<Node> node;  // none: crashed
    Disk disk;
    std::deque<Write> writes;
    std::deque<Entry> to_apply;
    Index applied = 0;
  };

  void start(Member& member, Index applied);
  void crash(Member& member);
  void random_event(Member& member);
  void drive(Member& member);
  void check_committed(const Member& member, const Ready& ready);
  void put(Disk& disk, const Entry& entry);
  void write(Member& member, Write& write, std::size_t parts);
  void sync_one(Member& member);
  void apply_some(Member& member, std::size_t count);
  void compact(Member& member);
  void send(Member& from, std::vector<Message> messages);
  void deliver_one();
  void propose(Member& member);
  void propose_change(Member& member);
  void check_leader(const Member& member);
  void check_logs_match(const Member& one, const Member& other);
  const ConfigState& config_at(Index index) const {
    return std::prev(configs_.upper_bound(index))->second;
  }
  void fail(const std::string& what) {
    if (failure_.empty()) failure_ = what;
  }
  bool settled(const std::string& payload) const;

  Setup setup_;
  Random random_;
  std::vector<Member> members_;
  std::vector<Message> network_;
  std::map<Index, Entry> history_;        // what was applied, by whomever first
  std::map<Index, ConfigState> configs_;  // from that index on
  std::map<Term, NodeId> leaders_;
  std::map<std::string, Index> reads_;  // what a read must see at least
  int reads_answered_ = 0;
  int snapshots_installed_ = 0;
  int proposals_ = 0;
  bool calm_ = false;
  std::string failure_;
};

}  // namespace conclave::raft
