#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "conclave/api/rpc.pb.h"
#include "conclave/base/clock.h"
#include "conclave/mvcc/watch_hub.h"

namespace conclave::replica {

using StreamId = std::uint64_t;

struct WatchDelivery {
  StreamId stream;
  std::shared_ptr<const etcdserverpb::WatchResponse> response;
};

// What stands in every response's header besides the revision.
struct HeaderBase {
  std::uint64_t cluster_id = 0;
  std::uint64_t member_id = 0;
  std::uint64_t raft_term = 0;
};

// The watch streams of this member: which watchers each has under which id, what each may be sent
// now, and the responses as the wire wants them. mvcc::WatchHub decides what a watcher gets; this
// decides when.
//
// A stream has a window of responses that its reader has not acknowledged. While it is used up
// nothing is taken from the hub for the stream's watchers, which then catch up from the store: a
// reader that stopped costs a bounded amount of memory. One collect() hands out a bounded number of
// bytes, over all streams: however many catch up at once, writes come in between.
//
// Not thread-safe; the replica's thread. Unknown stream ids are ignored: a stream's last calls may
// cross its closing.
class WatchStreams {
 public:
  // A protobuf message of 2 GiB cannot be encoded. A watcher whose next revision makes a response
  // beyond `response_bytes_max` is cancelled, unless it asked for fragments.
  static constexpr std::uint64_t kResponseBytesMax = (std::uint64_t{2} << 30) - (1 << 20);

  WatchStreams(const mvcc::Store& store, int window, std::uint64_t fragment_bytes,
               std::uint64_t response_bytes_max = kResponseBytesMax);

  // How long a watcher that asked for signs of progress goes without one; ten minutes unless set.
  void set_progress_interval(Duration interval) { progress_interval_ = interval; }

  void open(StreamId stream);
  void close(StreamId stream);
  void create(StreamId stream, etcdserverpb::WatchCreateRequest request);
  void cancel(StreamId stream, std::int64_t watch_id);
  void request_progress(StreamId stream);
  void acknowledge(StreamId stream, int count);

  void notify(const mvcc::SharedEvents& events) { hub_.notify(events); }
  // Periodic progress notifications, for those who asked and had no event for the interval.
  void tick(Instant now);

  // What may go out now, in order; has_more() afterwards tells whether that was all.
  void collect(const HeaderBase& header, std::vector<WatchDelivery>& out);

  // A stream yielded and wants collect() to be called again, soon.
  bool has_more() const { return !active_.empty(); }

  std::size_t watcher_count() const { return hub_.size(); }

 private:
  struct Watcher {
    StreamId stream = 0;
    std::int64_t watch_id = 0;
    Instant last_sent{};  // zero until the first tick
    bool sent_since_tick = false;
  };
  struct Stream {
    int credit = 0;
    std::int64_t next_watch_id = 0;
    std::map<std::int64_t, mvcc::WatcherId> watchers;  // by watch id
    // Created, cancelled, progress, and fragments beyond the window: in order, before all else.
    std::deque<etcdserverpb::WatchResponse> control;
    std::deque<mvcc::WatcherId> ready;
    // What was taken for a watcher and not yet sent in full.
    mvcc::WatcherId taken_by = 0;  // 0: nothing
    mvcc::WatchDelivery taken;
    std::size_t next_piece = 0;
    bool progress_wanted = false;
  };

  void refuse_create(Stream& stream, std::string_view reason);
  void remove(Stream& stream, std::int64_t watch_id);
  bool all_caught_up(const Stream& stream) const;
  void collect_stream(StreamId id, Stream& stream, const HeaderBase& header,
                      std::vector<WatchDelivery>& out);
  void take(Stream& stream);
  void send_taken(StreamId id, Stream& stream, const HeaderBase& header,
                  std::vector<WatchDelivery>& out);
  void send(StreamId id, Stream& stream, const HeaderBase& header,
            etcdserverpb::WatchResponse response, std::vector<WatchDelivery>& out);
  void send_events(StreamId id, Stream& stream, const HeaderBase& header,
                   etcdserverpb::WatchResponse response, bool fragment,
                   std::vector<WatchDelivery>& out);

  const mvcc::Store& store_;
  const int window_;
  const std::uint64_t fragment_bytes_;
  const std::uint64_t response_bytes_max_;
  Duration progress_interval_ = std::chrono::minutes(10);
  mvcc::WatchHub hub_;
  mvcc::WatcherId next_watcher_ = 1;
  std::unordered_map<StreamId, Stream> streams_;
  std::unordered_map<mvcc::WatcherId, Watcher> watchers_;
  std::deque<StreamId> active_;    // may have something to send
  std::uint64_t spent_bytes_ = 0;  // of this collect()
};

}  // namespace conclave::replica
