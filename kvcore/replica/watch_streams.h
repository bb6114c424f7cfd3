#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "conclave/api/watch_message.h"
#include "conclave/base/clock.h"
#include "conclave/mvcc/watch_hub.h"

namespace conclave::replica {

using StreamId = std::uint64_t;

struct WatchDelivery {
  StreamId stream;
  api::WatchBatch batch;
};

// What stands in every response's header besides the revision.
struct HeaderBase {
  std::uint64_t cluster_id = 0;
  std::uint64_t member_id = 0;
  std::uint64_t raft_term = 0;

  friend bool operator==(const HeaderBase&, const HeaderBase&) = default;
};

struct WatchLimits {
  std::size_t streams_max = 100'000;
  std::size_t watchers_per_stream_max = 100'000;
  // What all watchers' keys and ends of ranges may take.
  std::uint64_t key_bytes_max = 256 << 20;
  // What a stream is given before its reader must have taken it: so many responses, or a little
  // more than so many bytes. With many streams the bytes of one become fewer, so that those of all
  // stay within a bound.
  std::size_t round_responses = 1000;
  std::uint64_t round_bytes = 2 << 20;
  std::uint64_t round_bytes_min = 64 << 10;
  std::uint64_t bytes_of_all_rounds = 256 << 20;
  // A response beyond this is cut for those who ask for fragments.
  std::uint64_t fragment_bytes = 1572864;
  // A protobuf message of 2 GiB cannot be encoded. A watcher whose next revision makes a response
  // beyond this is cancelled, unless it asked for fragments.
  std::uint64_t response_bytes_max = (std::uint64_t{2} << 30) - (1 << 20);
};

// The watch streams of this member: which watchers each has under which id, what each may be sent
// now, and the responses as the wire wants them. mvcc::WatchHub decides what a watcher gets; this
// decides when.
//
// A stream is given one round at a time: responses to whichever of its watchers have something,
// each with all that waits for the watcher. The next round begins when acknowledge() says that the
// last one is written. Meanwhile nothing is taken from the hub, whose watchers fall back to the
// store: a reader that stopped costs a bounded amount of memory, and one that is slow gets fewer
// and larger responses. One collect() hands out a bounded number of bytes, over all streams, and
// history is read from the storage only for a part of the time: however many catch up at once,
// writes come in between.
//
// Requests beyond the limits are answered like other refused creations: created and cancelled, with
// the reason.
//
// Not thread-safe; the replica's thread. Unknown stream ids are ignored: a stream's last calls may
// cross its closing.
class WatchStreams {
 public:
  WatchStreams(const mvcc::Store& store, WatchLimits limits);

  // How long a watcher that asked for signs of progress goes without one; ten minutes unless set.
  void set_progress_interval(Duration interval) { progress_interval_ = interval; }

  void open(StreamId stream);
  void close(StreamId stream);
  // Each of these three is reported once as WatchBatch::requests_taken.
  void create(StreamId stream, etcdserverpb::WatchCreateRequest request);
  void cancel(StreamId stream, std::int64_t watch_id);
  void request_progress(StreamId stream);
  // The messages of all deliveries so far are written.
  void acknowledge(StreamId stream);

  void notify(const mvcc::SharedEvents& events) { hub_.notify(events); }
  void store_replaced() { hub_.store_replaced(); }
  // Periodic progress notifications, for those who asked and had no event for the interval.
  void tick(Instant now);

  // What may go out now, in order, one delivery a stream; has_more() and next_deadline() afterwards
  // tell whether that was all.
  void collect(const HeaderBase& header, Instant now, std::vector<WatchDelivery>& out);

  // A stream yielded and wants collect() to be called again, soon.
  bool has_more() const { return !active_.empty(); }
  // A stream waits for history, which may be read again then.
  std::optional<Instant> next_deadline() const {
    return held_.empty() ? std::nullopt : std::optional(reading_free_at_);
  }

  std::size_t watcher_count() const { return hub_.size(); }

 private:
  struct Watcher {
    StreamId stream = 0;
    std::int64_t watch_id = 0;
    Instant last_sent{};     // by the last tick; zero before the first
    Instant progress_due{};  // as it stands in progress_due_
    std::uint64_t key_bytes = 0;
  };
  // Not sent yet. Its header is completed when it is, unless it is encoded already.
  struct Answer {
    std::int64_t watch_id;
    etcdserverpb::WatchResponse response;
    std::shared_ptr<const std::string> body;
  };
  struct Stream {
    bool refused = false;  // one too many
    bool active = false;   // in active_
    bool held = false;     // in held_, and perhaps in active_, too
    bool unacknowledged = false;
    int requests_taken = 0;  // not reported yet
    std::int64_t next_watch_id = 0;
    std::map<std::int64_t, mvcc::WatcherId> watchers;  // by watch id
    // Created, cancelled, progress, and fragments beyond the round: in order, before all else.
    std::deque<Answer> answers;
    std::deque<mvcc::WatcherId> ready;  // every watcher that is behind, also some cancelled ones
    bool progress_wanted = false;
  };
  // A stream's round while it is put together.
  struct Round {
    Stream& stream;
    WatchDelivery delivery;
    std::uint64_t bytes_max;
    std::uint64_t bytes = 0;
    std::vector<mvcc::WatcherId> held{};  // were looked at and wait for history
  };
  // What a delivery of the hub was encoded to. Watchers that ask for the same and are equally far
  // share it.
  struct Encoded {
    mvcc::WatchSpec spec;
    HeaderBase header;
    std::int64_t header_revision = 0;
    std::int64_t first_revision = 0;
    std::int64_t last_revision = 0;
    std::shared_ptr<const std::string> body;
  };

  void activate(StreamId id, Stream& stream);
  std::string_view refusal_of(const Stream& stream, std::int64_t watch_id,
                              const etcdserverpb::WatchCreateRequest& request,
                              const mvcc::WatchSpec& spec) const;
  void answer(Stream& stream, std::int64_t watch_id, etcdserverpb::WatchResponse response);
  void remove(Stream& stream, std::int64_t watch_id);
  void set_progress_due(mvcc::WatcherId id, Watcher& watcher, Instant due);
  bool send_progress(mvcc::WatcherId id, const Watcher& watcher);
  std::uint64_t round_bytes() const;

  void collect_stream(StreamId id, Stream& stream, std::vector<WatchDelivery>& out);
  bool is_full(const Round& round) const;
  void send(Round& round, api::WatchMessage message);
  void take(Round& round);
  void let_held_go_on();
  bool hold_back(Round& round);
  void pay_for_reading(const mvcc::WatchDelivery& taken);
  void forget_long_bodies();
  std::size_t send_pieces(Round& round, std::int64_t watch_id, const mvcc::WatchSpec& spec,
                          const mvcc::WatchDelivery& taken);
  std::size_t gather(const mvcc::WatchDelivery& taken, std::size_t begin,
                     const mvcc::WatchSpec& spec, std::uint64_t bytes_wanted,
                     mvcc::EncodedEvents& events) const;
  void send_fragments(Round& round, std::int64_t watch_id, std::int64_t revision,
                      const mvcc::EncodedEvents& events);
  const Encoded* find_encoded(const mvcc::WatchSpec& spec, const mvcc::WatchDelivery& taken) const;
  void keep_encoded(const mvcc::WatchSpec& spec, const mvcc::WatchDelivery& taken,
                    std::shared_ptr<const std::string> body);
  api::WatchMessage encode(std::int64_t watch_id, etcdserverpb::WatchResponse& response,
                           std::int64_t revision, std::string_view events = {}) const;

  const mvcc::Store& store_;
  const WatchLimits limits_;
  Duration progress_interval_ = std::chrono::minutes(10);
  mvcc::WatchHub hub_;
  mvcc::WatcherId next_watcher_ = 1;
  std::unordered_map<StreamId, Stream> streams_;
  std::size_t refused_streams_ = 0;
  std::uint64_t key_bytes_ = 0;  // of all watchers
  std::unordered_map<mvcc::WatcherId, Watcher> watchers_;
  // When to look at those who want periodic progress.
  std::set<std::pair<Instant, mvcc::WatcherId>> progress_due_;
  Instant now_{};                  // of the last tick
  std::deque<StreamId> active_;    // may have something to send
  std::deque<StreamId> held_;      // wait for what is to be read from the storage
  Instant collecting_at_{};        // of this collect()
  Instant reading_free_at_{};      // when what was read has been paid for
  HeaderBase header_;              // of this collect()
  std::uint64_t spent_bytes_ = 0;  // of this collect()
  std::array<Encoded, 8> encoded_;
  std::size_t next_encoded_ = 0;
};

}  // namespace conclave::replica
