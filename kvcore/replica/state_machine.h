#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <google/protobuf/message.h>

#include "conclave/api/errors.h"
#include "conclave/base/result.h"
#include "conclave/lease/lessor.h"
#include "conclave/mvcc/store.h"
#include "conclave/raft/types.h"
#include "conclave/replica/alarms.h"
#include "conclave/replica/membership.h"
#include "conclave/replica/proposal.h"
#include "conclave/replica/snapshot.h"

namespace conclave::replica {

// The applied state: keys, leases, alarms and the place in the log that they stand for.
//
// apply() is a function of the entry and of this state alone: no clock, no cache, nothing of what
// this member has put on disk or removed from it. So members that applied the same entries are
// equal, and a refused entry is refused everywhere.
//
// Caveat: after an error the state must not be used any more.
class StateMachine {
 public:
  // What one entry brought about, besides the response.
  struct Outcome {
    std::optional<api::Refusal> refusal;
    std::vector<mvcc::SharedEvents> events;  // by revision
    std::vector<lease::Renewed> renewed;     // of a lease_renew, in the order of its ids
  };

  explicit StateMachine(const mvcc::Storage& storage);

  // The index up to which a storage has applied the log, without loading the rest; 0 for an empty
  // one.
  static Result<raft::Index> stored_index(const mvcc::Storage& storage);

  // The membership that a storage holds, likewise.
  static Result<Membership> stored_membership(const mvcc::Storage& storage);

  // Reads what the storage holds; an empty one is a new state at index 0.
  Result<void> load();

  // `response` is that of the entry's kind, or null where nobody waits for it; its header gets the
  // revision. Errc::corrupt: an entry of an unknown version or kind, or a failed read of the store.
  Result<Outcome> apply(const raft::Entry& entry, const Proposal& proposal,
                        google::protobuf::Message* response);
  // An entry of kind config_change. `config` is what the consensus made of it; `change`, which may
  // be null, what an operator asked for, if it was not refused.
  void apply_config(const raft::Entry& entry, const raft::ConfigState& config,
                    const MemberChange* change);
  // An entry that changes nothing here: a new leader's first.
  void skip(const raft::Entry& entry);

  // The members that a new cluster begins with, at the place in the log that stands before
  // everything. For an empty state.
  void begin(const Membership& membership, raft::Index index, raft::Term term);

  raft::Index applied_index() const { return applied_index_; }
  raft::Term applied_term() const { return applied_term_; }
  std::int64_t cluster_time_ms() const { return cluster_time_ms_; }

  mvcc::Store& store() { return *store_; }
  const mvcc::Store& store() const { return *store_; }
  const lease::Lessor& lessor() const { return lessor_; }
  const Alarms& alarms() const { return alarms_; }
  const Membership& membership() const { return membership_; }

  // Becomes the state of a snapshot, freshly loaded.
  void take_over(StateMachine&& other);
  // All but the records, which follow from the storage once it has committed what is applied now.
  SnapshotState snapshot_state(std::uint64_t cluster_id) const;
  // What a store keeps beside records and leases, of a snapshot's head. `membership` stands in for
  // the head's own.
  static std::vector<mvcc::Write> position_of(const SnapshotHead& head,
                                              const std::optional<std::string>& membership);

  // Everything applied so far and not yet taken, with the applied index, its term, the cluster
  // time, the changed leases and the alarms: what is on disk together is true together.
  std::shared_ptr<const mvcc::Batch> take_batch();

 private:
  Result<void> load_position();
  Result<void> load_membership();
  Result<Outcome> apply_request(const Proposal& proposal, google::protobuf::Message* response);
  template <class Response>
  void keep(api::Reply<mvcc::Applied<Response>> applied, google::protobuf::Message* response,
            Outcome& outcome);
  void delete_keys_of(const lease::Revoked& revoked, Outcome& outcome);
  Outcome apply_lease_grant(const etcdserverpb::LeaseGrantRequest& request,
                            google::protobuf::Message* response);
  Outcome apply_alarm_change(const AlarmChange& change, google::protobuf::Message* response);
  Outcome apply_lease_revoke(const etcdserverpb::LeaseRevokeRequest& request,
                             google::protobuf::Message* response);

  const mvcc::Storage* storage_;
  std::unique_ptr<mvcc::Store> store_;
  lease::Lessor lessor_;
  Alarms alarms_;
  Membership membership_;
  raft::Index applied_index_ = 0;
  raft::Term applied_term_ = 0;
  std::int64_t cluster_time_ms_ = 0;
};

}  // namespace conclave::replica
