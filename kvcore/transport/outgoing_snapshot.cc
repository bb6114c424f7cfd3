#include "conclave/transport/outgoing_snapshot.h"

#include <optional>
#include <string>
#include <utility>

#include "conclave/transport/peer.grpc.pb.h"

namespace conclave::transport {

OutgoingSnapshot::OutgoingSnapshot(std::shared_ptr<grpc::Channel> channel, const Hello& hello,
                                   std::unique_ptr<SnapshotSource> source, Done done)
    : channel_(std::move(channel)),
      hello_(hello),
      source_(std::move(source)),
      done_(std::move(done)),
      thread_([this] { run(); }) {}

OutgoingSnapshot::~OutgoingSnapshot() {
  thread_.join();
}

void OutgoingSnapshot::cancel() {
  is_cancelled_ = true;
  context_.TryCancel();
}

void OutgoingSnapshot::run() {
  const Result<void> result = stream();
  source_.reset();
  done_(result);
  done_ = nullptr;
  has_ended_ = true;
}

Result<void> OutgoingSnapshot::stream() {
  if (channel_ == nullptr) return Error{Errc::not_found, "there is no such peer"};
  const auto stub = PeerService::NewStub(channel_);
  write_hello(hello_, context_);
  SnapshotTaken taken;
  const auto writer = stub->Snapshot(&context_, &taken);
  SnapshotChunk chunk;
  do {
    Result<std::optional<std::string>> next = source_->next();
    if (!next) {
      context_.TryCancel();
      writer->Finish();
      return std::move(next).error();
    }
    chunk.set_is_last(!next->has_value());
    chunk.set_data(std::move(*next).value_or(std::string()));
  } while (writer->Write(chunk) && !chunk.is_last());
  writer->WritesDone();
  return result_of(writer->Finish());
}

Result<void> OutgoingSnapshot::result_of(const grpc::Status& status) const {
  if (status.ok()) return {};
  if (is_cancelled_) return Error{Errc::cancelled, "the links were stopped"};
  if (const auto refusal = refusal_in(status)) return Error{Errc::refused, refusal->reason};
  const bool sink_failed = status.error_code() == grpc::StatusCode::ABORTED;
  return Error{sink_failed ? Errc::io : Errc::unavailable, status.error_message()};
}

}  // namespace conclave::transport
