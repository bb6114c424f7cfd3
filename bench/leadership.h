#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "conclave/api/rpc.pb.h"
#include "conclave/base/result.h"
#include "conclave/bench/rig.h"

namespace conclave::bench {

struct Leader {
  std::size_t member = 0;
  std::uint64_t term = 0;

  bool operator==(const Leader&) const = default;
};

// What a member says of itself; nothing if it did not answer.
using MemberStatus = std::optional<etcdserverpb::StatusResponse>;

// The member that all name as their leader, itself among them, and all in one term.
std::optional<Leader> agreed_leader(std::span<const MemberStatus> members);

// Whether all members have applied the log up to `index`.
bool have_applied(std::span<const MemberStatus> members, std::uint64_t index);

// Until all members follow one leader and have applied what it had committed when that was seen,
// whether or not more comes meanwhile.
Result<Leader> wait_for_leader(Rig& rig, std::chrono::seconds limit);

}  // namespace conclave::bench
