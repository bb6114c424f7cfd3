#pragma once

#include <span>

#include "conclave/cli/verbs/context.h"

namespace conclave::cli {

std::span<const Verb> all_verbs();

// Carries out what the arguments ask for and returns the exit status.
int run_verb(const Invocation& invocation);

// One function for each verb, by file: kv.cc, watch.cc, lease.cc, cluster.cc, member.cc,
// leader.cc, snapshot.cc, snapshot_restore.cc, alarm.cc, lock.cc, elect.cc.
int run_put(const Invocation& invocation);
int run_get(const Invocation& invocation);
int run_del(const Invocation& invocation);
int run_txn(const Invocation& invocation);
int run_compaction(const Invocation& invocation);
int run_watch(const Invocation& invocation);
int run_lease_grant(const Invocation& invocation);
int run_lease_revoke(const Invocation& invocation);
int run_lease_timetolive(const Invocation& invocation);
int run_lease_list(const Invocation& invocation);
int run_lease_keep_alive(const Invocation& invocation);
int run_endpoint_status(const Invocation& invocation);
int run_endpoint_health(const Invocation& invocation);
int run_endpoint_hashkv(const Invocation& invocation);
int run_alarm_list(const Invocation& invocation);
int run_alarm_disarm(const Invocation& invocation);
int run_defrag(const Invocation& invocation);
int run_member_list(const Invocation& invocation);
int run_member_add(const Invocation& invocation);
int run_member_remove(const Invocation& invocation);
int run_member_update(const Invocation& invocation);
int run_member_promote(const Invocation& invocation);
int run_move_leader(const Invocation& invocation);
int run_snapshot_save(const Invocation& invocation);
int run_snapshot_status(const Invocation& invocation);
int run_snapshot_restore(const Invocation& invocation);
int run_version(const Invocation& invocation);
int run_lock(const Invocation& invocation);
int run_elect(const Invocation& invocation);

}  // namespace conclave::cli
