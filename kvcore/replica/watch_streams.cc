#include "conclave/replica/watch_streams.h"

#include <algorithm>
#include <utility>

#include "conclave/api/errors.h"
#include "conclave/mvcc/event_encoding.h"

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
constexpr std::uint64_t kCostOfEvent = 64;
constexpr std::uint64_t kCostOfCatchUp = kBytesPerCollect / 2;
constexpr std::size_t kRevisionsPerCatchUp = 250;
// What reading history is counted as, about twice what it takes; and how much of that may be spent
// at once after a quiet time.
constexpr Duration kReadingCostOfRevision = std::chrono::microseconds(2);
constexpr std::uint64_t kBytesReadInMicrosecond = 128;
constexpr Duration kReadingCredit = std::chrono::milliseconds(4);
// Answers that wait for a reader before no more of its requests are taken.
constexpr std::size_t kAnswersMax = 64;
constexpr std::string_view kResponseTooLarge =
    "the events of one revision make too large a response; watch with fragments";
// For a watcher that was behind, or whose reader was, when its progress came due.
constexpr Duration kProgressRetry = std::chrono::seconds(1);

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

// Watchers for which this holds are sent the same events, encoded the same way.
bool wants_the_same(const mvcc::WatchSpec& left, const mvcc::WatchSpec& right) {
  return left.key == right.key && left.range_end == right.range_end &&
         left.no_put == right.no_put && left.no_delete == right.no_delete &&
         left.prev_kv == right.prev_kv;
}

// In the header of a response with the pieces up to `piece`.
std::int64_t header_revision(const mvcc::WatchDelivery& taken, const mvcc::WatchPiece& piece) {
  return taken.caught_up_from_store ? taken.store_revision : piece.events->revision;
}

}  // namespace

WatchStreams::WatchStreams(const mvcc::Store& store, WatchLimits limits)
    : store_(store), limits_(limits), hub_(store, {.max_step_revisions = kRevisionsPerCatchUp}) {}

void WatchStreams::activate(StreamId id, Stream& stream) {
  if (std::exchange(stream.active, true)) return;
  active_.push_back(id);
}

void WatchStreams::open(StreamId stream) {
  const bool refused = streams_.size() - refused_streams_ >= limits_.streams_max;
  streams_[stream].refused = refused;
  if (refused) ++refused_streams_;
}

void WatchStreams::close(StreamId stream) {
  const auto found = streams_.find(stream);
  if (found == streams_.end()) return;
  while (!found->second.watchers.empty()) {
    remove(found->second, found->second.watchers.begin()->first);
  }
  if (found->second.refused) --refused_streams_;
  streams_.erase(found);
}

// Where several refusals apply, the first is the one that etcd gives.
std::string_view WatchStreams::refusal_of(const Stream& stream, std::int64_t watch_id,
                                          const WatchCreateRequest& request,
                                          const mvcc::WatchSpec& spec) const {
  if (mvcc::empty_range(spec.key, spec.range_end)) return api::kWatchEmptyRange;
  if (watch_id != 0 && stream.watchers.contains(watch_id)) return api::kWatchDuplicateId;
  if (request.start_revision() < 0) return api::text_of(api::Refusal::compacted).text;
  if (stream.refused) return api::kWatchTooManyStreams;
  if (stream.watchers.size() >= limits_.watchers_per_stream_max) return api::kWatchTooManyWatchers;
  const std::uint64_t key_bytes = key_bytes_ + spec.key.size() + spec.range_end.size();
  if (key_bytes > limits_.key_bytes_max) return api::kWatchTooLongKeys;
  return {};
}

void WatchStreams::create(StreamId stream_id, WatchCreateRequest request) {
  const auto found = streams_.find(stream_id);
  if (found == streams_.end()) return;
  Stream& stream = found->second;
  ++stream.requests_taken;
  activate(stream_id, stream);
  std::int64_t watch_id = request.watch_id();
  mvcc::WatchSpec spec = spec_of(request);
  WatchResponse created;
  created.set_created(true);
  created.mutable_header()->set_revision(store_.current_revision());
  if (const auto reason = refusal_of(stream, watch_id, request, spec); !reason.empty()) {
    created.set_canceled(true);
    created.set_cancel_reason(std::string(reason));
    return answer(stream, kNoWatchId, std::move(created));
  }
  if (watch_id == 0) {
    while (stream.watchers.contains(stream.next_watch_id)) ++stream.next_watch_id;
    watch_id = stream.next_watch_id++;
  }
  answer(stream, watch_id, std::move(created));
  const mvcc::WatcherId watcher = next_watcher_++;
  stream.watchers.emplace(watch_id, watcher);
  Watcher& made = watchers_.emplace(watcher, Watcher{stream_id, watch_id, now_}).first->second;
  made.key_bytes = spec.key.size() + spec.range_end.size();
  key_bytes_ += made.key_bytes;
  if (spec.progress_notify) set_progress_due(watcher, made, now_ + progress_interval_);
  hub_.add(watcher, std::move(spec));
}

void WatchStreams::answer(Stream& stream, std::int64_t watch_id, WatchResponse response) {
  stream.answers.push_back({watch_id, std::move(response), nullptr});
}

void WatchStreams::cancel(StreamId stream_id, std::int64_t watch_id) {
  const auto found = streams_.find(stream_id);
  if (found == streams_.end()) return;
  Stream& stream = found->second;
  ++stream.requests_taken;
  activate(stream_id, stream);
  if (!stream.watchers.contains(watch_id)) return;
  remove(stream, watch_id);
  WatchResponse canceled;
  canceled.set_canceled(true);
  canceled.mutable_header()->set_revision(store_.current_revision());
  answer(stream, watch_id, std::move(canceled));
}

void WatchStreams::remove(Stream& stream, std::int64_t watch_id) {
  const auto found = stream.watchers.find(watch_id);
  if (found == stream.watchers.end()) return;
  hub_.remove(found->second);
  const auto watcher = watchers_.find(found->second);
  progress_due_.erase({watcher->second.progress_due, found->second});
  key_bytes_ -= watcher->second.key_bytes;
  watchers_.erase(watcher);
  stream.watchers.erase(found);
}

void WatchStreams::request_progress(StreamId stream_id) {
  const auto found = streams_.find(stream_id);
  if (found == streams_.end()) return;
  ++found->second.requests_taken;
  found->second.progress_wanted = true;
  activate(stream_id, found->second);
}

void WatchStreams::acknowledge(StreamId stream_id) {
  const auto found = streams_.find(stream_id);
  if (found == streams_.end()) return;
  Stream& stream = found->second;
  stream.unacknowledged = false;
  const bool waits = !stream.answers.empty() || !stream.ready.empty() || stream.progress_wanted;
  if (waits) activate(stream_id, stream);
}

void WatchStreams::tick(Instant now) {
  const bool first = now_ == Instant{};
  now_ = now;
  if (active_.empty() && held_.empty()) forget_long_bodies();
  while (!progress_due_.empty() && progress_due_.begin()->first <= now) {
    const mvcc::WatcherId id = progress_due_.begin()->second;
    progress_due_.erase(progress_due_.begin());
    const auto watcher = watchers_.find(id);
    if (watcher == watchers_.end()) continue;
    Instant& last_sent = watcher->second.last_sent;
    if (first) last_sent = now;
    if (last_sent + progress_interval_ > now) {
      set_progress_due(id, watcher->second, last_sent + progress_interval_);
    } else if (send_progress(id, watcher->second)) {
      last_sent = now;
      set_progress_due(id, watcher->second, now + progress_interval_);
    } else {
      set_progress_due(id, watcher->second, now + kProgressRetry);
    }
  }
}

// Kept for those who come next; nobody does.
void WatchStreams::forget_long_bodies() {
  constexpr std::size_t kLong = 256 << 10;
  for (Encoded& encoded : encoded_) {
    if (encoded.body && encoded.body->size() > kLong) encoded = {};
  }
}

void WatchStreams::set_progress_due(mvcc::WatcherId id, Watcher& watcher, Instant due) {
  watcher.progress_due = due;
  progress_due_.emplace(due, id);
}

// What a stopped reader does not read must not pile up.
bool WatchStreams::send_progress(mvcc::WatcherId id, const Watcher& watcher) {
  const auto revision = hub_.progress_revision(id);
  const auto stream = streams_.find(watcher.stream);
  if (!revision || stream == streams_.end() || stream->second.unacknowledged) return false;
  WatchResponse progress;
  progress.mutable_header()->set_revision(*revision);
  answer(stream->second, watcher.watch_id, std::move(progress));
  activate(watcher.stream, stream->second);
  return true;
}

std::uint64_t WatchStreams::round_bytes() const {
  const std::uint64_t share =
      limits_.bytes_of_all_rounds / std::max<std::size_t>(1, streams_.size());
  return std::clamp(share, std::min(limits_.round_bytes_min, limits_.round_bytes),
                    limits_.round_bytes);
}

void WatchStreams::collect(const HeaderBase& header, Instant now, std::vector<WatchDelivery>& out) {
  header_ = header;
  collecting_at_ = now;
  if (reading_free_at_ <= now) let_held_go_on();
  for (const mvcc::WatcherId id : hub_.take_ready()) {
    const auto watcher = watchers_.find(id);
    if (watcher == watchers_.end()) continue;
    Stream& stream = streams_.at(watcher->second.stream);
    stream.ready.push_back(id);
    activate(watcher->second.stream, stream);
  }
  // Those whose turn does not come are the first next time; those who yield come after them.
  const std::size_t first = out.size();
  std::size_t turns = active_.size();
  for (spent_bytes_ = 0; turns > 0 && spent_bytes_ < kBytesPerCollect; --turns) {
    const StreamId id = active_.front();
    active_.pop_front();
    const auto found = streams_.find(id);
    if (found != streams_.end()) collect_stream(id, found->second, out);
  }
  constexpr std::size_t kMany = 8;
  if (out.size() - first < kMany) return;
  for (std::size_t i = first; i < out.size(); ++i) out[i].batch.one_of_many = true;
}

bool WatchStreams::is_full(const Round& round) const {
  return round.delivery.batch.messages.size() >= limits_.round_responses ||
         round.bytes >= round.bytes_max;
}

void WatchStreams::collect_stream(StreamId id, Stream& stream, std::vector<WatchDelivery>& out) {
  stream.active = false;
  Round round{stream, {id, {}}, round_bytes()};
  bool can_go_on = false;  // at once, and not only when history may be read again
  if (!stream.unacknowledged) {
    while (!is_full(round) && !stream.answers.empty()) {
      Answer answer = std::move(stream.answers.front());
      stream.answers.pop_front();
      if (answer.body) {
        send(round, {answer.watch_id, std::move(answer.body)});
      } else {
        const std::int64_t revision = answer.response.header().revision();
        send(round, encode(answer.watch_id, answer.response, revision));
      }
    }
    while (!is_full(round) && !stream.ready.empty() && spent_bytes_ < kBytesPerCollect) {
      if (!hold_back(round)) take(round);
    }
    can_go_on = !stream.ready.empty();
    stream.ready.insert(stream.ready.end(), round.held.begin(), round.held.end());
    // Whoever is behind is in `ready`; one that waits for a revision to come is not behind.
    if (stream.progress_wanted && stream.ready.empty() && !is_full(round)) {
      stream.progress_wanted = false;
      WatchResponse progress;
      send(round, encode(kNoWatchId, progress, store_.current_revision()));
    }
  }
  if (stream.answers.size() < kAnswersMax) {
    round.delivery.batch.requests_taken = std::exchange(stream.requests_taken, 0);
  }
  if (!round.delivery.batch.messages.empty()) {
    stream.unacknowledged = true;
  } else if (!stream.unacknowledged && !stream.ready.empty()) {
    if (can_go_on) {
      activate(id, stream);
    } else if (!std::exchange(stream.held, true)) {
      held_.push_back(id);
    }
  }
  if (round.delivery.batch.messages.empty() && round.delivery.batch.requests_taken == 0) return;
  out.push_back(std::move(round.delivery));
}

void WatchStreams::send(Round& round, api::WatchMessage message) {
  round.bytes += message.body->size();
  round.delivery.batch.messages.push_back(std::move(message));
}

// Before those that have read meanwhile and want to read on: so all get their turns.
void WatchStreams::let_held_go_on() {
  for (; !held_.empty(); held_.pop_back()) {
    const auto found = streams_.find(held_.back());
    if (found == streams_.end()) continue;
    found->second.held = false;
    if (!std::exchange(found->second.active, true)) active_.push_front(held_.back());
  }
}

// Whether the next watcher must wait for its history; others of the stream go before it.
bool WatchStreams::hold_back(Round& round) {
  std::deque<mvcc::WatcherId>& ready = round.stream.ready;
  if (reading_free_at_ <= collecting_at_ || !hub_.needs_storage(ready.front())) return false;
  round.held.push_back(ready.front());
  ready.pop_front();
  spent_bytes_ += kCostOfEvent;
  return true;
}

void WatchStreams::pay_for_reading(const mvcc::WatchDelivery& taken) {
  if (taken.revisions_read == 0) return;
  const auto revisions = static_cast<Duration::rep>(taken.revisions_read);
  const auto micros = static_cast<Duration::rep>(taken.bytes_read / kBytesReadInMicrosecond);
  reading_free_at_ = std::max(reading_free_at_, collecting_at_ - kReadingCredit) +
                     revisions * kReadingCostOfRevision + std::chrono::microseconds(micros);
}

// Takes what waits for the next watcher and sends of it as much as the round has room for.
void WatchStreams::take(Round& round) {
  Stream& stream = round.stream;
  const mvcc::WatcherId id = stream.ready.front();
  stream.ready.pop_front();
  const auto watcher = watchers_.find(id);
  if (watcher == watchers_.end()) return;  // cancelled since it was announced
  const std::uint64_t bytes_before = round.bytes;
  mvcc::WatchDelivery taken = hub_.take(id, kRevisionsPerTake, round.bytes_max - round.bytes);
  pay_for_reading(taken);
  spent_bytes_ += taken.revisions_read > 0 ? kCostOfCatchUp : kCostOfTake;
  spent_bytes_ += taken.events_examined * kCostOfEvent;
  const std::int64_t watch_id = watcher->second.watch_id;
  if (taken.compact_revision != 0) {
    WatchResponse canceled;
    canceled.set_canceled(true);
    canceled.set_compact_revision(taken.compact_revision);
    send(round, encode(watch_id, canceled, 0));
    progress_due_.erase({watcher->second.progress_due, id});
    // As with etcd its id stays taken until the client, too, cancels it, which is confirmed.
    return;
  }
  bool more = taken.more;
  if (!taken.pieces.empty()) {
    watcher->second.last_sent = now_;
    const mvcc::WatchSpec* spec = hub_.spec(id);
    const std::size_t sent = send_pieces(round, watch_id, *spec, taken);
    if (!watchers_.contains(id)) return;
    if (sent < taken.pieces.size()) {
      hub_.give_back(id, taken.pieces[sent].events->revision);
      more = true;
    }
  }
  spent_bytes_ += round.bytes - bytes_before;
  if (more) stream.ready.push_back(id);
}

const WatchStreams::Encoded* WatchStreams::find_encoded(const mvcc::WatchSpec& spec,
                                                        const mvcc::WatchDelivery& taken) const {
  const std::int64_t first = taken.pieces.front().events->revision;
  const std::int64_t last = taken.pieces.back().events->revision;
  const std::int64_t revision = header_revision(taken, taken.pieces.back());
  for (const Encoded& encoded : encoded_) {
    if (encoded.body && encoded.first_revision == first && encoded.last_revision == last &&
        encoded.header_revision == revision && encoded.header == header_ &&
        wants_the_same(encoded.spec, spec)) {
      return &encoded;
    }
  }
  return nullptr;
}

// Returns how many of the pieces have been sent. A watcher that cannot be sent one is removed.
std::size_t WatchStreams::send_pieces(Round& round, std::int64_t watch_id,
                                      const mvcc::WatchSpec& spec,
                                      const mvcc::WatchDelivery& taken) {
  if (const Encoded* same = spec.fragment ? nullptr : find_encoded(spec, taken)) {
    send(round, {watch_id, same->body});
    return taken.pieces.size();
  }
  std::size_t sent = 0;
  while (sent < taken.pieces.size() && !is_full(round)) {
    mvcc::EncodedEvents events;
    const std::size_t end = gather(taken, sent, spec, round.bytes_max, events);
    WatchResponse response;
    if (end == sent) {
      response.set_canceled(true);
      response.set_cancel_reason(std::string(kResponseTooLarge));
      send(round, encode(watch_id, response, header_revision(taken, taken.pieces[sent])));
      remove(round.stream, watch_id);
      return sent;
    }
    const std::int64_t revision = header_revision(taken, taken.pieces[end - 1]);
    if (spec.fragment && events.bytes.size() > limits_.fragment_bytes) {
      send_fragments(round, watch_id, revision, events);
    } else {
      const api::WatchMessage message = encode(watch_id, response, revision, events.bytes);
      const bool complete = sent == 0 && end == taken.pieces.size();
      if (complete && !spec.fragment) keep_encoded(spec, taken, message.body);
      send(round, message);
    }
    sent = end;
  }
  return sent;
}

// Of the pieces from `begin` on, those that may travel in one response, at least one unless that
// one is too large; returns where the next response begins.
std::size_t WatchStreams::gather(const mvcc::WatchDelivery& taken, std::size_t begin,
                                 const mvcc::WatchSpec& spec, std::uint64_t bytes_wanted,
                                 mvcc::EncodedEvents& events) const {
  const std::uint64_t bytes_max = spec.fragment ? UINT64_MAX : limits_.response_bytes_max;
  std::size_t at = begin;
  for (; at < taken.pieces.size(); ++at) {
    const mvcc::SharedEncoding next =
        mvcc::encode_events(taken.pieces[at], spec, store_, bytes_max);
    const std::uint64_t bytes = events.bytes.size() + next->bytes.size();
    if (next->bytes.size() > bytes_max) break;
    if (at > begin && (events.bytes.size() >= bytes_wanted || bytes > bytes_max)) break;
    const std::size_t offset = events.bytes.size();
    events.bytes += next->bytes;
    for (const std::size_t end : next->ends) events.ends.push_back(offset + end);
  }
  return at;
}

void WatchStreams::keep_encoded(const mvcc::WatchSpec& spec, const mvcc::WatchDelivery& taken,
                                std::shared_ptr<const std::string> body) {
  encoded_[next_encoded_] = {spec,
                             header_,
                             header_revision(taken, taken.pieces.back()),
                             taken.pieces.front().events->revision,
                             taken.pieces.back().events->revision,
                             std::move(body)};
  next_encoded_ = (next_encoded_ + 1) % encoded_.size();
}

// A response that is too large for some readers leaves in parts, if the watcher asked for that; all
// but the last are marked.
void WatchStreams::send_fragments(Round& round, std::int64_t watch_id, std::int64_t revision,
                                  const mvcc::EncodedEvents& events) {
  std::size_t begin = 0;
  for (std::size_t i = 0; i < events.ends.size(); ++i) {
    const bool last = i + 1 == events.ends.size();
    if (!last && events.ends[i + 1] - begin <= limits_.fragment_bytes) continue;
    WatchResponse response;
    response.set_fragment(!last);
    const auto part = std::string_view(events.bytes).substr(begin, events.ends[i] - begin);
    api::WatchMessage message = encode(watch_id, response, revision, part);
    if (is_full(round)) {
      round.stream.answers.push_back({watch_id, {}, std::move(message.body)});
    } else {
      send(round, std::move(message));
    }
    begin = events.ends[i];
  }
}

api::WatchMessage WatchStreams::encode(std::int64_t watch_id, WatchResponse& response,
                                       std::int64_t revision, std::string_view events) const {
  etcdserverpb::ResponseHeader& header = *response.mutable_header();
  header.set_cluster_id(header_.cluster_id);
  header.set_member_id(header_.member_id);
  header.set_raft_term(header_.raft_term);
  header.set_revision(revision);
  auto body = std::make_shared<std::string>();
  body->reserve(response.ByteSizeLong() + events.size());
  response.AppendToString(body.get());
  body->append(events);
  return {watch_id, std::move(body)};
}

}  // namespace conclave::replica
