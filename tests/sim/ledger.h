#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conclave/replica/replica.h"

#include "tests/sim/trace.h"
#include "tests/support/memory_storage.h"

namespace conclave::sim {

// What a key was from one revision on; without a value, it was not there.
struct Version {
  std::int64_t revision = 0;
  std::optional<mvccpb::KeyValue> kv;
};

// A digest of everything that members must agree on once they have applied the same entries.
std::uint64_t digest_of(const replica::StateMachine& state);

// Whether those that `has` is true of are a quorum, in both halves of a joint configuration.
bool is_quorum(const raft::ConfigState& config, const std::function<bool(raft::NodeId)>& has);

// The one history that all members must share: each entry as the first member that knew it to be
// committed had it, and what a witness, a state machine that no fault touches, made of it.
//
// Checked at every step of every member:
// - Of each index there is one committed entry, wherever and whenever it is looked at.
// - What is committed was on the disks of a quorum when it first counted as committed.
// - Of each term there is one leader, and it has everything that was committed before.
// - Members that have applied the same entries are equal, and equal to the witness.
// - A value that begins with "u" is written once.
// - While an alarm for want of space is raised, nothing is added.
class Ledger {
 public:
  Ledger(Trace& trace, const std::vector<replica::Member>& members);

  // Whether this member's disk has, or had until it was damaged, the entry.
  std::function<bool(raft::NodeId, raft::Index, raft::Term)> is_durable;
  // After each entry of the witness, with what it did to leases.
  struct LeaseEnd {
    std::int64_t lease;
    bool expired;  // else revoked
  };
  std::function<void(const std::vector<LeaseEnd>&)> on_leases_ended;
  // A lease was granted, or renewed, and lives for its TTL from there.
  std::function<void(std::int64_t lease, bool by_renewal)> on_lease_touched;
  std::vector<std::function<void()>> on_change;  // after each new revision or lease end

  // `seen` is how far this member's log was looked at in its present life.
  void observe(raft::NodeId id, const replica::Replica& replica, raft::Index& seen);

  raft::Index last_index() const { return entries_.size() + kFirst; }
  // 0 for one that is not committed.
  raft::Term term_of(raft::Index index) const;
  const replica::StateMachine& witness() const { return witness_; }
  std::int64_t revision() const { return witness_.store().current_revision(); }

  // The versions of a key, oldest first; empty if it never was.
  const std::vector<Version>& versions(const std::string& key) const;
  const mvccpb::KeyValue* at(const std::string& key, std::int64_t revision) const;
  // The keys of [begin, end) at a revision, by key.
  std::vector<const mvccpb::KeyValue*> range(const std::string& begin, const std::string& end,
                                             std::int64_t revision) const;
  const std::map<std::int64_t, mvcc::SharedEvents>& events() const { return events_; }
  // The revision that first wrote this value, or 0.
  std::int64_t revision_of_value(const std::string& value) const;
  // Whether these were the alarms after some entry of [first, last].
  bool had_alarms(const etcdserverpb::AlarmResponse& response, raft::Index first,
                  raft::Index last) const;

 private:
  static constexpr raft::Index kFirst = 1;  // the place before every log
  struct Known {
    raft::Term term;
    std::uint32_t crc;
  };

  void commit(raft::NodeId id, const replica::Replica& replica, const raft::Entry& entry);
  void check_quorum(raft::NodeId id, const replica::Replica& replica, const raft::Entry& entry);
  void check_leader(raft::NodeId id, const replica::Replica& replica);
  void check_state(raft::NodeId id, const replica::Replica& replica);
  void apply(const raft::Entry& entry);
  void apply_config(const raft::Entry& entry);
  void tell_of_touches(const replica::Proposal& proposal, bool granted) const;
  void keep_alarms(raft::Index index);
  void keep(const mvcc::SharedEvents& events);

  Trace& trace_;
  std::vector<Known> entries_;
  test::MemoryStorage storage_;
  replica::StateMachine witness_;
  std::map<raft::Term, raft::NodeId> leaders_;
  std::map<raft::NodeId, raft::ConfigState> configs_;  // of each member, after its last step
  std::map<raft::NodeId, raft::Index> compared_;       // what each had applied when last compared
  std::map<raft::Index, std::uint64_t> digests_;
  std::map<std::string, std::vector<Version>> versions_;
  std::map<std::int64_t, mvcc::SharedEvents> events_;
  std::map<std::string, std::int64_t> values_;
  std::map<raft::Index, std::string> alarms_{{kFirst, ""}};  // by the entry that changed them
};

}  // namespace conclave::sim
