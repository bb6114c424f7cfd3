#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include <google/protobuf/message.h>

#include "conclave/base/check.h"
#include "conclave/base/clock.h"
#include "conclave/replica/calls.h"

namespace conclave::replica {

// The calls that this member has proposed and not yet answered, by the sequence number that their
// entries carry. Sequences and deadlines both grow with each call, so the oldest is always the
// first.
class PendingCalls {
 public:
  struct Pending {
    RequestId id = 0;
    google::protobuf::Message* response = nullptr;
    Instant deadline{};
  };

  void add(std::uint64_t sequence, const Pending& pending) {
    calls_.emplace_hint(calls_.end(), sequence, pending);
  }

  // The call that waits for this entry; nobody does if it timed out, or if another member proposed
  // it.
  std::optional<Pending> take(std::uint64_t sequence) {
    const auto found = calls_.find(sequence);
    if (found == calls_.end()) return std::nullopt;
    const Pending pending = found->second;
    calls_.erase(found);
    return pending;
  }

  std::vector<RequestId> take_expired(Instant now) {
    std::vector<RequestId> expired;
    while (!calls_.empty() && calls_.begin()->second.deadline <= now) {
      expired.push_back(calls_.begin()->second.id);
      calls_.erase(calls_.begin());
    }
    return expired;
  }

  std::vector<RequestId> take_all() {
    std::vector<RequestId> all;
    for (const auto& [sequence, pending] : calls_) all.push_back(pending.id);
    calls_.clear();
    return all;
  }

  bool empty() const { return calls_.empty(); }
  std::size_t size() const { return calls_.size(); }

 private:
  std::map<std::uint64_t, Pending> calls_;
};

}  // namespace conclave::replica
