#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "conclave/base/clock.h"
#include "conclave/base/result.h"
#include "conclave/client/executor.h"
#include "conclave/client/types.h"

namespace conclave {

// What became of a watch. One struct a delivery; which fields mean something follows from `kind`.
struct WatchNotice {
  enum class Kind : std::uint8_t {
    created,    // the watch stands; `revision` is the store's at that time
    events,     // all events of one or more revisions, up to `revision`; none is ever split
    progress,   // everything up to `revision` has been delivered
    compacted,  // events were lost before `compact_revision`; the watch has ended: read again
    failed,     // the watch has ended for another reason, in `error`
  };
  Kind kind = Kind::events;
  std::int64_t revision = 0;
  std::int64_t compact_revision = 0;
  std::vector<Event> events{};
  Error error{};
};

// A running watch. Destroying it ends the watch; nothing is delivered after that.
class WatchHandle {
 public:
  virtual ~WatchHandle() = default;
};

// An acknowledged renewal. The lease was surely alive at the server `ttl` after some instant that
// is not before `sent_at`, so it may be trusted until sent_at + ttl and no longer.
struct Renewal {
  Instant sent_at;
  Duration ttl;
};

struct Grant {
  LeaseId id = 0;
  Duration ttl{};  // what the server gave, which may be more than was asked for
  Instant sent_at;
};

struct LeaseInfo {
  Duration remaining{};  // below 0: there is no such lease
  Duration granted{};
  std::vector<std::string> keys;
};

// Any etcd v3 store, asynchronously: the port on which the recipes run. Implemented by Client over
// channels; a simulation may implement it over a model.
//
// Threads: everything from the executor's tasks. Every callback comes as a task of its own, exactly
// once, never from within the call; after `deadline` at the latest.
//
// Errors of a mutation (put, erase, txn with a write, compact, grant, revoke): Errc::unavailable
// only if it was surely not carried out; Errc::unknown_outcome if it was sent and no answer came.
// A mutation is sent again only if it is proven that the first sending was not carried out. Reads
// are retried at other endpoints until the deadline and end with Errc::unavailable or
// Errc::timed_out. Refusals of the store carry its text.
class Store {
 public:
  template <class T>
  using Done = std::function<void(Result<T>)>;

  virtual ~Store() = default;

  virtual Executor& executor() = 0;

  virtual void get(Get get, Instant deadline, Done<GetResult> done) = 0;
  virtual void put(Put put, Instant deadline, Done<PutResult> done) = 0;
  virtual void erase(Delete erase, Instant deadline, Done<DeleteResult> done) = 0;
  virtual void txn(Txn txn, Instant deadline, Done<TxnResult> done) = 0;
  // Returns the store's revision.
  virtual void compact(std::int64_t revision, bool physical, Instant deadline,
                       Done<std::int64_t> done) = 0;

  // `id` 0: the server chooses. A chosen id makes a lost grant recognizable: granting it again is
  // refused.
  virtual void grant(Duration ttl, LeaseId id, Instant deadline, Done<Grant> done) = 0;
  virtual void revoke(LeaseId id, Instant deadline, Done<void> done) = 0;
  // One renewal; those of all leases share one stream. Errc::not_found: the lease is gone for good.
  virtual void renew(LeaseId id, Instant deadline, Done<Renewal> done) = 0;
  virtual void lease_info(LeaseId id, bool with_keys, Instant deadline, Done<LeaseInfo> done) = 0;
  virtual void leases(Instant deadline, Done<std::vector<LeaseId>> done) = 0;

  // Resumes by itself, on another endpoint if need be, from the revision after the last one
  // delivered: nothing is lost and nothing comes twice. Ends only with a notice `compacted` or
  // `failed`.
  virtual std::unique_ptr<WatchHandle> watch(Watch watch,
                                             std::function<void(const WatchNotice&)> sink) = 0;
};

}  // namespace conclave
