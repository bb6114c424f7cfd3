#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <grpcpp/grpcpp.h>

#include "conclave/api/rpc.grpc.pb.h"

#include "tests/support/fresh_directory.h"
#include "tests/support/process.h"

namespace conclave::test {

enum class ServerKind : std::uint8_t { conclaved, etcd };

std::string_view name_of(ServerKind kind);

// Where the program of that kind lies; empty if it does not.
std::string program_of(ServerKind kind);

// A server process of its own on free ports, its data in memory where there is a file system for
// that; it ends with the object. The constructor waits until it serves. Both kinds grant leases
// of a second and more, so that what they say of short ones can be compared.
class ServerProcess {
 public:
  // `flags` are added to those that every server here gets.
  explicit ServerProcess(ServerKind kind, std::vector<std::string> flags = {});
  // A member more of the cluster of `founder`, to which it was added by the name "joiner" and this
  // URL for other members. It serves as soon as it answers what a learner is asked.
  ServerProcess(const ServerProcess& founder, const std::string& peer_url);

  ServerKind kind() const { return kind_; }
  // It stands still, and is not gone: its connections stay.
  void pause() const { process_->pause(); }
  std::shared_ptr<grpc::Channel> channel() const { return channel_; }
  std::uint16_t port() const { return port_; }
  std::string output() const { return process_->output(); }

 private:
  void start(const std::vector<std::string>& flags);
  std::vector<std::string> command() const;

  ServerKind kind_;
  bool joins_ = false;
  std::uint16_t port_ = free_port();
  std::string peer_url_ = "http://127.0.0.1:" + std::to_string(free_port());
  std::string members_ = "default=" + peer_url_;
  FreshDirectory dir_ = FreshDirectory::in_memory();
  std::unique_ptr<Process> process_;
  std::shared_ptr<grpc::Channel> channel_;
};

// The unary calls, and keep-alive as if it were one. A call gives up after half a minute.
// Thread-safe.
class Calls {
 public:
  explicit Calls(const std::shared_ptr<grpc::Channel>& channel);

  grpc::Status call(const etcdserverpb::RangeRequest& request,
                    etcdserverpb::RangeResponse& response);
  grpc::Status call(const etcdserverpb::PutRequest& request, etcdserverpb::PutResponse& response);
  grpc::Status call(const etcdserverpb::DeleteRangeRequest& request,
                    etcdserverpb::DeleteRangeResponse& response);
  grpc::Status call(const etcdserverpb::TxnRequest& request, etcdserverpb::TxnResponse& response);
  grpc::Status call(const etcdserverpb::CompactionRequest& request,
                    etcdserverpb::CompactionResponse& response);
  grpc::Status call(const etcdserverpb::LeaseGrantRequest& request,
                    etcdserverpb::LeaseGrantResponse& response);
  grpc::Status call(const etcdserverpb::LeaseRevokeRequest& request,
                    etcdserverpb::LeaseRevokeResponse& response);
  grpc::Status call(const etcdserverpb::LeaseKeepAliveRequest& request,
                    etcdserverpb::LeaseKeepAliveResponse& response);
  grpc::Status call(const etcdserverpb::LeaseTimeToLiveRequest& request,
                    etcdserverpb::LeaseTimeToLiveResponse& response);
  grpc::Status call(const etcdserverpb::LeaseLeasesRequest& request,
                    etcdserverpb::LeaseLeasesResponse& response);
  grpc::Status call(const etcdserverpb::HashKVRequest& request,
                    etcdserverpb::HashKVResponse& response);
  grpc::Status call(const etcdserverpb::StatusRequest& request,
                    etcdserverpb::StatusResponse& response);
  grpc::Status call(const etcdserverpb::AlarmRequest& request,
                    etcdserverpb::AlarmResponse& response);
  grpc::Status call(const etcdserverpb::MemberListRequest& request,
                    etcdserverpb::MemberListResponse& response);

  // Every alarm, every key and every lease goes; the revision after that.
  std::int64_t wipe();

 private:
  std::unique_ptr<etcdserverpb::KV::Stub> kv_;
  std::unique_ptr<etcdserverpb::Lease::Stub> lease_;
  std::unique_ptr<etcdserverpb::Maintenance::Stub> maintenance_;
  std::unique_ptr<etcdserverpb::Cluster::Stub> cluster_;
};

// One message of any bytes to a call of any name, and how the call ends. Of a call with one answer,
// `reply` gets it.
grpc::Status call_raw(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                      const std::string& bytes, std::string* reply = nullptr);
// The same to a stream; its status once the server ends it, CANCELLED if it does not in time.
grpc::Status stream_raw(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                        const std::string& bytes);

// One Watch call. A thread of its own reads; what came waits for next(). Ends with the object.
class WatchCall {
 public:
  explicit WatchCall(const std::shared_ptr<grpc::Channel>& channel);
  ~WatchCall();
  WatchCall(const WatchCall&) = delete;
  WatchCall& operator=(const WatchCall&) = delete;

  void send(const etcdserverpb::WatchRequest& request);
  // Cancels the call, as a client that is done with it; its final status.
  grpc::Status cancel();
  // The next response; nothing if none came in time or the stream has ended.
  std::optional<etcdserverpb::WatchResponse> next(
      std::chrono::milliseconds limit = std::chrono::seconds(20));

 private:
  void read();

  grpc::ClientContext context_;
  std::unique_ptr<etcdserverpb::Watch::Stub> stub_;
  std::unique_ptr<grpc::ClientReaderWriter<etcdserverpb::WatchRequest, etcdserverpb::WatchResponse>>
      stream_;
  std::mutex mutex_;
  std::condition_variable came_;
  std::deque<etcdserverpb::WatchResponse> waiting_;
  bool ended_ = false;
  grpc::Status status_;
  std::thread reader_;
};

}  // namespace conclave::test
