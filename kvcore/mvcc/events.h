#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "conclave/api/kv.pb.h"

namespace conclave::mvcc {

// All changes of one revision, in the order of their sub revisions. Never changed once made, and
// shared by every watcher that is given it.
//
// prev_kv is not in it: few ask for it, and it costs a read. Store::value_before() finds it.
struct RevisionEvents {
  std::int64_t revision = 0;
  std::vector<mvccpb::Event> events;
  std::uint64_t byte_count = 0;  // roughly, for bounds
};

using SharedEvents = std::shared_ptr<const RevisionEvents>;

}  // namespace conclave::mvcc
