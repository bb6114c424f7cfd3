#pragma once

#include <memory>

#include <grpcpp/grpcpp.h>

#include "conclave/transport/event_loop.h"
#include "conclave/transport/handshake.h"
#include "conclave/transport/reception.h"

namespace conclave::transport {

// Whether the caller is taken: nothing, or how its call ends. Fills `hello`.
std::optional<grpc::Status> check_caller(const grpc::ServerContext& context,
                                         const Reception& reception, Hello& hello);

// A lane that a peer has dialled. This side only reads, apart from saying once that it accepts.
// Owned by gRPC's operations; on the loop's thread.
class IncomingLink final : public std::enable_shared_from_this<IncomingLink> {
 public:
  // Waits for the next call, and when that has come for the next one again.
  static void await(Reception& reception);

  explicit IncomingLink(Reception& reception);

  void cancel() { context_.TryCancel(); }

 private:
  void on_called(bool ok);
  void on_accepted(bool ok);
  void on_read(bool ok);
  void on_finished(bool) {}

  void read();
  void finish();

  Reception& reception_;
  const EventLoop::Hold hold_;
  grpc::ServerContext context_;
  grpc::ServerAsyncReaderWriter<LinkAccepted, PacketBatch> stream_;
  Hello hello_;
  PacketBatch batch_;
  grpc::Status status_;
  bool is_accepting_ = false;  // the message that says so is being written
  bool is_broken_ = false;
  Operation<IncomingLink, &IncomingLink::on_called> called_;
  Operation<IncomingLink, &IncomingLink::on_accepted> accepted_;
  Operation<IncomingLink, &IncomingLink::on_read> read_;
  Operation<IncomingLink, &IncomingLink::on_finished> finished_;
};

}  // namespace conclave::transport
