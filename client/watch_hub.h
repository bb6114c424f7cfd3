#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "conclave/api/rpc.pb.h"
#include "conclave/base/random.h"
#include "conclave/client/caller.h"
#include "conclave/client/endpoints.h"
#include "conclave/client/store.h"

namespace conclave::client {

// All watches of a client, on one stream. When the stream is lost, each watch is created again
// elsewhere from the revision after the last one it delivered.
//
// A watch's place is moved on by what has been delivered and by progress notices of its own; not by
// answers to progress requests, which some releases of etcd send ahead of events.
//
// Threads: the executor's tasks. Handles must not outlive the hub.
class WatchHub {
 public:
  WatchHub(Executor& executor, Endpoints& endpoints, Caller& caller, Random& random,
           Duration dial_timeout);
  ~WatchHub();

  WatchHub(const WatchHub&) = delete;
  WatchHub& operator=(const WatchHub&) = delete;

  using Sink = std::function<void(const WatchNotice& notice)>;
  std::unique_ptr<WatchHandle> watch(Watch watch, Sink sink);

 private:
  using WatchId = std::int64_t;  // ours, on every stream; never used twice
  class Handle;

  enum class Phase : std::uint8_t {
    waiting,   // for a stream
    creating,  // the request is on the stream
    standing,
  };
  struct Entry {
    Watch request;
    std::shared_ptr<Sink> sink;
    Phase phase = Phase::waiting;
    // Events before this one have been delivered; 0: not created yet, and from now on was asked
    // for.
    std::int64_t next_revision = 0;
    bool announced = false;      // the `created` notice
    bool token_renewed = false;  // since it stood last
    std::vector<Event> fragments;
  };

  void end(WatchId id);
  void open_stream();
  void open_with(const std::string& token);
  void create_on_stream(WatchId id, const Entry& entry);
  // Leaves the stream, if there is one, and opens another after a pause.
  void reopen(bool endpoint_failed);
  void drop_stream();
  void watch_for_silence();

  void received(std::string_view bytes);
  void stream_closed(const CallStatus& status);
  void on_created(WatchId id, const etcdserverpb::WatchResponse& reply);
  void on_events(WatchId id, etcdserverpb::WatchResponse& reply);
  void on_progress(WatchId id, std::int64_t revision);
  void on_canceled(WatchId id, const etcdserverpb::WatchResponse& reply);
  WatchId take_creating(WatchId named);
  void deliver(const Entry& entry, const WatchNotice& notice);
  void finish(WatchId id, const WatchNotice& notice);
  void fail_later(WatchId id, Error error);
  void fail_all(const Error& error);

  Executor* executor_;
  Endpoints* endpoints_;
  Caller* caller_;
  Random* random_;
  Duration silence_limit_;

  std::map<WatchId, Entry> entries_;
  WatchId next_id_ = 1;

  std::unique_ptr<Stream> stream_;
  Endpoints::Index stream_endpoint_ = 0;
  std::string stream_token_;
  bool opening_ = false;          // waits for a token or for the end of a pause
  std::deque<WatchId> creating_;  // in the order of their requests, which is that of the replies
  Backoff backoff_;
  std::size_t failures_ = 0;  // in a row
  Executor::TimerId reopen_timer_ = 0;
  Executor::TimerId silence_timer_ = 0;

  // Posted tasks hold it weakly: they do nothing once the hub is gone.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace conclave::client
