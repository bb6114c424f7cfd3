#include "conclave/mvcc/watch_hub.h"

#include <algorithm>
#include <utility>

#include "conclave/base/check.h"

namespace conclave::mvcc {

bool empty_range(std::string_view key, std::string_view range_end) {
  return KeyRange(key, range_end).is_empty();
}

std::uint64_t append_events(const WatchPiece& piece, const WatchSpec& spec, const Store& store,
                            etcdserverpb::WatchResponse& response, std::uint64_t bytes_max) {
  constexpr std::uint64_t kOverheadBytes = 64;  // of the wire, beside keys and values
  const auto bytes_of = [](const mvccpb::KeyValue& record) {
    return record.key().size() + record.value().size() + kOverheadBytes;
  };
  std::uint64_t bytes = 0;
  for (const std::uint32_t i : piece.selected) {
    mvccpb::Event& event = *response.add_events();
    event = piece.events->events[i];
    bytes += bytes_of(event.kv());
    // Also when the same revision has deleted the key just before, a creation has none.
    const bool creates = event.kv().create_revision() == event.kv().mod_revision();
    if (spec.prev_kv && !creates) {
      if (auto previous = store.value_before(event.kv().key(), piece.events->revision)) {
        event.mutable_prev_kv()->Swap(&*previous);
        bytes += bytes_of(event.prev_kv());
      }
    }
    if (bytes > bytes_max) break;
  }
  return bytes;
}

bool WatchSpec::wants(const mvccpb::Event& event) const {
  const bool deletion = event.type() == mvccpb::Event::DELETE;
  return !(deletion ? no_delete : no_put) && KeyRange(key, range_end).contains(event.kv().key());
}

// Lagging: its events from `next` on are read from the store, and notify() passes it by. Otherwise
// every revision from `next` on that it wants goes to `pending`. Whatever is pending comes before
// `next`, or the watcher is not lagging.
struct WatchHub::Watcher {
  WatcherId id;
  WatchSpec spec;
  std::int64_t next = 0;
  bool lagging = false;
  bool announced = false;  // in ready_, or the consumer knows that there is more
  std::vector<SharedEvents> pending;
  std::uint64_t pending_bytes = 0;

  std::vector<std::uint32_t> select(const RevisionEvents& events) const {
    std::vector<std::uint32_t> selected;
    for (std::uint32_t i = 0; i < events.events.size(); ++i) {
      if (spec.wants(events.events[i])) selected.push_back(i);
    }
    return selected;
  }
  bool wants_any(const RevisionEvents& events) const {
    return std::any_of(events.events.begin(), events.events.end(),
                       [this](const mvccpb::Event& event) { return spec.wants(event); });
  }
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
  watcher->lagging = watcher->next <= current;
  if (watcher->lagging) announce(*watcher);
  index_.add(id, watcher->spec.key, watcher->spec.range_end);
  const bool is_new = watchers_.emplace(id, std::move(watcher)).second;
  CONCLAVE_CHECK(is_new, "a watcher id was used twice");
}

bool WatchHub::remove(WatcherId id) {
  const auto it = watchers_.find(id);
  if (it == watchers_.end()) return false;
  index_.remove(id, it->second->spec.key, it->second->spec.range_end);
  watchers_.erase(it);
  return true;
}

void WatchHub::notify(const SharedEvents& events) {
  if (!events) return;
  CONCLAVE_CHECK(events->revision > routed_, "revisions must come in order");
  routed_ = events->revision;
  found_.clear();
  for (const mvccpb::Event& event : events->events) index_.find(event.kv().key(), found_);
  if (events->events.size() > 1) {
    std::sort(found_.begin(), found_.end());
    found_.erase(std::unique(found_.begin(), found_.end()), found_.end());
  }
  for (const WatcherId id : found_) {
    Watcher& watcher = *watchers_.at(id);
    if (watcher.lagging || events->revision < watcher.next || !watcher.wants_any(*events)) continue;
    if (watcher.pending.size() >= options_.max_pending_revisions ||
        watcher.pending_bytes >= options_.max_pending_bytes) {
      watcher.lagging = true;
      watcher.next = events->revision;
    } else {
      watcher.pending.push_back(events);
      watcher.pending_bytes += events->byte_count;
    }
    announce(watcher);
  }
}

std::vector<WatcherId> WatchHub::take_ready() {
  std::vector<WatcherId> ready;
  ready.swap(ready_);
  std::erase_if(ready, [this](WatcherId id) { return !watchers_.contains(id); });
  return ready;
}

void WatchHub::take_pending(Watcher& watcher, std::size_t max_revisions, WatchDelivery& delivery) {
  const std::size_t count = std::min(max_revisions, watcher.pending.size());
  delivery.pieces.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    SharedEvents& events = watcher.pending[i];
    watcher.pending_bytes -= events->byte_count;
    std::vector<std::uint32_t> selected = watcher.select(*events);
    delivery.pieces.push_back({std::move(events), std::move(selected)});
  }
  watcher.pending.erase(watcher.pending.begin(),
                        watcher.pending.begin() + static_cast<std::ptrdiff_t>(count));
}

void WatchHub::catch_up(Watcher& watcher, std::size_t max_revisions, WatchDelivery& delivery) {
  delivery.caught_up_from_store = true;
  const std::size_t max_step = std::min(max_revisions, options_.max_step_revisions);
  api::Reply<Store::EventPage> page =
      store_.events_from(watcher.next, max_step, options_.max_step_bytes);
  if (!page) {
    if (page.error() == api::Refusal::compacted) {
      delivery.compact_revision = store_.compact_revision();
    }
    return;
  }
  watcher.next = page->next;
  watcher.lagging = watcher.next <= store_.current_revision();
  for (SharedEvents& events : page->revisions) {
    std::vector<std::uint32_t> selected = watcher.select(*events);
    if (!selected.empty()) delivery.pieces.push_back({std::move(events), std::move(selected)});
  }
}

WatchDelivery WatchHub::take(WatcherId id, std::size_t max_revisions) {
  CONCLAVE_CHECK(max_revisions > 0, "nothing can be taken");
  WatchDelivery delivery;
  delivery.store_revision = store_.current_revision();
  const auto it = watchers_.find(id);
  if (it == watchers_.end()) return delivery;
  Watcher& watcher = *it->second;
  if (!watcher.pending.empty()) {
    take_pending(watcher, max_revisions, delivery);
  } else if (watcher.lagging) {
    catch_up(watcher, max_revisions, delivery);
    if (delivery.compact_revision != 0) {
      remove(id);
      return delivery;
    }
  }
  delivery.more = (watcher.lagging && !store_.failure()) || !watcher.pending.empty();
  if (!delivery.more) watcher.announced = false;
  return delivery;
}

std::optional<std::int64_t> WatchHub::progress_revision(WatcherId id) const {
  const auto it = watchers_.find(id);
  if (it == watchers_.end()) return std::nullopt;
  const Watcher& watcher = *it->second;
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
