#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "conclave/api/rpc.pb.h"
#include "conclave/base/result.h"
#include "conclave/bench/connection.h"
#include "conclave/bench/event_loop.h"
#include "conclave/bench/parameters.h"
#include "conclave/bench/server_cluster.h"

namespace conclave::bench {

inline constexpr std::string_view kRangePath = "/etcdserverpb.KV/Range";
inline constexpr std::string_view kPutPath = "/etcdserverpb.KV/Put";
inline constexpr std::string_view kTxnPath = "/etcdserverpb.KV/Txn";
inline constexpr std::string_view kCompactPath = "/etcdserverpb.KV/Compact";
inline constexpr std::string_view kWatchPath = "/etcdserverpb.Watch/Watch";
inline constexpr std::string_view kGrantPath = "/etcdserverpb.Lease/LeaseGrant";
inline constexpr std::string_view kKeepAlivePath = "/etcdserverpb.Lease/LeaseKeepAlive";
inline constexpr std::string_view kLeasesPath = "/etcdserverpb.Lease/LeaseLeases";
inline constexpr std::string_view kStatusPath = "/etcdserverpb.Maintenance/Status";

// The end of the range of all keys that begin with `prefix`, which must not end in '\xff'.
std::string end_of_prefix(std::string prefix);

// A benchmark's error: always a sentence for the person who runs it.
Error failure(std::string message);

// A cluster of servers, a loop and connections between them; what each workload runs on. All
// connections are to one member, the first unless aim_at() chose another.
class Rig {
 public:
  Rig(ServerCluster& servers, const Parameters& parameters)
      : servers_(servers), parameters_(parameters) {}

  // Until a linearizable read has been answered by each member.
  Result<void> wait_until_serving(std::chrono::seconds limit);
  // Chooses the member that all is asked from now on; closes the connections to another.
  void aim_at(std::size_t member);
  // Makes it so many connections; new ones are added, none closed.
  Result<void> connect(int count);
  // Closes all; their calls end without a word to their handlers.
  void disconnect() { connections_.clear(); }

  EventLoop& loop() { return loop_; }
  ServerCluster& servers() { return servers_; }
  ServerProcess& server() { return servers_[aim_]; }
  std::int64_t parameter(std::string_view name) const { return parameters_[name]; }
  Connection& connection(std::size_t index) { return *connections_[index % connections_.size()]; }

  // One call and its answer, outside of any measuring, on the first connection.
  template <class Reply, class Request>
  Result<Reply> call(std::string_view path, const Request& request) {
    return decode<Reply>(path, call_encoded(path, framed(request)));
  }
  // The same of any member, on a connection for this call alone.
  template <class Reply, class Request>
  Result<Reply> call_at(std::size_t member, std::string_view path, const Request& request,
                        std::chrono::seconds limit) {
    return decode<Reply>(path, call_encoded_at(member, path, framed(request), limit));
  }

  Result<std::int64_t> revision();
  // Keys below `prefix`, linearizable.
  Result<std::int64_t> count(const std::string& prefix);

 private:
  template <class Reply>
  static Result<Reply> decode(std::string_view path, const Result<std::string>& bytes) {
    if (!bytes) return bytes.error();
    Reply reply;
    if (!reply.ParseFromString(*bytes)) return failure(std::string(path) + ": not a message");
    return reply;
  }

  Result<void> wait_until_answered(TimePoint deadline);
  Result<std::string> call_encoded(std::string_view path, const std::string& framed_request);
  Result<std::string> call_encoded_at(std::size_t member, std::string_view path,
                                      const std::string& framed_request,
                                      std::chrono::seconds limit);

  ServerCluster& servers_;
  const Parameters& parameters_;
  std::size_t aim_ = 0;
  EventLoop loop_;
  std::vector<std::unique_ptr<Connection>> connections_;
};

// Put behind handlers on the stack, it closes the connections before they go.
class HangUp {
 public:
  explicit HangUp(Rig& rig) : rig_(rig) {}
  ~HangUp() { rig_.disconnect(); }
  HangUp(const HangUp&) = delete;
  HangUp& operator=(const HangUp&) = delete;

 private:
  Rig& rig_;
};

}  // namespace conclave::bench
