#include "conclave/replica/watch_streams.h"

#include <algorithm>
#include <utility>

#include "conclave/api/errors.h"

namespace conclave::replica {
namespace {

using etcdserverpb::WatchCreateRequest;
using etcdserverpb::WatchResponse;

constexpr std::int64_t kNoWatchId = -1;
constexpr std::size_t kRevisionsPerTake = 1000;
// What one collect() spends before it yields to writes: the bytes it hands out, and for each look
// into a watcher something more, since reading history that a watcher does not want costs too.
constexpr std::uint64_t kBytesPerCollect = 4 << 20;
constexpr std::uint64_t kCostOfTake = 256;
constexpr std::uint64_t kCostOfCatchUp = kBytesPerCollect / 16;
// The revisions of a catch-up travel together in responses of about this size.
constexpr std::uint64_t kCatchUpResponseBytes = 2 << 20;
constexpr std::string_view kResponseTooLarge =
    "the events of one revision make too large a response; watch with fragments";

// The wire's ways to say "from the first key" and "to the last": an empty key is the lowest one.
mvcc::WatchSpec spec_of(WatchCreateRequest& request) {
  mvcc::WatchSpec spec;
  spec.key = request.key().empty() ? std::string(1, '\0') : std::move(*request.mutable_key());
  spec.range_end = std::move(*request.mutable_range_end());
  spec.start_revision = request.start_revision();
  for (const int filter : request.filters()) {
    spec.no_put = spec.no_put || filter == WatchCreateRequest::NOPUT;
    spec.no_delete = spec.no_delete || filter == WatchCreateRequest::NODELETE;
  }
  spec.prev_kv = request.prev_kv();
  spec.progress_notify = request.progress_notify();
  spec.fragment = request.fragment();
  return spec;
}

}  // namespace

WatchStreams::WatchStreams(const mvcc::Store& store, int window, std::uint64_t fragment_bytes,
                           std::uint64_t response_bytes_max)
    : store_(store),
      window_(window),
      fragment_bytes_(fragment_bytes),
      response_bytes_max_(response_bytes_max),
      hub_(store) {}

void WatchStreams::open(StreamId stream) {
  streams_[stream].credit = window_;
}

void WatchStreams::close(StreamId stream) {
  const auto found = streams_.find(stream);
  if (found == streams_.end()) return;
  for (const auto& [watch_id, watcher] : found->second.watchers) {
    hub_.remove(watcher);
    watchers_.erase(watcher);
  }
  streams_.erase(found);
}

void WatchStreams::create(StreamId stream_id, WatchCreateRequest request) {
  const auto found = streams_.find(stream_id);
  if (found == streams_.end()) return;
  Stream& stream = found->second;
  active_.push_back(stream_id);
  std::int64_t watch_id = request.watch_id();
  mvcc::WatchSpec spec = spec_of(request);
  // Where several refusals apply, the first is the one that etcd gives.
  if (mvcc::empty_range(spec.key, spec.range_end)) {
    refuse_create(stream, api::kWatchEmptyRange);
    return;
  }
  if (watch_id != 0 && stream.watchers.contains(watch_id)) {
    refuse_create(stream, api::kWatchDuplicateId);
    return;
  }
  if (spec.start_revision < 0) {
    refuse_create(stream, api::text_of(api::Refusal::compacted).text);
    return;
  }
  if (watch_id == 0) {
    while (stream.watchers.contains(stream.next_watch_id)) ++stream.next_watch_id;
    watch_id = stream.next_watch_id++;
  }
  const mvcc::WatcherId watcher = next_watcher_++;
  WatchResponse created;
  created.set_watch_id(watch_id);
  created.set_created(true);
  created.mutable_header()->set_revision(store_.current_revision());
  stream.control.push_back(std::move(created));
  stream.watchers.emplace(watch_id, watcher);
  watchers_.emplace(watcher, Watcher{stream_id, watch_id, {}, false});
  hub_.add(watcher, std::move(spec));
}

void WatchStreams::refuse_create(Stream& stream, std::string_view reason) {
  WatchResponse refused;
  refused.set_watch_id(kNoWatchId);
  refused.set_created(true);
  refused.set_canceled(true);
  refused.set_cancel_reason(std::string(reason));
  refused.mutable_header()->set_revision(store_.current_revision());
  stream.control.push_back(std::move(refused));
}

void WatchStreams::cancel(StreamId stream_id, std::int64_t watch_id) {
  const auto found = streams_.find(stream_id);
  if (found == streams_.end() || !found->second.watchers.contains(watch_id)) return;
  remove(found->second, watch_id);
  WatchResponse canceled;
  canceled.set_watch_id(watch_id);
  canceled.set_canceled(true);
  canceled.mutable_header()->set_revision(store_.current_revision());
  found->second.control.push_back(std::move(canceled));
  active_.push_back(stream_id);
}

void WatchStreams::remove(Stream& stream, std::int64_t watch_id) {
  const auto found = stream.watchers.find(watch_id);
  if (found == stream.watchers.end()) return;
  if (stream.taken_by == found->second) {
    stream.taken_by = 0;
    stream.taken = {};
  }
  hub_.remove(found->second);
  watchers_.erase(found->second);
  stream.watchers.erase(found);
}

void WatchStreams::request_progress(StreamId stream_id) {
  const auto found = streams_.find(stream_id);
  if (found == streams_.end()) return;
  found->second.progress_wanted = true;
  active_.push_back(stream_id);
}

void WatchStreams::acknowledge(StreamId stream_id, int count) {
  const auto found = streams_.find(stream_id);
  if (found == streams_.end()) return;
  found->second.credit += count;
  active_.push_back(stream_id);
}

void WatchStreams::tick(Instant now) {
  for (auto& [id, watcher] : watchers_) {
    const mvcc::WatchSpec* spec = hub_.spec(id);
    if (spec == nullptr || !spec->progress_notify) continue;
    if (watcher.last_sent == Instant{} || watcher.sent_since_tick) {
      watcher.last_sent = now;
      watcher.sent_since_tick = false;
    }
    if (now - watcher.last_sent < progress_interval_) continue;
    const auto revision = hub_.progress_revision(id);
    const auto stream = streams_.find(watcher.stream);
    if (!revision || stream == streams_.end()) continue;
    // What was taken is not yet sent, and what a stopped reader does not read must not pile up.
    if (stream->second.credit <= 0 || stream->second.taken_by == id) continue;
    WatchResponse progress;
    progress.set_watch_id(watcher.watch_id);
    progress.mutable_header()->set_revision(*revision);
    stream->second.control.push_back(std::move(progress));
    active_.push_back(watcher.stream);
    watcher.last_sent = now;
  }
}

bool WatchStreams::all_caught_up(const Stream& stream) const {
  if (stream.taken_by != 0) return false;
  return std::all_of(stream.watchers.begin(), stream.watchers.end(), [this](const auto& entry) {
    const bool ended = hub_.spec(entry.second) == nullptr;  // its revision was compacted
    return ended || hub_.progress_revision(entry.second).has_value();
  });
}

void WatchStreams::collect(const HeaderBase& header, std::vector<WatchDelivery>& out) {
  for (const mvcc::WatcherId id : hub_.take_ready()) {
    const auto watcher = watchers_.find(id);
    if (watcher == watchers_.end()) continue;
    streams_[watcher->second.stream].ready.push_back(id);
    active_.push_back(watcher->second.stream);
  }
  // A stream may stand in the list more than once; after the first time it has nothing left to
  // send.
  std::deque<StreamId> active = std::exchange(active_, {});
  for (spent_bytes_ = 0; !active.empty() && spent_bytes_ < kBytesPerCollect; active.pop_front()) {
    const StreamId id = active.front();
    const auto found = streams_.find(id);
    if (found != streams_.end()) collect_stream(id, found->second, header, out);
  }
  // Those whose turn did not come are the first next time.
  active_.insert(active_.begin(), active.begin(), active.end());
}

void WatchStreams::collect_stream(StreamId id, Stream& stream, const HeaderBase& header,
                                  std::vector<WatchDelivery>& out) {
  while (stream.credit > 0 && !stream.control.empty()) {
    WatchResponse response = std::move(stream.control.front());
    stream.control.pop_front();
    send(id, stream, header, std::move(response), out);
  }
  while (stream.credit > 0 && (stream.taken_by != 0 || !stream.ready.empty())) {
    if (spent_bytes_ >= kBytesPerCollect) {
      active_.push_back(id);
      return;
    }
    if (stream.taken_by == 0) take(stream);
    if (stream.taken_by != 0) send_taken(id, stream, header, out);
  }
  if (stream.progress_wanted && stream.credit > 0 && all_caught_up(stream)) {
    stream.progress_wanted = false;
    WatchResponse progress;
    progress.set_watch_id(kNoWatchId);
    progress.mutable_header()->set_revision(store_.current_revision());
    send(id, stream, header, std::move(progress), out);
  }
}

void WatchStreams::take(Stream& stream) {
  const mvcc::WatcherId watcher = stream.ready.front();
  stream.ready.pop_front();
  if (!watchers_.contains(watcher)) return;  // cancelled since it was announced
  stream.taken = hub_.take(watcher, kRevisionsPerTake);
  stream.taken_by = watcher;
  stream.next_piece = 0;
  spent_bytes_ += stream.taken.caught_up_from_store ? kCostOfCatchUp : kCostOfTake;
}

// Sends of what was taken as much as the window and this collect() allow.
void WatchStreams::send_taken(StreamId id, Stream& stream, const HeaderBase& header,
                              std::vector<WatchDelivery>& out) {
  const mvcc::WatchDelivery& taken = stream.taken;
  Watcher& watcher = watchers_.at(stream.taken_by);
  const std::int64_t watch_id = watcher.watch_id;
  const mvcc::WatchSpec* spec = hub_.spec(stream.taken_by);
  const bool fragment = spec != nullptr && spec->fragment;
  const std::uint64_t bytes_max = fragment ? UINT64_MAX : response_bytes_max_;
  while (stream.next_piece < taken.pieces.size()) {
    if (stream.credit <= 0 || spent_bytes_ >= kBytesPerCollect) return;
    WatchResponse response;
    std::uint64_t bytes = 0;
    do {
      const mvcc::WatchPiece& piece = taken.pieces[stream.next_piece++];
      response.mutable_header()->set_revision(taken.caught_up_from_store ? taken.store_revision
                                                                         : piece.events->revision);
      bytes += mvcc::append_events(piece, *spec, store_, response, bytes_max);
    } while (taken.caught_up_from_store && stream.next_piece < taken.pieces.size() &&
             bytes < std::min(kCatchUpResponseBytes, bytes_max));
    spent_bytes_ += bytes;
    watcher.sent_since_tick = true;
    response.set_watch_id(watch_id);
    if (bytes > bytes_max) {
      response.clear_events();
      response.set_canceled(true);
      response.set_cancel_reason(std::string(kResponseTooLarge));
      send(id, stream, header, std::move(response), out);
      return remove(stream, watch_id);
    }
    send_events(id, stream, header, std::move(response), fragment, out);
  }
  if (taken.compact_revision != 0) {
    WatchResponse response;
    response.set_watch_id(watch_id);
    response.set_canceled(true);
    response.set_compact_revision(taken.compact_revision);
    send(id, stream, header, std::move(response), out);
    // As with etcd its id stays taken until the client, too, cancels it, which is confirmed.
  }
  if (taken.more) stream.ready.push_back(stream.taken_by);
  stream.taken_by = 0;
  stream.taken = {};
}

// A response that is too large for some readers leaves in parts, if the watcher asked for that; all
// but the last are marked.
void WatchStreams::send_events(StreamId id, Stream& stream, const HeaderBase& header,
                               WatchResponse response, bool fragment,
                               std::vector<WatchDelivery>& out) {
  if (!fragment || response.ByteSizeLong() <= fragment_bytes_) {
    send(id, stream, header, std::move(response), out);
    return;
  }
  WatchResponse part;
  std::uint64_t part_bytes = 0;
  for (mvccpb::Event& event : *response.mutable_events()) {
    const std::uint64_t event_bytes = event.ByteSizeLong();
    if (part_bytes > 0 && part_bytes + event_bytes > fragment_bytes_) {
      part.set_watch_id(response.watch_id());
      part.mutable_header()->set_revision(response.header().revision());
      part.set_fragment(true);
      send(id, stream, header, std::exchange(part, {}), out);
      part_bytes = 0;
    }
    part.add_events()->Swap(&event);
    part_bytes += event_bytes;
  }
  part.set_watch_id(response.watch_id());
  part.mutable_header()->set_revision(response.header().revision());
  send(id, stream, header, std::move(part), out);
}

void WatchStreams::send(StreamId id, Stream& stream, const HeaderBase& header,
                        WatchResponse response, std::vector<WatchDelivery>& out) {
  response.mutable_header()->set_cluster_id(header.cluster_id);
  response.mutable_header()->set_member_id(header.member_id);
  response.mutable_header()->set_raft_term(header.raft_term);
  if (stream.credit <= 0) {
    stream.control.push_back(std::move(response));
    return;
  }
  --stream.credit;
  out.push_back({id, std::make_shared<const WatchResponse>(std::move(response))});
}

}  // namespace conclave::replica
