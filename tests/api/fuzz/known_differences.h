#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "conclave/api/rpc.pb.h"

namespace conclave::test {

// Where etcd 3.4.23 answers otherwise than conclaved, and means to: conclaved follows the current
// stable etcd. What stands here is not compared; everything else is.
struct KnownDifference {
  std::string_view what;
  std::string_view why;
};
inline constexpr std::array kKnownDifferences = {
    KnownDifference{"keys_only answers have no lease", "as etcd since 3.7; 3.4 fills it in"},
    KnownDifference{"unknown sort orders and targets are refused",
                    "as etcd since 3.6; 3.4 takes them, and some end its process: not drawn"},
    KnownDifference{"ignore_value and ignore_lease after a delete of the key in the same txn",
                    "only a delete to an open end gets there; it ends the process of 3.4: not "
                    "drawn"},
    KnownDifference{"a watch from a negative revision is refused when it is created",
                    "as etcd since 3.5; 3.4 creates it and then says compacted: not drawn"},
    KnownDifference{"a watch from the compact revision gets the deletions of that revision",
                    "3.4 loses them in the compaction: not drawn"},
    KnownDifference{"progress is answered once all watches of the stream have caught up",
                    "3.4 answers at once, before events that are on their way: not drawn"},
    KnownDifference{"hash_revision of HashKV", "3.4 has no such field"},
    KnownDifference{"HashKV at the compact revision is answered",
                    "as etcd since 3.6; 3.4 refuses it as compacted: not drawn"},
    KnownDifference{"while NOSPACE is raised, a put in a nested transaction is refused",
                    "etcd looks for puts on the first level alone: not drawn"},
    KnownDifference{"while CORRUPT is raised, a nested transaction that only reads is answered",
                    "etcd takes any nested one for a write, and refuses it: not drawn"},
    KnownDifference{
        "with alarms of both types, CORRUPT decides, and each goes by itself",
        "etcd obeys the one that was raised last, and none once either is gone: one type "
        "a round"},
    KnownDifference{"alarms of type NONE are not kept, and answers about alarms have a header",
                    "as etcd since 3.5; 3.4 keeps and lists them: not drawn; header not compared"},
    KnownDifference{"a transaction has at most 8 times --max-txn-ops operations over all levels",
                    "etcd bounds each level alone: not drawn"},
    KnownDifference{"ids of leases that the server draws, and leases that expire within a round",
                    "they depend on chance and on the clock: not drawn; the wire cases have them"},
    KnownDifference{"lists of leases and of a lease's keys are compared in sorted order",
                    "3.4 gives keys, and leases of equal expiry, in no order"},
};

// `drawn`, or the nearest start revision that both answer alike.
inline std::int64_t comparable_start_revision(std::int64_t drawn, std::int64_t compacted) {
  if (drawn < 0) return 0;
  return drawn == compacted ? drawn + 1 : drawn;
}

// `drawn`, or the current revision (0) if only one of the two answers there.
inline std::int64_t comparable_hash_revision(std::int64_t drawn, std::int64_t compacted) {
  return drawn == compacted ? 0 : drawn;
}

// Takes out of etcd's answer what the first line of the table names.
void drop_keys_only_leases(const etcdserverpb::RangeRequest& request,
                           etcdserverpb::RangeResponse& response);
void drop_keys_only_leases(const etcdserverpb::TxnRequest& request,
                           etcdserverpb::TxnResponse& response);

}  // namespace conclave::test
