// W20: the floods of W1, W2 and W4 on a cluster of three members.
#include "conclave/bench/checked_floods.h"
#include "conclave/bench/leadership.h"
#include "conclave/bench/sources.h"
#include "conclave/bench/workload.h"

namespace conclave::bench {
namespace {

constexpr std::chrono::seconds kReadyLimit(60);
// Not that of the puts: the ranges find all keys of theirs, once each.
constexpr char kRangePrefix = 'r';

// By one client, then by a hundred, at one member.
Result<void> add_puts(Rig& rig, const std::string& suffix, const std::string& where,
                      std::vector<Row>& rows) {
  struct Size {
    int clients;
    int connections;
    const char* operations;
  };
  constexpr Size kSizes[] = {{1, 1, "w20-operations-1"}, {100, 10, "w20-operations-100"}};
  for (const Size& size : kSizes) {
    const std::string clients = std::to_string(size.clients);
    Result<Row> row = flood_of_puts(
        rig, plan_of(size.clients, size.connections, rig.parameter(size.operations)),
        rig.parameter("w20-keys"), "W20/" + clients + suffix,
        "3 members, put, " + clients + (size.clients == 1 ? " client, " : " clients, ") + where);
    if (!row) return row.error();
    rows.push_back(*std::move(row));
  }
  return {};
}

Result<void> add_ranges(Rig& rig, std::vector<Row>& rows) {
  const std::int64_t keys = rig.parameter("w20-keys");
  const Result<void> loaded = load(rig, kRangePrefix, keys);
  if (!loaded) return loaded;
  RangeSource source(kRangePrefix, keys, rig.parameter("value-bytes"), /*serializable=*/false);
  Result<Row> row =
      flood_of_ranges(rig, plan_of(1000, 50, rig.parameter("w20-ranges")), source, "W20/lin",
                      "3 members, range, 1000 clients, on the leader, linearizable");
  if (!row) return row.error();
  rows.push_back(*std::move(row));
  return {};
}

}  // namespace

Result<std::vector<Row>> run_three_members(Rig& rig) {
  const Result<Leader> leader = wait_for_leader(rig, kReadyLimit);
  if (!leader) return leader.error();
  std::vector<Row> rows;
  rig.aim_at(leader->member);
  Result<void> added = add_puts(rig, "", "on the leader", rows);
  if (added) {
    rig.aim_at((leader->member + 1) % rig.servers().size());
    added = add_puts(rig, "-follower", "through a follower", rows);
  }
  if (added) {
    rig.aim_at(leader->member);
    added = add_ranges(rig, rows);
  }
  if (!added) return added.error();
  const Result<Leader> still = wait_for_leader(rig, kReadyLimit);
  if (!still) return still.error();
  if (*still != *leader) return failure("W20: another leads than at the beginning");
  return rows;
}

}  // namespace conclave::bench
