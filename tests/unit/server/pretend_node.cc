// A node for the program's own tests: main.cc linked with this in place of the real one. The data
// directory's name says what is to happen.

#include <thread>

#include "conclave/server/node.h"

#include "tests/support/pretend_handler.h"

namespace conclave::server {
namespace {

// Every call is the pretend handler's; only start and end are the node's own.
class PretendNode final : public Node {
 public:
  explicit PretendNode(OnFailure on_failure, bool fails) {
    if (fails) {
      failing_ = std::thread([on_failure = std::move(on_failure)] {
        on_failure(Error{Errc::io, "cannot sync the log: Input/output error"});
      });
    }
  }
  ~PretendNode() override { PretendNode::stop(); }

  void begin_stop() override {}
  void stop() override {
    if (failing_.joinable()) failing_.join();
  }
  bool is_ready() const override { return true; }
  // It does nothing between requests.
  void attach(Host /*host*/) override {}
  std::chrono::steady_clock::time_point drive() override {
    return std::chrono::steady_clock::now() + std::chrono::hours(1);
  }
  void detach() override {}

  void member_add(const etcdserverpb::MemberAddRequest& request,
                  etcdserverpb::MemberAddResponse* response, Done done) override {
    handler_.member_add(request, response, std::move(done));
  }
  void member_remove(const etcdserverpb::MemberRemoveRequest& request,
                     etcdserverpb::MemberRemoveResponse* response, Done done) override {
    handler_.member_remove(request, response, std::move(done));
  }
  void member_update(const etcdserverpb::MemberUpdateRequest& request,
                     etcdserverpb::MemberUpdateResponse* response, Done done) override {
    handler_.member_update(request, response, std::move(done));
  }
  void member_promote(const etcdserverpb::MemberPromoteRequest& request,
                      etcdserverpb::MemberPromoteResponse* response, Done done) override {
    handler_.member_promote(request, response, std::move(done));
  }
  void move_leader(const etcdserverpb::MoveLeaderRequest& request,
                   etcdserverpb::MoveLeaderResponse* response, Done done) override {
    handler_.move_leader(request, response, std::move(done));
  }
  void snapshot(std::function<void(std::shared_ptr<SnapshotPieces>)> opened) override {
    handler_.snapshot(std::move(opened));
  }
  void range(const etcdserverpb::RangeRequest& request, etcdserverpb::RangeResponse* response,
             Done done) override {
    handler_.range(request, response, std::move(done));
  }
  void put(const etcdserverpb::PutRequest& request, etcdserverpb::PutResponse* response,
           Done done) override {
    handler_.put(request, response, std::move(done));
  }
  void delete_range(const etcdserverpb::DeleteRangeRequest& request,
                    etcdserverpb::DeleteRangeResponse* response, Done done) override {
    handler_.delete_range(request, response, std::move(done));
  }
  void txn(const etcdserverpb::TxnRequest& request, etcdserverpb::TxnResponse* response,
           Done done) override {
    handler_.txn(request, response, std::move(done));
  }
  void compact(const etcdserverpb::CompactionRequest& request,
               etcdserverpb::CompactionResponse* response, Done done) override {
    handler_.compact(request, response, std::move(done));
  }
  void lease_grant(const etcdserverpb::LeaseGrantRequest& request,
                   etcdserverpb::LeaseGrantResponse* response, Done done) override {
    handler_.lease_grant(request, response, std::move(done));
  }
  void lease_revoke(const etcdserverpb::LeaseRevokeRequest& request,
                    etcdserverpb::LeaseRevokeResponse* response, Done done) override {
    handler_.lease_revoke(request, response, std::move(done));
  }
  void lease_keep_alive(const etcdserverpb::LeaseKeepAliveRequest& request,
                        etcdserverpb::LeaseKeepAliveResponse* response, Done done) override {
    handler_.lease_keep_alive(request, response, std::move(done));
  }
  void lease_time_to_live(const etcdserverpb::LeaseTimeToLiveRequest& request,
                          etcdserverpb::LeaseTimeToLiveResponse* response, Done done) override {
    handler_.lease_time_to_live(request, response, std::move(done));
  }
  void lease_leases(const etcdserverpb::LeaseLeasesRequest& request,
                    etcdserverpb::LeaseLeasesResponse* response, Done done) override {
    handler_.lease_leases(request, response, std::move(done));
  }
  void status(const etcdserverpb::StatusRequest& request, etcdserverpb::StatusResponse* response,
              Done done) override {
    handler_.status(request, response, std::move(done));
  }
  void hash_kv(const etcdserverpb::HashKVRequest& request, etcdserverpb::HashKVResponse* response,
               Done done) override {
    handler_.hash_kv(request, response, std::move(done));
  }
  void alarm(const etcdserverpb::AlarmRequest& request, etcdserverpb::AlarmResponse* response,
             Done done) override {
    handler_.alarm(request, response, std::move(done));
  }
  void defragment(const etcdserverpb::DefragmentRequest& request,
                  etcdserverpb::DefragmentResponse* response, Done done) override {
    handler_.defragment(request, response, std::move(done));
  }
  void member_list(const etcdserverpb::MemberListRequest& request,
                   etcdserverpb::MemberListResponse* response, Done done) override {
    handler_.member_list(request, response, std::move(done));
  }
  std::unique_ptr<WatchStream> open_watch(std::shared_ptr<WatchSink> sink,
                                          bool wants_leader) override {
    return handler_.open_watch(std::move(sink), wants_leader);
  }

 private:
  test::PretendHandler handler_;
  std::thread failing_;
};

}  // namespace

Result<std::unique_ptr<Node>> Node::start(NodeOptions options, OnFailure on_failure) {
  if (options.data_dir == "locked") {
    return Error{Errc::refused, "locked: another process has it open"};
  }
  return std::unique_ptr<Node>(
      std::make_unique<PretendNode>(std::move(on_failure), options.data_dir == "failing"));
}

}  // namespace conclave::server
