#pragma once

#include <memory>
#include <mutex>

#include "conclave/api/rpc.pb.h"
#include "conclave/server/grpc_services.h"
#include "conclave/server/stream_output.h"

namespace conclave::server {

using SnapshotRequest = Incoming<etcdserverpb::SnapshotRequest>;

// One Snapshot call: on the wire a stream of one request. A piece is read when the one before it is
// written, so a client that does not read costs one piece of memory.
class SnapshotCall final : public StreamReactor<SnapshotRequest, etcdserverpb::SnapshotResponse> {
 public:
  SnapshotCall(std::unique_ptr<Call> call, RequestHandler& handler, OpenCalls& calls);

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  class State;

  RequestHandler& handler_;
  OpenCalls& calls_;
  const std::shared_ptr<State> state_;
  OpenCalls::StreamId id_ = 0;
  etcdserverpb::SnapshotRequest message_;
  SnapshotRequest request_{&message_};
};

}  // namespace conclave::server
