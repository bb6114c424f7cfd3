#include "tests/mutants/bugs.h"

#include <iterator>

namespace conclave::mutants {
namespace {

constexpr Bug kBugs[] = {
    {"votes_twice", &PlantedBugs::votes_twice, "raft/election.cc"},
    {"vote_needs_no_sync", &PlantedBugs::vote_needs_no_sync, "raft/node.cc"},
    {"votes_for_older_log", &PlantedBugs::votes_for_older_log, "raft/election.cc"},
    {"log_length_alone", &PlantedBugs::log_length_alone, "raft/log.cc"},
    {"old_vote_counts", &PlantedBugs::old_vote_counts, "raft/election.cc"},
    {"leads_before_own_vote", &PlantedBugs::leads_before_own_vote, "raft/election.cc"},
    {"half_elects", &PlantedBugs::half_elects, "raft/quorum.cc"},
    {"damaged_member_votes", &PlantedBugs::damaged_member_votes, "raft/node.cc"},
    {"damaged_member_counts", &PlantedBugs::damaged_member_counts, "raft/replication.cc"},
    {"hands_over_too_early", &PlantedBugs::hands_over_too_early, "raft/replication.cc"},
    {"acknowledges_before_sync", &PlantedBugs::acknowledges_before_sync, "raft/node.cc"},
    {"leader_counts_unsynced", &PlantedBugs::leader_counts_unsynced, "raft/replication.cc"},
    {"acknowledges_whole_log", &PlantedBugs::acknowledges_whole_log, "raft/follower.cc"},
    {"minority_commits", &PlantedBugs::minority_commits, "raft/quorum.cc"},
    {"one_half_commits", &PlantedBugs::one_half_commits, "raft/quorum.cc"},
    {"commits_older_term", &PlantedBugs::commits_older_term, "raft/replication.cc"},
    {"heartbeat_commits_unmatched", &PlantedBugs::heartbeat_commits_unmatched,
     "raft/replication.cc"},
    {"applies_unsynced", &PlantedBugs::applies_unsynced, "raft/node.cc"},
    {"applies_uncommitted", &PlantedBugs::applies_uncommitted, "raft/node.cc"},
    {"old_append_truncates", &PlantedBugs::old_append_truncates, "raft/follower.cc"},
    {"overwritten_counts_as_synced", &PlantedBugs::overwritten_counts_as_synced, "raft/node.cc"},
    {"older_snapshot_installed", &PlantedBugs::older_snapshot_installed, "raft/follower.cc"},
    {"changes_overlap", &PlantedBugs::changes_overlap, "raft/membership.cc"},
    {"learner_is_voter", &PlantedBugs::learner_is_voter, "raft/config.cc"},
    {"reads_without_quorum", &PlantedBugs::reads_without_quorum, "raft/replication.cc"},
    {"reads_before_own_commit", &PlantedBugs::reads_before_own_commit, "raft/replication.cc"},
    {"read_ids_reused", &PlantedBugs::read_ids_reused, "replica/replica.cc"},
    {"reads_before_applied", &PlantedBugs::reads_before_applied, "replica/replica.cc"},
    {"forward_appended_twice", &PlantedBugs::forward_appended_twice, "replica/peers.cc"},
    {"resent_at_election", &PlantedBugs::resent_at_election, "replica/peers.cc"},
    {"timeout_called_loss", &PlantedBugs::timeout_called_loss, "replica/replica.cc"},
    {"earlier_life_answers", &PlantedBugs::earlier_life_answers, "replica/replica.cc"},
    {"wiped_member_heard", &PlantedBugs::wiped_member_heard, "replica/membership.cc"},
    {"snapshot_lacks_leases", &PlantedBugs::snapshot_lacks_leases, "replica/state_machine.cc"},
    {"snapshot_before_store", &PlantedBugs::snapshot_before_store, "replica/snapshots.cc"},
    {"watchers_miss_snapshot", &PlantedBugs::watchers_miss_snapshot, "replica/snapshots.cc"},
    {"applied_index_apart", &PlantedBugs::applied_index_apart, "replica/state_machine.cc"},
    {"log_released_too_early", &PlantedBugs::log_released_too_early, "replica/batches.cc"},
    {"start_proves_commit", &PlantedBugs::start_proves_commit, "replica/replica.cc"},
    {"snapshot_members_unnoticed", &PlantedBugs::snapshot_members_unnoticed,
     "replica/membership.cc"},
    {"stall_counts_in_full", &PlantedBugs::stall_counts_in_full, "replica/replica.cc"},
    {"lease_time_lost", &PlantedBugs::lease_time_lost, "replica/peers.cc"},
    {"deposed_time_counts", &PlantedBugs::deposed_time_counts, "replica/peers.cc"},
    {"election_renews_leases", &PlantedBugs::election_renews_leases, "replica/peers.cc"},
    {"expires_one_by_one", &PlantedBugs::expires_one_by_one, "replica/replica.cc"},
    {"lost_expiry_awaited", &PlantedBugs::lost_expiry_awaited, "replica/peers.cc"},
    {"keys_lose_lease_at_start", &PlantedBugs::keys_lose_lease_at_start,
     "replica/state_machine.cc"},
    {"detach_forgotten", &PlantedBugs::detach_forgotten, "replica/state_machine.cc"},
    {"expiry_not_checked_again", &PlantedBugs::expiry_not_checked_again, "lease/lessor.cc"},
    {"renews_ended_lease", &PlantedBugs::renews_ended_lease, "lease/lessor.cc"},
    {"skips_sync", &PlantedBugs::skips_sync, "wal/log.cc"},
    {"new_segment_unsynced", &PlantedBugs::new_segment_unsynced, "wal/log.cc"},
    {"torn_record_taken", &PlantedBugs::torn_record_taken, "wal/format.cc"},
    {"good_entry_dropped", &PlantedBugs::good_entry_dropped, "wal/recovery.cc"},
    {"tail_left_in_cache", &PlantedBugs::tail_left_in_cache, "wal/log.cc"},
    {"last_event_lost", &PlantedBugs::last_event_lost, "mvcc/watch_hub.cc"},
    {"catch_up_skips_revision", &PlantedBugs::catch_up_skips_revision, "mvcc/watch_hub.cc"},
    {"catch_up_reads_store_alone", &PlantedBugs::catch_up_reads_store_alone, "mvcc/store.cc"},
    {"overflow_loses_revision", &PlantedBugs::overflow_loses_revision, "mvcc/watch_hub.cc"},
    {"progress_overtakes_events", &PlantedBugs::progress_overtakes_events, "mvcc/watch_hub.cc"},
    {"previous_value_is_own", &PlantedBugs::previous_value_is_own, "mvcc/store.cc"},
    {"compaction_takes_visible", &PlantedBugs::compaction_takes_visible, "mvcc/key_index.cc"},
    {"compaction_takes_deletion", &PlantedBugs::compaction_takes_deletion, "mvcc/key_index.cc"},
    {"compaction_forgotten", &PlantedBugs::compaction_forgotten, "mvcc/store.cc"},
    {"compare_sees_older", &PlantedBugs::compare_sees_older, "mvcc/txn_check.cc"},
    {"large_answer_ends_txn", &PlantedBugs::large_answer_ends_txn, "mvcc/store_apply.cc"},
    {"own_changes_unseen", &PlantedBugs::own_changes_unseen, "mvcc/store_apply.cc"},
};

static_assert(std::size(kBugs) == sizeof(PlantedBugs), "each of them, once");

}  // namespace

std::span<const Bug> all_bugs() {
  return kBugs;
}

}  // namespace conclave::mutants
