#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <google/protobuf/message.h>

#include "conclave/base/clock.h"
#include "conclave/raft/types.h"
#include "conclave/replica/calls.h"

namespace conclave::replica {

// The calls that this member has proposed, or handed to the leader, and not yet answered, by the
// sequence number that their entries carry.
class PendingCalls {
 public:
  struct Pending {
    RequestId id = 0;
    google::protobuf::Message* response = nullptr;
    Instant deadline{};
    raft::Term term = 0;   // of the leader that was to append it
    std::string proposal;  // to be proposed again if it is surely lost; empty: never
  };

  void add(std::uint64_t sequence, Pending pending) {
    // Calls that are proposed again have earlier deadlines than those before them.
    in_order_ =
        calls_.empty() || (in_order_ && pending.deadline >= calls_.rbegin()->second.deadline);
    bytes_ += pending.proposal.size();
    calls_.emplace_hint(calls_.end(), sequence, std::move(pending));
  }

  // The call that waits for this entry; nobody does if it timed out, or if another member proposed
  // it.
  std::optional<Pending> take(std::uint64_t sequence) {
    const auto found = calls_.find(sequence);
    if (found == calls_.end()) return std::nullopt;
    Pending pending = std::move(found->second);
    bytes_ -= pending.proposal.size();
    calls_.erase(found);
    return pending;
  }

  // Calls visit(sequence, proposal) for those that the leader of this term was to append and that
  // are older than `sequence`, the oldest first, until it returns false.
  template <class Visit>
  void visit_older(std::uint64_t sequence, raft::Term term, Visit visit) const {
    for (auto call = calls_.begin(); call != calls_.end() && call->first < sequence; ++call) {
      const Pending& pending = call->second;
      if (pending.term != term || pending.proposal.empty()) continue;
      if (!visit(call->first, pending.proposal)) return;
    }
  }

  // Those that were given to leaders of earlier terms.
  std::vector<Pending> take_before(raft::Term term) {
    std::vector<Pending> taken;
    std::erase_if(calls_, [&](auto& item) {
      if (item.second.term >= term) return false;
      bytes_ -= item.second.proposal.size();
      taken.push_back(std::move(item.second));
      return true;
    });
    return taken;
  }

  std::vector<RequestId> take_expired(Instant now) {
    std::vector<RequestId> expired;
    for (auto call = calls_.begin(); call != calls_.end();) {
      if (call->second.deadline <= now) {
        expired.push_back(call->second.id);
        bytes_ -= call->second.proposal.size();
        call = calls_.erase(call);
      } else if (in_order_) {
        break;
      } else {
        ++call;
      }
    }
    return expired;
  }

  std::vector<RequestId> take_all() {
    std::vector<RequestId> all;
    for (const auto& [sequence, pending] : calls_) all.push_back(pending.id);
    calls_.clear();
    bytes_ = 0;
    return all;
  }

  bool empty() const { return calls_.empty(); }
  std::size_t size() const { return calls_.size(); }
  // Of the proposals that are kept.
  std::uint64_t bytes() const { return bytes_; }

 private:
  std::map<std::uint64_t, Pending> calls_;
  std::uint64_t bytes_ = 0;
  bool in_order_ = true;  // by deadline, too
};

}  // namespace conclave::replica
