#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "conclave/api/errors.h"
#include "conclave/api/rpc.pb.h"
#include "conclave/api/watch_message.h"
#include "conclave/base/result.h"

namespace conclave::server {

// The server's end of one watch stream: where the responses of all its watchers go.
class WatchSink {
 public:
  virtual ~WatchSink() = default;

  // On the thread that drives the node: must not block and must not call back into the stream. The
  // order of the calls is the order on the wire. After a batch with messages there is none with
  // others before WatchStream::acknowledge(): a client that does not read gets fewer and larger
  // responses, or falls back to catching up from the store, instead of filling memory.
  virtual void deliver(api::WatchBatch batch) = 0;

  // The stream is over from the server's side (shutdown, no leader for one that wants one); nothing
  // is delivered after it.
  virtual void close(api::Refusal reason) = 0;
};

// The client's end of one watch stream. Calls may come from any thread; each is carried out on the
// thread that drives the node, in the order given. Destroying it cancels all watchers of the
// stream; after the destructor returns a delivery may still be under way, so the sink is kept alive
// by a shared_ptr.
class WatchStream {
 public:
  virtual ~WatchStream() = default;

  // Each of these three is reported through WatchBatch::requests_taken; whoever calls waits for
  // that with the next when some are on their way, so that a client that asks and asks fills no
  // memory.
  virtual void create(etcdserverpb::WatchCreateRequest request) = 0;
  virtual void cancel(std::int64_t watch_id) = 0;
  virtual void request_progress() = 0;

  // Everything that was delivered is written.
  virtual void acknowledge() = 0;
};

// A snapshot on its way to a client, piece by piece. Destroyed, it is over.
class SnapshotPieces {
 public:
  using Piece = Result<std::optional<std::string>>;  // nothing: that was all

  virtual ~SnapshotPieces() = default;

  // Reads the next piece on a thread that may wait for the disk, and gives it to `done` there. One
  // at a time.
  virtual void next(std::function<void(Piece)> done) = 0;
};

// The seam between a decoded request and whatever carried it. gRPC stands in front of it, the node
// behind.
//
// Threads: calls from any thread; none blocks. `done` runs once, mostly on the thread that drives
// the node: it must not block and must not destroy the handler. Request and response must stay
// alive and untouched until then.
//
// Errors: `done` gets the refusal that the client is told, or nothing for success. A request that
// was proposed and whose outcome this node cannot know any more ends with Refusal::timeout or
// leader_changed.
class RequestHandler {
 public:
  using Done = std::function<void(std::optional<api::Refusal>)>;

  virtual ~RequestHandler() = default;

  virtual void range(const etcdserverpb::RangeRequest& request,
                     etcdserverpb::RangeResponse* response, Done done) = 0;
  virtual void put(const etcdserverpb::PutRequest& request, etcdserverpb::PutResponse* response,
                   Done done) = 0;
  virtual void delete_range(const etcdserverpb::DeleteRangeRequest& request,
                            etcdserverpb::DeleteRangeResponse* response, Done done) = 0;
  virtual void txn(const etcdserverpb::TxnRequest& request, etcdserverpb::TxnResponse* response,
                   Done done) = 0;
  virtual void compact(const etcdserverpb::CompactionRequest& request,
                       etcdserverpb::CompactionResponse* response, Done done) = 0;

  virtual void lease_grant(const etcdserverpb::LeaseGrantRequest& request,
                           etcdserverpb::LeaseGrantResponse* response, Done done) = 0;
  virtual void lease_revoke(const etcdserverpb::LeaseRevokeRequest& request,
                            etcdserverpb::LeaseRevokeResponse* response, Done done) = 0;
  // One message of a LeaseKeepAlive stream; an unknown lease is a success with TTL 0.
  virtual void lease_keep_alive(const etcdserverpb::LeaseKeepAliveRequest& request,
                                etcdserverpb::LeaseKeepAliveResponse* response, Done done) = 0;
  virtual void lease_time_to_live(const etcdserverpb::LeaseTimeToLiveRequest& request,
                                  etcdserverpb::LeaseTimeToLiveResponse* response, Done done) = 0;
  virtual void lease_leases(const etcdserverpb::LeaseLeasesRequest& request,
                            etcdserverpb::LeaseLeasesResponse* response, Done done) = 0;

  virtual void status(const etcdserverpb::StatusRequest& request,
                      etcdserverpb::StatusResponse* response, Done done) = 0;
  virtual void hash_kv(const etcdserverpb::HashKVRequest& request,
                       etcdserverpb::HashKVResponse* response, Done done) = 0;
  virtual void alarm(const etcdserverpb::AlarmRequest& request,
                     etcdserverpb::AlarmResponse* response, Done done) = 0;
  // Makes the store's file smaller; reads go on meanwhile, and writes as long as they find room in
  // memory.
  virtual void defragment(const etcdserverpb::DefragmentRequest& request,
                          etcdserverpb::DefragmentResponse* response, Done done) = 0;
  virtual void member_list(const etcdserverpb::MemberListRequest& request,
                           etcdserverpb::MemberListResponse* response, Done done) = 0;

  virtual void member_add(const etcdserverpb::MemberAddRequest& request,
                          etcdserverpb::MemberAddResponse* response, Done done) = 0;
  virtual void member_remove(const etcdserverpb::MemberRemoveRequest& request,
                             etcdserverpb::MemberRemoveResponse* response, Done done) = 0;
  virtual void member_update(const etcdserverpb::MemberUpdateRequest& request,
                             etcdserverpb::MemberUpdateResponse* response, Done done) = 0;
  virtual void member_promote(const etcdserverpb::MemberPromoteRequest& request,
                              etcdserverpb::MemberPromoteResponse* response, Done done) = 0;
  virtual void move_leader(const etcdserverpb::MoveLeaderRequest& request,
                           etcdserverpb::MoveLeaderResponse* response, Done done) = 0;

  // The state as it is now; `opened` runs once, with nothing if the node stops.
  virtual void snapshot(std::function<void(std::shared_ptr<SnapshotPieces>)> opened) = 0;

  // Nobody wants the answer any more whose response this is: work for it may end early, with any
  // refusal. `forgotten` runs once, when `response` is of no more use here; the call it belongs to
  // must be kept alive until then.
  virtual void abandon(const google::protobuf::Message* response, std::function<void()> forgotten) {
    static_cast<void>(response);
    forgotten();
  }

  // One that wants a leader is closed when this member has been without one for three election
  // timeouts: cut off from the others, it would fall silent.
  virtual std::unique_ptr<WatchStream> open_watch(std::shared_ptr<WatchSink> sink,
                                                  bool wants_leader) = 0;

  // Whether this member knows a leader, and whether it has been without one for three election
  // timeouts.
  virtual bool has_leader() const { return true; }
  virtual bool is_cut_off() const { return false; }

  // There are no users. A client that has a name and a password to give is told so in words by
  // which it goes on without.
  virtual void authenticate(const etcdserverpb::AuthenticateRequest& request,
                            etcdserverpb::AuthenticateResponse* response, Done done) {
    static_cast<void>(request);
    static_cast<void>(response);
    done(api::Refusal::authentication_not_enabled);
  }
};

}  // namespace conclave::server
