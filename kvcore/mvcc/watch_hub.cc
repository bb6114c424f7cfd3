#include "conclave/mvcc/watch_hub.h"

#include <algorithm>
#include <utility>

#include "conclave/base/check.h"
#include "conclave/base/planted_bugs.h"

namespace conclave::mvcc {

namespace {

// About what a revision takes: its events as objects and encoded.
std::uint64_t memory_of(const RevisionEvents& events) {
  constexpr std::uint64_t kPerRevision = 512;
  return kPerRevision + 2 * events.byte_count;
}

}  // namespace

bool empty_range(std::string_view key, std::string_view range_end) {
  return KeyRange(key, range_end).is_empty();
}

bool WatchSpec::wants(const mvccpb::Event& event) const {
  const bool deletion = event.type() == mvccpb::Event::DELETE;
  return !(deletion ? no_delete : no_put) && KeyRange(key, range_end).contains(event.kv().key());
}

// Lagging: its events from `next` on are read from the store, and notify() passes it by. Otherwise
// every revision from `next` on that it wants goes to `pending`. Whatever is pending comes before
// `next`, or the watcher is not lagging. Pending revisions that have left recent_ make it lag.
struct WatchHub::Watcher {
  WatcherId id;
  WatchSpec spec;
  std::int64_t next = 0;
  bool lagging = false;
  bool announced = false;             // in ready_, or the consumer knows that there is more
  std::vector<std::int64_t> pending;  // ascending

  std::vector<std::uint32_t> select(const RevisionEvents& events) const {
    std::vector<std::uint32_t> selected;
    for (std::uint32_t i = 0; i < events.events.size(); ++i) {
      if (spec.wants(events.events[i])) selected.push_back(i);
    }
    if (CONCLAVE_PLANTED(last_event_lost) && selected.size() > 1) selected.pop_back();
    return selected;
  }
  // Of events whose keys the index has found to be in the range.
  bool wants_any(const RevisionEvents& events) const {
    if (!spec.no_put && !spec.no_delete) return true;
    return std::any_of(events.events.begin(), events.events.end(),
                       [this](const mvccpb::Event& event) { return spec.wants(event); });
  }
};

// All revisions in [from, next) that the store still has.
struct WatchHub::Page {
  std::int64_t from = 0;
  std::int64_t next = 0;
  std::vector<SharedEvents> revisions;

  bool has(std::int64_t revision) const { return from <= revision && revision < next; }
};

WatchHub::WatchHub(const Store& store, WatchHubOptions options)
    : store_(store), options_(options), routed_(store.current_revision()) {}

WatchHub::~WatchHub() = default;

void WatchHub::announce(Watcher& watcher) {
  if (watcher.announced) return;
  watcher.announced = true;
  ready_.push_back(watcher.id);
}

void WatchHub::add(WatcherId id, WatchSpec spec) {
  if (spec.key.empty()) spec.key.assign(1, '\0');
  CONCLAVE_CHECK(!empty_range(spec.key, spec.range_end), "a watcher of no key");
  auto watcher = std::make_unique<Watcher>();
  watcher->id = id;
  watcher->spec = std::move(spec);
  const std::int64_t current = store_.current_revision();
  const std::int64_t start = watcher->spec.start_revision;
  watcher->next = start > 0 ? start : current + 1;
  set_lagging(*watcher, watcher->next <= current);
  if (watcher->lagging) announce(*watcher);
  index_.add(id, watcher->spec.key, watcher->spec.range_end);
  const bool is_new = watchers_.emplace(id, std::move(watcher)).second;
  CONCLAVE_CHECK(is_new, "a watcher id was used twice");
}

bool WatchHub::remove(WatcherId id) {
  const auto it = watchers_.find(id);
  if (it == watchers_.end()) return false;
  index_.remove(id, it->second->spec.key, it->second->spec.range_end);
  set_lagging(*it->second, false);
  watchers_.erase(it);
  return true;
}

void WatchHub::set_lagging(Watcher& watcher, bool lagging) {
  if (watcher.lagging == lagging) return;
  watcher.lagging = lagging;
  lagging_count_ += lagging ? 1 : -1;
  if (lagging_count_ == 0) pages_.clear();
}

void WatchHub::keep_recent(const SharedEvents& events) {
  if (!recent_.empty() && recent_.back() == events) return;
  recent_.push_back(events);
  recent_bytes_ += memory_of(*events);
  while (recent_.size() > 1 && recent_bytes_ > options_.max_recent_bytes) {
    recent_bytes_ -= memory_of(*recent_.front());
    recent_.pop_front();
  }
}

const SharedEvents* WatchHub::find_recent(std::int64_t revision) const {
  const auto found = std::lower_bound(
      recent_.begin(), recent_.end(), revision,
      [](const SharedEvents& events, std::int64_t wanted) { return events->revision < wanted; });
  return found != recent_.end() && (*found)->revision == revision ? &*found : nullptr;
}

void WatchHub::notify(const SharedEvents& events) {
  if (!events) return;
  CONCLAVE_CHECK(events->revision > routed_, "revisions must come in order");
  routed_ = events->revision;
  found_.clear();
  for (const mvccpb::Event& event : events->events) {
    index_.find(event.kv().key(), events->revision, found_);
  }
  if (events->events.size() > 1) std::sort(found_.begin(), found_.end());
  for (const WatcherId id : found_) {
    Watcher& watcher = *watchers_.at(id);
    if (watcher.lagging || events->revision < watcher.next || !watcher.wants_any(*events)) continue;
    if (watcher.pending.size() >= options_.max_pending_revisions) {
      set_lagging(watcher, true);
      watcher.next = events->revision + (CONCLAVE_PLANTED(overflow_loses_revision) ? 1 : 0);
    } else {
      keep_recent(events);
      watcher.pending.push_back(events->revision);
    }
    announce(watcher);
  }
}

void WatchHub::store_replaced() {
  pages_.clear();
  for (auto& [id, watcher] : watchers_) {
    if (!watcher->lagging) {
      if (!watcher->pending.empty()) {
        watcher->next = watcher->pending.front();
        watcher->pending = {};
      } else {
        watcher->next = std::max(watcher->next, routed_ + 1);
      }
    }
    set_lagging(*watcher, watcher->next <= store_.current_revision());
    if (watcher->lagging) announce(*watcher);
  }
  routed_ = store_.current_revision();
}

std::vector<WatcherId> WatchHub::take_ready() {
  std::vector<WatcherId> ready;
  ready.swap(ready_);
  std::erase_if(ready, [this](WatcherId id) { return !watchers_.contains(id); });
  return ready;
}

void WatchHub::take_pending(Watcher& watcher, Bounds bounds, WatchDelivery& delivery) {
  std::vector<std::int64_t>& pending = watcher.pending;
  std::size_t taken = 0;
  std::uint64_t bytes = 0;
  delivery.pieces.reserve(std::min(bounds.revisions, pending.size()));
  for (; taken < pending.size() && taken < bounds.revisions && bytes < bounds.bytes; ++taken) {
    const SharedEvents* events = find_recent(pending[taken]);
    // The oldest go first, so it is the first or none.
    if (events == nullptr) return give_back(watcher.id, pending[taken]);
    bytes += (*events)->byte_count;
    delivery.events_examined += (*events)->events.size();
    delivery.pieces.push_back({*events, watcher.select(**events)});
  }
  pending.erase(pending.begin(), pending.begin() + static_cast<std::ptrdiff_t>(taken));
  // Few watchers ever have much waiting, and they must not keep the room for it.
  if (pending.empty() && pending.capacity() > 16) pending.shrink_to_fit();
}

// The store is asked only for what no page holds. Pages are history, which does not change: a
// compaction takes records from it that no watcher from its revision on is given.
std::shared_ptr<const WatchHub::Page> WatchHub::page_at(std::int64_t revision,
                                                        WatchDelivery& delivery) {
  for (auto page = pages_.begin(); page != pages_.end(); ++page) {
    if (!(*page)->has(revision)) continue;
    std::rotate(pages_.begin(), page, page + 1);
    return pages_.front();
  }
  api::Reply<Store::EventPage> read =
      store_.events_from(revision, options_.max_step_revisions, options_.max_step_bytes);
  if (!read) return nullptr;
  auto page = std::make_shared<Page>(Page{revision, read->next, std::move(read->revisions)});
  delivery.revisions_read = page->revisions.size();
  for (const SharedEvents& events : page->revisions) delivery.bytes_read += events->byte_count;
  if (pages_.size() >= options_.max_pages) pages_.pop_back();
  pages_.push_front(page);
  return page;
}

bool WatchHub::needs_storage(WatcherId id) const {
  const auto it = watchers_.find(id);
  if (it == watchers_.end()) return false;
  const Watcher& watcher = *it->second;
  return watcher.pending.empty() && watcher.lagging && watcher.next >= store_.compact_revision() &&
         std::ranges::none_of(pages_, [&](const auto& page) { return page->has(watcher.next); });
}

void WatchHub::catch_up(Watcher& watcher, Bounds bounds, WatchDelivery& delivery) {
  delivery.caught_up_from_store = true;
  if (watcher.next < store_.compact_revision()) {
    delivery.compact_revision = store_.compact_revision();
    return;
  }
  const std::shared_ptr<const Page> page = page_at(watcher.next, delivery);
  if (!page) return;
  auto events = std::lower_bound(
      page->revisions.begin(), page->revisions.end(), watcher.next,
      [](const SharedEvents& held, std::int64_t wanted) { return held->revision < wanted; });
  std::uint64_t bytes = 0;
  for (; events != page->revisions.end(); ++events) {
    if (delivery.pieces.size() >= bounds.revisions || bytes >= bounds.bytes) break;
    delivery.events_examined += (*events)->events.size();
    std::vector<std::uint32_t> selected = watcher.select(**events);
    if (selected.empty()) continue;
    bytes += (*events)->byte_count;
    delivery.pieces.push_back({*events, std::move(selected)});
  }
  watcher.next = events != page->revisions.end() ? (*events)->revision : page->next;
  if (CONCLAVE_PLANTED(catch_up_skips_revision)) ++watcher.next;
  set_lagging(watcher, watcher.next <= store_.current_revision());
}

WatchDelivery WatchHub::take(WatcherId id, std::size_t max_revisions, std::uint64_t max_bytes) {
  CONCLAVE_CHECK(max_revisions > 0, "nothing can be taken");
  WatchDelivery delivery;
  delivery.store_revision = store_.current_revision();
  const auto it = watchers_.find(id);
  if (it == watchers_.end()) return delivery;
  Watcher& watcher = *it->second;
  if (!watcher.pending.empty()) {
    take_pending(watcher, {max_revisions, max_bytes}, delivery);
  } else if (watcher.lagging) {
    catch_up(watcher, {max_revisions, max_bytes}, delivery);
    if (delivery.compact_revision != 0) {
      remove(id);
      return delivery;
    }
  }
  delivery.more = (watcher.lagging && !store_.failure()) || !watcher.pending.empty();
  if (!delivery.more) watcher.announced = false;
  return delivery;
}

void WatchHub::give_back(WatcherId id, std::int64_t revision) {
  const auto it = watchers_.find(id);
  if (it == watchers_.end()) return;
  Watcher& watcher = *it->second;
  watcher.pending = {};
  watcher.next = revision;
  watcher.announced = true;
  set_lagging(watcher, true);
}

std::optional<std::int64_t> WatchHub::progress_revision(WatcherId id) const {
  const auto it = watchers_.find(id);
  if (it == watchers_.end()) return std::nullopt;
  const Watcher& watcher = *it->second;
  if (CONCLAVE_PLANTED(progress_overtakes_events)) return routed_;
  if (watcher.lagging || !watcher.pending.empty() || watcher.next > routed_ + 1) {
    return std::nullopt;
  }
  return routed_;
}

const WatchSpec* WatchHub::spec(WatcherId id) const {
  const auto it = watchers_.find(id);
  return it != watchers_.end() ? &it->second->spec : nullptr;
}

}  // namespace conclave::mvcc
