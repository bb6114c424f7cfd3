#include "tests/sim/watch_clients.h"

#include <algorithm>
#include <utility>

namespace conclave::sim {

using namespace std::chrono_literals;

WatchClient::WatchClient(Cluster& cluster, std::string prefix)
    : cluster_(cluster), prefix_(std::move(prefix)), prefix_end_(prefix_) {
  ++prefix_end_.back();
}

void WatchClient::start() {
  cluster_.world().after(cluster_.world().between(1ms, 500ms), [this] { open(); });
}

void WatchClient::open() {
  SimNode& node = cluster_.any_node();
  if (node.state() == SimNode::State::stopped) return start();
  node_ = &node;
  const std::uint64_t turn = ++turn_;
  stream_ = node.open_stream({[this, turn](const etcdserverpb::WatchResponse& response) {
                                if (turn == turn_) on_response(response);
                              },
                              [this, turn] {
                                if (turn != turn_) return;
                                node_ = nullptr;
                                start();
                              }});
  etcdserverpb::WatchCreateRequest request;
  request.set_key(prefix_);
  request.set_range_end(prefix_end_);
  request.set_start_revision(next_);
  request.set_prev_kv(cluster_.world().chance(1, 3));
  request.set_progress_notify(cluster_.world().chance(1, 2));
  request.set_fragment(false);
  node.create_watch(stream_, std::move(request));
  cluster_.world().after(cluster_.world().between(500ms, 8s), [this, turn] {
    if (turn != turn_ || node_ == nullptr) return;
    if (cluster_.world().chance(1, 2)) node_->request_progress(stream_);
    // A member that is cut off, or paused, tells nothing: the client goes elsewhere at last.
    cluster_.world().after(cluster_.world().between(100ms, 3s), [this, turn] {
      if (turn == turn_ && node_ != nullptr && !stopped_) leave();
    });
  });
}

void WatchClient::leave() {
  ++turn_;
  node_->close_stream(stream_);
  node_ = nullptr;
  start();
}

void WatchClient::on_response(const etcdserverpb::WatchResponse& response) {
  Trace& trace = cluster_.trace();
  if (response.canceled()) {
    const std::int64_t compacted = response.compact_revision();
    if (compacted == 0) {
      trace.note("a watch was cancelled: ", response.cancel_reason());
    } else if (compacted <= next_ ||
               compacted > cluster_.ledger().witness().store().compact_revision()) {
      trace.violation("a watch from ", next_, " was told of a compaction at ", compacted);
    } else {
      next_ = compacted;
    }
    return leave();
  }
  if (response.created()) return;
  if (!response.events().empty()) return check_events(response);
  // Progress: everything up to the header's revision was told.
  const auto& history = cluster_.ledger().events();
  for (auto at = history.lower_bound(next_);
       at != history.end() && at->first <= response.header().revision(); ++at) {
    if (std::ranges::none_of(at->second->events, [&](const auto& event) { return matches(event); }))
      continue;
    return trace.violation("a watch was told of progress to ", response.header().revision(),
                           ", and not of revision ", at->first);
  }
  next_ = std::max(next_, response.header().revision() + 1);
}

void WatchClient::check_events(const etcdserverpb::WatchResponse& response) {
  const std::int64_t last = response.events().rbegin()->kv().mod_revision();
  const auto& history = cluster_.ledger().events();
  int told = 0;
  bool same = true;
  for (auto at = history.lower_bound(next_); at != history.end() && at->first <= last; ++at) {
    for (const mvccpb::Event& event : at->second->events) {
      if (!matches(event)) continue;
      same = same && told < response.events_size() &&
             response.events(told).type() == event.type() &&
             response.events(told).kv().SerializeAsString() == event.kv().SerializeAsString();
      if (same && response.events(told).has_prev_kv()) check_previous(response.events(told));
      ++told;
    }
  }
  if (!same || told != response.events_size() || last < next_) {
    cluster_.trace().violation("a watch of ", prefix_, " from ", next_, " was told ",
                               response.events_size(), " events up to ", last,
                               ", which are not those of the history (", told, ")");
  }
  event_count_ += static_cast<std::uint64_t>(response.events_size());
  next_ = std::max(next_, last + 1);
}

void WatchClient::check_previous(const mvccpb::Event& event) const {
  const auto* before = cluster_.ledger().at(event.kv().key(), event.kv().mod_revision() - 1);
  if (before != nullptr && before->SerializeAsString() == event.prev_kv().SerializeAsString()) {
    return;
  }
  cluster_.trace().violation("a watch was told a wrong value before revision ",
                             event.kv().mod_revision());
}

void WatchClient::check_complete() const {
  const auto& history = cluster_.ledger().events();
  for (auto at = history.lower_bound(next_); at != history.end(); ++at) {
    for (const mvccpb::Event& event : at->second->events) {
      if (!matches(event)) continue;
      return cluster_.trace().violation("a watch of ", prefix_, " was never told of revision ",
                                        at->first, (node_ == nullptr ? ", it has no stream" : ""));
    }
  }
}

}  // namespace conclave::sim
