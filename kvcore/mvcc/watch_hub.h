#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "conclave/mvcc/events.h"
#include "conclave/mvcc/store.h"
#include "conclave/mvcc/watcher_index.h"

namespace conclave::mvcc {

// What a watcher asked for; the fields of etcdserverpb.WatchCreateRequest.
struct WatchSpec {
  std::string key;                  // empty: from the first key on, as "\0"
  std::string range_end;            // as in a RangeRequest: empty is one key, "\0" is no end
  std::int64_t start_revision = 0;  // 0 or below: the next change
  bool no_put = false;
  bool no_delete = false;
  bool prev_kv = false;
  bool progress_notify = false;
  bool fragment = false;

  friend bool operator==(const WatchSpec&, const WatchSpec&) = default;
  bool wants(const mvccpb::Event& event) const;
};

// One revision's events for one watcher.
struct WatchPiece {
  SharedEvents events;
  std::vector<std::uint32_t> selected;  // indices into events->events, ascending; never empty
};

// What take() gives.
struct WatchDelivery {
  std::vector<WatchPiece> pieces;  // by revision, ascending
  bool caught_up_from_store = false;
  // What was read from the storage for it, and not found among what others had read.
  std::size_t revisions_read = 0;
  std::uint64_t bytes_read = 0;
  // How many events were looked at, wanted or not.
  std::size_t events_examined = 0;
  // For the response's header: of a catch-up the store's revision; of live pieces take the last
  // one's own.
  std::int64_t store_revision = 0;
  // Not 0: the watcher's next revision is compacted; nothing more comes and the watcher is gone.
  std::int64_t compact_revision = 0;
  // There is more to take now; the watcher will not be announced again for it.
  bool more = false;
};

struct WatchHubOptions {
  // What may wait for a watcher before it falls back to reading from the store.
  std::size_t max_pending_revisions = 1000;
  // What may wait for all watchers together; the oldest revisions go first.
  std::uint64_t max_recent_bytes = 32 << 20;
  // Of one catch-up step.
  std::size_t max_step_revisions = 1000;
  std::uint64_t max_step_bytes = 2 << 20;
  // Steps that are kept for others who catch up at about the same revisions.
  std::size_t max_pages = 8;
};

// Routes every revision's events to the watchers that want them.
//
// What a watcher gets is ordered, unique, complete from its start revision on, never a part of a
// revision, and resumable: a new watcher that starts after the last revision received goes on
// seamlessly.
//
// A watcher that starts in the past, or whose consumer is slow, reads from the store until it has
// caught up; so a slow consumer costs bounded memory and loses nothing, unless the store is
// compacted meanwhile: then it is told so. Memory is bounded for all together: a revision waits
// once however many watchers want it, and those who catch up side by side share what is read. The
// consumer sets the pace:
//
//   hub.notify(applied.events);                   // after every change, in order
//   for (WatcherId id : hub.take_ready()) …       // these have something; each is named once
//   WatchDelivery delivery = hub.take(id, 100);   // when its stream can be written
//   if (delivery.more) …                          // take again when it can be written again
//
// Threads: one, the store's. Lifetime: made after store.load(); the store must outlive the hub.
// Blocks only in storage reads; if one fails, deliveries are empty and store.failure() says so.
class WatchHub {
 public:
  explicit WatchHub(const Store& store, WatchHubOptions options = {});
  ~WatchHub();
  WatchHub(const WatchHub&) = delete;
  WatchHub& operator=(const WatchHub&) = delete;

  // `id` is the caller's and above all that were used before. The range must not be empty (see
  // empty_range()).
  void add(WatcherId id, WatchSpec spec);
  // False if there is no such watcher. Also after its compacted notice.
  bool remove(WatcherId id);
  std::size_t size() const { return watchers_.size(); }

  void notify(const SharedEvents& events);
  // The store has taken over a later state: what lies between is read from there, as far as it is
  // not compacted.
  void store_replaced();

  // The watchers that have something to take (or to catch up on) since the last call, each once.
  std::vector<WatcherId> take_ready();
  bool has_ready() const { return !ready_.empty(); }

  // At most `max_revisions` (above 0), and not many more than `max_bytes`. No pieces and `more`: a
  // catch-up step found nothing for this watcher. No such watcher, or nothing for it: an empty
  // delivery.
  WatchDelivery take(WatcherId id, std::size_t max_revisions, std::uint64_t max_bytes = UINT64_MAX);
  // Whether take() would read from the storage, which takes longer than all else here.
  bool needs_storage(WatcherId id) const;
  // What take() gave from `revision` on was not sent: it will be given again. The watcher is not
  // announced for it, as if `more` had been said.
  void give_back(WatcherId id, std::int64_t revision);

  // The revision up to which the watcher has been given everything; empty while it has something to
  // take, or waits for a start revision in the future. What a progress notification may say.
  std::optional<std::int64_t> progress_revision(WatcherId id) const;
  const WatchSpec* spec(WatcherId id) const;  // null if there is no such watcher

 private:
  struct Watcher;
  struct Page;
  struct Bounds {
    std::size_t revisions;
    std::uint64_t bytes;
  };
  void announce(Watcher& watcher);
  void set_lagging(Watcher& watcher, bool lagging);
  void keep_recent(const SharedEvents& events);
  const SharedEvents* find_recent(std::int64_t revision) const;
  void take_pending(Watcher& watcher, Bounds bounds, WatchDelivery& delivery);
  void catch_up(Watcher& watcher, Bounds bounds, WatchDelivery& delivery);
  std::shared_ptr<const Page> page_at(std::int64_t revision, WatchDelivery& delivery);

  const Store& store_;
  WatchHubOptions options_;
  WatcherIndex index_;
  std::unordered_map<WatcherId, std::unique_ptr<Watcher>> watchers_;
  std::vector<WatcherId> ready_;
  std::vector<WatcherId> found_;  // of notify(), kept for its memory
  // The last revisions that some watcher was to get live, ascending: what is pending lies here.
  std::deque<SharedEvents> recent_;
  std::uint64_t recent_bytes_ = 0;
  std::deque<std::shared_ptr<const Page>> pages_;  // the last used first; none if nobody lags
  std::size_t lagging_count_ = 0;
  std::int64_t routed_;  // the last revision that went to the watchers that are not lagging
};

// No key can be in it: `range_end` is not empty, not "\0", and not above `key`.
bool empty_range(std::string_view key, std::string_view range_end);

}  // namespace conclave::mvcc
