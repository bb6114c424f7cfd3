#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "conclave/api/errors.h"
#include "conclave/api/rpc.pb.h"
#include "conclave/base/result.h"
#include "conclave/replica/proposal.h"

namespace conclave::replica {

// The alarms that are raised, as replicated state: what they forbid is decided at apply, equally on
// every member. NOSPACE refuses what adds data, CORRUPT whatever changes keys or leases; where both
// are raised, by whatever members, CORRUPT is what is said.
//
// Caveat: an alarm that the quota raised is taken back by that member once there is room again; one
// that an operator raised, or raised again, stays until an operator takes it back.
class Alarms {
 public:
  // Puts into `response`, which may be null, the alarm that is raised now, or was until now. An
  // alarm of no type, or of an unknown one, is none.
  void apply(const AlarmChange& change, etcdserverpb::AlarmResponse* response);

  // That member was removed: what its quota raised nobody else would take back.
  void forget(std::uint64_t member);

  // The same of all members: they are replaced by others.
  void forget_quotas();

  bool none() const { return alarms_.empty(); }
  bool any(etcdserverpb::AlarmType type) const;
  bool raised(etcdserverpb::AlarmType type, std::uint64_t member) const {
    return alarms_.contains({type, member});
  }
  // Raised by the quota of that member, and not since by an operator.
  bool raised_by_quota(std::uint64_t member) const;
  // Those of a type, or of all (NONE), by type and member.
  void list(etcdserverpb::AlarmType type, etcdserverpb::AlarmResponse& response) const;

  std::optional<api::Refusal> refusal_of(const Proposal& proposal) const;

  // What is stored, if it changed since the last call.
  std::optional<std::string> take_write();
  std::string encode() const;
  // Errc::corrupt: not what encode() gave, or of an unknown version.
  Result<void> restore(std::string_view stored);

 private:
  using Key = std::pair<int, std::uint64_t>;  // type, member
  static void show(const Key& key, etcdserverpb::AlarmResponse* response);

  std::map<Key, bool> alarms_;  // whether the quota raised it
  bool changed_ = false;
};

// One alarm as Status lists it, in etcd's words.
std::string text_of(const etcdserverpb::AlarmMember& alarm);

}  // namespace conclave::replica
