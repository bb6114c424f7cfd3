#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <thread>

#include <grpcpp/grpcpp.h>

#include "conclave/base/result.h"
#include "conclave/transport/handshake.h"
#include "conclave/transport/snapshot_stream.h"

namespace conclave::transport {

// A snapshot on its way to a peer, on a thread of its own, which waits for the disk and for the
// peer in turn.
class OutgoingSnapshot {
 public:
  using Done = std::function<void(Result<void>)>;

  OutgoingSnapshot(std::shared_ptr<grpc::Channel> channel, const Hello& hello,
                   std::unique_ptr<SnapshotSource> source, Done done);
  ~OutgoingSnapshot();  // waits for the end
  OutgoingSnapshot(const OutgoingSnapshot&) = delete;
  OutgoingSnapshot& operator=(const OutgoingSnapshot&) = delete;

  // Any thread.
  void cancel();
  bool has_ended() const { return has_ended_.load(); }

 private:
  void run();
  Result<void> stream();
  Result<void> result_of(const grpc::Status& status) const;

  const std::shared_ptr<grpc::Channel> channel_;
  const Hello hello_;
  std::unique_ptr<SnapshotSource> source_;
  Done done_;
  grpc::ClientContext context_;
  std::atomic<bool> is_cancelled_{false};
  std::atomic<bool> has_ended_{false};
  std::thread thread_;
};

}  // namespace conclave::transport
