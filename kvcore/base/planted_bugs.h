#pragma once

// Bugs to order, for the run that shows which test finds each. They exist only in that run's own
// build of the core's sources, with CONCLAVE_PLANTED_BUGS defined; in the shipped library each
// question below is the constant false.
//
// To be asked in sources, never in headers: so whatever else is compiled fits both builds.
#ifdef CONCLAVE_PLANTED_BUGS

namespace conclave {

struct PlantedBugs {
  // raft: votes
  bool votes_twice = false;            // in a term, for whoever asks
  bool vote_needs_no_sync = false;     // the driver is told so
  bool votes_for_older_log = false;    // one that lacks what is committed
  bool log_length_alone = false;       // decides whose log is newer, whatever its terms
  bool old_vote_counts = false;        // one that was granted in an earlier term
  bool leads_before_own_vote = false;  // is on disk, once the others' suffice
  bool half_elects = false;            // of an even number of voters
  bool damaged_member_votes = false;   // though it has forgotten what it promised
  bool damaged_member_counts = false;  // in the majority of a leader that it has forgotten
  bool hands_over_too_early = false;   // to a successor that is behind
  // raft: the log
  bool acknowledges_before_sync = false;      // an append
  bool leader_counts_unsynced = false;        // entries of its own
  bool acknowledges_whole_log = false;        // also what the append did not cover
  bool minority_commits = false;              // one less than a majority
  bool one_half_commits = false;              // of a joint configuration
  bool commits_older_term = false;            // by counting (paper, figure 8)
  bool heartbeat_commits_unmatched = false;   // beyond what the follower is known to have
  bool applies_unsynced = false;              // what others have on disk, and this member not yet
  bool applies_uncommitted = false;           // and answers, once it is on the own disk
  bool old_append_truncates = false;          // what came after it
  bool overwritten_counts_as_synced = false;  // when the same index comes back
  bool older_snapshot_installed = false;      // than what is committed here
  bool changes_overlap = false;               // of the configuration, two at a time
  bool learner_is_voter = false;              // from the moment it is added
  // raft: reads
  bool reads_without_quorum = false;     // nobody confirms that the leader still leads
  bool reads_before_own_commit = false;  // a new leader does not know all that is committed

  // replica
  bool read_ids_reused = false;         // an old answer passes for a new one
  bool reads_before_applied = false;    // the state is older than the read's index
  bool forward_appended_twice = false;  // if the network doubles it
  bool resent_at_election = false;      // although the old leader's entry may still win
  bool timeout_called_loss = false;     // an outcome that is not known
  bool earlier_life_answers = false;    // an entry of it passes for a new call's
  bool wiped_member_heard = false;      // as if it had what it once acknowledged
  bool snapshot_lacks_leases = false;
  bool snapshot_before_store = false;       // has everything that the snapshot is to hold
  bool watchers_miss_snapshot = false;      // what it skips is never told
  bool applied_index_apart = false;         // not in the transaction of what was applied
  bool log_released_too_early = false;      // before the store's commit is proven
  bool start_proves_commit = false;         // that is in the store, or only in the cache
  bool snapshot_members_unnoticed = false;  // by those who link members
  bool stall_counts_in_full = false;        // as time that leases have lived
  bool lease_time_lost = false;             // what the last leader told beyond its last entry
  bool deposed_time_counts = false;         // what a leader told that others have replaced since
  bool election_renews_leases = false;      // for their whole TTL
  bool expires_one_by_one = false;          // however many are due
  bool lost_expiry_awaited = false;         // by a leader that was deposed, when it leads again
  bool keys_lose_lease_at_start = false;    // they outlive it
  bool detach_forgotten = false;            // a key put anew goes with its former lease

  // lease
  bool expiry_not_checked_again = false;  // when it is applied: a renewal may have come before
  bool renews_ended_lease = false;

  // wal
  bool skips_sync = false;
  bool new_segment_unsynced = false;  // its name may go in a power cut
  bool torn_record_taken = false;     // for a good one
  bool good_entry_dropped = false;    // with those that were overwritten
  bool tail_left_in_cache = false;    // of what a start hands out

  // mvcc
  bool last_event_lost = false;             // of a revision with several
  bool catch_up_skips_revision = false;     // the one after it
  bool catch_up_reads_store_alone = false;  // and not what waits for it
  bool overflow_loses_revision = false;     // of a watcher that becomes too slow
  bool progress_overtakes_events = false;
  bool previous_value_is_own = false;      // in an event
  bool compaction_takes_visible = false;   // what readers at its revision see
  bool compaction_takes_deletion = false;  // made at its very revision
  bool compaction_forgotten = false;       // after a start
  bool compare_sees_older = false;         // not the state before the transaction
  bool own_changes_unseen = false;         // by a transaction's ranges
  bool large_answer_ends_txn = false;      // before all of its changes
};

inline PlantedBugs planted_bugs;

}  // namespace conclave

// Of the nearest enclosing namespace that has its own.
#define CONCLAVE_PLANTED(bug) (planted_bugs.bug)
#else
#define CONCLAVE_PLANTED(bug) false
#endif
