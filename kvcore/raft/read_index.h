#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "conclave/raft/types.h"

namespace conclave::raft {

struct ReadRequest {
  NodeId from = 0;  // who asked; the leader itself or a follower
  std::string context;
  Index index = 0;  // the commit index when the request came
};

// A leader's linearizable reads on their way (thesis, 6.4): each takes the commit index at its
// arrival and is answered when a quorum has confirmed, by a round of heartbeats begun after that,
// that the node still leads. Requests that come while a round is on its way share the next one.
class ReadIndexQueue {
 public:
  void add(ReadRequest request) { waiting_.push_back(std::move(request)); }
  // Before an entry of the own term is committed no index is safe (thesis, 6.4 step 1).
  void hold(ReadRequest request) { held_.push_back(std::move(request)); }
  std::vector<ReadRequest> take_held();

  bool round_wanted() const { return !waiting_.empty() && asked_.empty(); }
  bool any_pending() const { return !waiting_.empty() || !asked_.empty(); }
  // Begins a round that covers everything waiting, and, again, all that was asked before: any later
  // round answers for them, too.
  std::uint64_t begin_round();
  std::uint64_t round() const { return round_; }

  // A quorum has confirmed all rounds up to `round`: the requests that are answered by it.
  std::vector<ReadRequest> confirmed(std::uint64_t round);
  // No leader any more; whoever asked will ask again.
  void clear();

 private:
  struct Asked {
    std::uint64_t round;
    ReadRequest request;
  };
  std::uint64_t round_ = 0;  // never goes back, so an old answer cannot pass for a new one
  std::deque<Asked> asked_;
  std::vector<ReadRequest> waiting_;
  std::vector<ReadRequest> held_;
};

}  // namespace conclave::raft
