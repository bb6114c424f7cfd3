#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "conclave/base/clock.h"
#include "conclave/replica/calls.h"
#include "conclave/replica/proposal.h"

namespace conclave::replica {

// Gathers what leases ask of the log: renewals that wait together travel in one entry, and so do
// expiries; of each kind one entry is under way at a time, and between the beginnings of two with
// renewals lies a pause. The next batch forms meanwhile, so that a hundred thousand leases cost a
// few dozen entries a second however their clients time themselves; a renewal that comes alone
// waits for nothing.
class LeaseKeeper {
 public:
  struct Renewal {
    RequestId id = 0;
    std::int64_t lease = 0;
    etcdserverpb::LeaseKeepAliveResponse* response = nullptr;
    Instant deadline{};
  };

  void add(const Renewal& renewal) { waiting_.push_back(renewal); }

  // The entry for everything that waits, or nothing while one is under way or in the pause.
  std::optional<LeaseRenew> begin_renewal(std::uint64_t sequence, Instant now) {
    const auto due = next_renewal();
    if (!due || *due > now) return std::nullopt;
    renewal_sequence_ = sequence;
    begun_ = now;
    pause_until_ = now + kRenewalPause;
    under_way_.swap(waiting_);
    LeaseRenew renew;
    renew.mutable_ids()->Reserve(static_cast<int>(under_way_.size()));
    for (const Renewal& renewal : under_way_) renew.add_ids(renewal.lease);
    return renew;
  }
  // When the entry under way was begun, if there is one.
  std::optional<Instant> renewal_begun() const {
    return renewal_sequence_ == 0 ? std::nullopt : std::optional(begun_);
  }
  bool is_renewing(std::uint64_t sequence) const {
    return renewal_sequence_ != 0 && renewal_sequence_ == sequence;
  }
  // When begin_renewal() has something to give, as far as that is known.
  std::optional<Instant> next_renewal() const {
    if (renewal_sequence_ != 0 || waiting_.empty()) return std::nullopt;
    return pause_until_;
  }
  // The renewals of the entry that was applied, in the order of its ids; empty if it was not ours.
  std::vector<Renewal> finish_renewal(std::uint64_t sequence) {
    if (sequence != renewal_sequence_) return {};
    renewal_sequence_ = 0;
    return std::exchange(under_way_, {});
  }

  bool may_expire() const { return expiry_sequence_ == 0; }
  void begin_expiry(std::uint64_t sequence) { expiry_sequence_ = sequence; }
  void finish_expiry(std::uint64_t sequence) {
    if (sequence == expiry_sequence_) expiry_sequence_ = 0;
  }

  // The entry under way may never come back: its renewals go into the next one. To renew twice does
  // no harm.
  void restart() {
    waiting_.insert(waiting_.begin(), under_way_.begin(), under_way_.end());
    under_way_.clear();
    renewal_sequence_ = 0;
    expiry_sequence_ = 0;
  }

  // Time is lost: the entries under way may never come back.
  std::vector<RequestId> take_all() {
    std::vector<RequestId> all;
    for (const Renewal& renewal : under_way_) all.push_back(renewal.id);
    for (const Renewal& renewal : waiting_) all.push_back(renewal.id);
    under_way_.clear();
    waiting_.clear();
    renewal_sequence_ = 0;
    expiry_sequence_ = 0;
    return all;
  }
  bool overdue(Instant now) const {
    return (!under_way_.empty() && under_way_.front().deadline <= now) ||
           (!waiting_.empty() && waiting_.front().deadline <= now);
  }
  bool idle() const { return waiting_.empty() && under_way_.empty(); }
  std::size_t size() const { return waiting_.size() + under_way_.size(); }

 private:
  // Nothing beside the shortest time to live, which is a second.
  static constexpr Duration kRenewalPause = std::chrono::milliseconds(20);

  std::vector<Renewal> waiting_;
  std::vector<Renewal> under_way_;
  std::uint64_t renewal_sequence_ = 0;  // 0: none under way
  std::uint64_t expiry_sequence_ = 0;
  Instant begun_{};
  Instant pause_until_{};
};

}  // namespace conclave::replica
