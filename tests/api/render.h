#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <grpcpp/grpcpp.h>

#include "conclave/api/rpc.pb.h"

namespace conclave::test {

// Writes an answer as one line, so that a case shows what it expects and a difference can be read.
//
//   header      @3 (its revision), @3~ where it names no cluster, member and term, @- if empty
//   key-value   a=1{c1 m3 v2 l7}: create and mod revision, version, lease; what is 0 is left out
//   refusal     INVALID_ARGUMENT etcdserver: key is not provided
//
// Revisions are written relative to `base`, so that a case can run on a store that has a history.
// An alarm's answer is written without its header, which 3.4 leaves out.
// A lease's remaining time is written as "whole" as long as it is less than a minute, or a tenth,
// short of what was granted.
class Renderer {
 public:
  explicit Renderer(std::int64_t base = 0) : base_(base) {}

  std::string operator()(const grpc::Status& status) const;
  std::string operator()(const etcdserverpb::RangeResponse& response) const;
  std::string operator()(const etcdserverpb::PutResponse& response) const;
  std::string operator()(const etcdserverpb::DeleteRangeResponse& response) const;
  std::string operator()(const etcdserverpb::TxnResponse& response) const;
  std::string operator()(const etcdserverpb::CompactionResponse& response) const;
  std::string operator()(const etcdserverpb::LeaseGrantResponse& response) const;
  std::string operator()(const etcdserverpb::LeaseRevokeResponse& response) const;
  std::string operator()(const etcdserverpb::LeaseKeepAliveResponse& response) const;
  std::string operator()(const etcdserverpb::LeaseTimeToLiveResponse& response) const;
  std::string operator()(const etcdserverpb::LeaseLeasesResponse& response) const;
  std::string operator()(const etcdserverpb::HashKVResponse& response) const;
  std::string operator()(const etcdserverpb::AlarmResponse& response) const;
  std::string operator()(const etcdserverpb::WatchResponse& response) const;

 private:
  template <class Response>
  std::string header(const Response& response) const;
  std::string kv(const mvccpb::KeyValue& kv) const;
  std::string operation(const etcdserverpb::ResponseOp& response) const;
  std::string event(const mvccpb::Event& event) const;
  std::string revision(std::int64_t revision) const { return std::to_string(revision - base_); }

  std::int64_t base_;
};

// Bytes that cannot be printed as \xNN; long ones cut.
std::string printable(std::string_view bytes);

}  // namespace conclave::test
