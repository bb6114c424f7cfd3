#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <variant>

#include "conclave/api/rpc.pb.h"
#include "conclave/base/random.h"

namespace conclave::test {

// How many watch streams a round has open at a time.
inline constexpr int kStreams = 3;

// Asks something of one of the watch streams.
struct StreamStep {
  int stream = 0;
  etcdserverpb::WatchRequest request;
};
// Cancels a watch stream's call and opens another one.
struct ReopenStep {
  int stream = 0;
};

using Step =
    std::variant<etcdserverpb::RangeRequest, etcdserverpb::PutRequest,
                 etcdserverpb::DeleteRangeRequest, etcdserverpb::TxnRequest,
                 etcdserverpb::CompactionRequest, etcdserverpb::LeaseGrantRequest,
                 etcdserverpb::LeaseRevokeRequest, etcdserverpb::LeaseKeepAliveRequest,
                 etcdserverpb::LeaseTimeToLiveRequest, etcdserverpb::LeaseLeasesRequest,
                 etcdserverpb::HashKVRequest, etcdserverpb::AlarmRequest, StreamStep, ReopenStep>;

// What a step is drawn for: revisions lie around the store's.
struct StoreState {
  std::int64_t current = 1;
  std::int64_t compacted = -1;
  bool with_watches = true;
  // The one type of alarm that the round raises, and by which members it is raised.
  etcdserverpb::AlarmType alarm = etcdserverpb::NOSPACE;
  std::set<std::uint64_t> raised;
};

// A random step over a handful of keys, values, leases and alarms, so that steps meet each other;
// now and then one that must be refused. What is known to be answered differently
// (known_differences.h) is not drawn.
Step draw_step(Random& random, const StoreState& state);

std::string describe(const Step& step);

}  // namespace conclave::test
