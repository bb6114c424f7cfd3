#pragma once

#include <memory>

#include <grpcpp/grpcpp.h>

#include "conclave/base/result.h"
#include "conclave/transport/event_loop.h"
#include "conclave/transport/handshake.h"
#include "conclave/transport/reception.h"

namespace conclave::transport {

// A snapshot that a peer sends. Owned by gRPC's operations; on the loop's thread, except for the
// sink, which is used and destroyed on the thread for disks. One chunk at a time, so that gRPC lets
// the sender go no faster than the disk.
class IncomingSnapshot final : public std::enable_shared_from_this<IncomingSnapshot> {
 public:
  // Waits for the next call, and when that has come for the next one again.
  static void await(Reception& reception);

  explicit IncomingSnapshot(Reception& reception);

 private:
  void on_called(bool ok);
  void on_read(bool ok);
  void on_finished(bool) {}

  void read();
  void store();
  void stored(const Result<void>& result);
  void drop_sink();
  void fail(const grpc::Status& status);

  Reception& reception_;
  const EventLoop::Hold hold_;
  grpc::ServerContext context_;
  grpc::ServerAsyncReader<SnapshotTaken, SnapshotChunk> reader_;
  Hello hello_;
  SnapshotChunk chunk_;  // the disk's while store() is under way
  std::shared_ptr<SnapshotSink> sink_;
  Operation<IncomingSnapshot, &IncomingSnapshot::on_called> called_;
  Operation<IncomingSnapshot, &IncomingSnapshot::on_read> read_;
  Operation<IncomingSnapshot, &IncomingSnapshot::on_finished> finished_;
};

}  // namespace conclave::transport
