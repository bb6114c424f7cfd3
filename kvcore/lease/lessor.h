#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "conclave/api/errors.h"
#include "conclave/base/result.h"

namespace conclave::lease {

inline constexpr std::int64_t kMinTtlS = 1;
inline constexpr std::int64_t kMaxTtlS = 9'000'000'000;

struct Granted {
  std::int64_t id = 0;
  std::int64_t ttl_s = 0;  // what was granted; at least kMinTtlS
};

struct Renewed {
  std::int64_t id = 0;
  std::int64_t ttl_s = 0;  // 0: no such lease

  friend bool operator==(const Renewed&, const Renewed&) = default;
};

struct Revoked {
  std::int64_t id = 0;
  std::vector<std::string> keys;  // sorted
};

struct TimeToLive {
  std::int64_t granted_ttl_s = 0;
  std::int64_t remaining_s = 0;   // whole seconds, rounded down; 0 if due
  std::vector<std::string> keys;  // sorted; empty unless asked for
};

// A change to the stored leases; goes to the leases table in the batch that carries the applied
// index.
struct RecordWrite {
  std::string key;                   // the id, 8 bytes, big-endian
  std::optional<std::string> value;  // absent: erase
};

// The leases, as replicated state: grant, renew, revoke and expire are log entries, so that a
// lease's remaining time survives leader changes and restarts.
//
// Caveat: every time here is *cluster time* in milliseconds, the stamp of the log entry being
// applied (or, for questions asked outside apply, the owner's reckoning of it). No clock is read.
// It never goes back.
//
// A lease ends only by revoke() or expire(), never by the mere passing of time: until its expire
// entry is applied it can still be renewed. Since expire() checks each lease against its own
// expiry, a renewal that came first in the log always wins, and a leader that was deposed can end
// nothing.
//
// Deterministic; not thread-safe; does not block. The keys of a lease are not stored with it: they
// are in the key-value records, and attach() is called for each of them after a start.
class Lessor {
 public:
  // Below kMinTtlS (0 and negative too), kMinTtlS is granted. `id` must not be 0: the server draws
  // one before it proposes. Refusals: lease_ttl_too_large, lease_exists.
  api::Reply<Granted> grant(std::int64_t id, std::int64_t ttl_s, std::int64_t now_ms);
  // One answer for each id, in their order.
  std::vector<Renewed> renew(std::span<const std::int64_t> ids, std::int64_t now_ms);
  // The lease is gone; the caller deletes its keys, in one revision. Refusals: lease_not_found.
  api::Reply<Revoked> revoke(std::int64_t id);
  // Ends those of `ids` whose expiry is at or before `now_ms`; the others, and unknown ones, stay
  // as they are. In the order of `ids`.
  std::vector<Revoked> expire(std::span<const std::int64_t> ids, std::int64_t now_ms);

  // Nothing happens for a lease that does not exist, nor for a key that is (not) attached already.
  void attach(std::int64_t id, std::string_view key);
  void detach(std::int64_t id, std::string_view key);

  bool exists(std::int64_t id) const { return leases_.contains(id); }
  std::size_t size() const { return leases_.size(); }
  // Empty: no such lease.
  std::optional<TimeToLive> time_to_live(std::int64_t id, bool with_keys,
                                         std::int64_t now_ms) const;
  std::vector<std::int64_t> ids_by_expiry() const;
  // At most `max` leases whose expiry is at or before `now_ms`, the longest overdue first: what the
  // leader proposes to expire.
  std::vector<std::int64_t> due(std::int64_t now_ms, std::size_t max) const;
  std::optional<std::int64_t> next_expiry_ms() const;

  // The leases that changed since the last call, each once in its latest state, by id.
  std::vector<RecordWrite> take_writes();
  // All of them as they are stored, by id.
  std::vector<RecordWrite> records() const;
  // Puts a stored lease back at start. Errc::corrupt: not a lease record, or of an unknown version.
  Result<void> restore(std::string_view key, std::string_view value);

 private:
  struct Lease {
    std::int64_t granted_ttl_s = 0;
    std::int64_t expiry_ms = 0;
    std::set<std::string, std::less<>> keys;
  };

  static std::string record_of(const Lease& lease);
  Revoked remove(std::unordered_map<std::int64_t, Lease>::iterator lease);

  std::unordered_map<std::int64_t, Lease> leases_;
  std::set<std::pair<std::int64_t, std::int64_t>> by_expiry_;  // (expiry_ms, id)
  std::set<std::int64_t> changed_;
};

}  // namespace conclave::lease
