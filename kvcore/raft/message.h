#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "conclave/raft/config.h"
#include "conclave/raft/types.h"

namespace conclave::raft {

// What nodes say to each other. The numbers are part of the peer protocol: add, never renumber.
enum class MessageKind : std::uint8_t {
  append = 1,               // AppendEntries of the paper
  append_response = 2,      //
  vote = 3,                 // RequestVote of the paper
  vote_response = 4,        //
  pre_vote = 5,             // "would you vote for me?"; changes nobody's term (thesis, 9.6)
  pre_vote_response = 6,    //
  heartbeat = 7,            // carries the commit index and, for reads, a round
  heartbeat_response = 8,   //
  snapshot = 9,             // "your log is too old, take this state"
  timeout_now = 10,         // leadership transfer: campaign at once (thesis, 3.10)
  read_index = 11,          // a follower asks for a read index (thesis, 6.4)
  read_index_response = 12  //
};

// The metadata of a snapshot: the state machine's state after applying `index`. The bytes never
// pass through this room.
struct SnapshotMetadata {
  Index index = 0;
  Term term = 0;
  ConfigState config = {};

  friend bool operator==(const SnapshotMetadata&, const SnapshotMetadata&) = default;
};

// One message. Fields that a kind does not name are zero and mean nothing.
struct Message {
  MessageKind kind = MessageKind::append;
  NodeId from = 0;
  NodeId to = 0;
  // The sender's term. For a pre_vote and a granted pre_vote_response: the term the candidate would
  // campaign in.
  Term term = 0;

  // append: the entry before `entries`. append_response: `log_index` is the last index that
  // matches, or, if rejected, the asked-for index. vote, pre_vote: the candidate's last entry.
  // read_index_response: `log_index` is the read index.
  Index log_index = 0;
  // append, vote, pre_vote: the term at log_index; rejected append_response: the term at
  // reject_hint; rejected vote_response, pre_vote_response: the term at `commit`.
  Term log_term = 0;

  std::vector<Entry> entries = {};  // append
  Index commit = 0;                 // append, heartbeat; rejected vote_response, pre_vote_response

  bool rejected = false;  // append_response, vote_response, pre_vote_response
  // append_response: at or below this index the follower's log may match.
  Index reject_hint = 0;

  // append_response, heartbeat_response: the sender's disk was damaged (Node::voteless()).
  bool voteless = false;

  bool leadership_transfer = false;  // vote: the leader asked for it, so its lease does not hold

  // heartbeat, heartbeat_response: the round of leadership confirmation that is answered by it.
  std::uint64_t round = 0;
  std::string context = {};  // read_index, read_index_response, heartbeat: the caller's own

  std::optional<SnapshotMetadata> snapshot = {};  // snapshot

  friend bool operator==(const Message&, const Message&) = default;
};

}  // namespace conclave::raft
