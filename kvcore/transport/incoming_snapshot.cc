#include "conclave/transport/incoming_snapshot.h"

#include <utility>

#include "conclave/transport/incoming_link.h"

namespace conclave::transport {

void IncomingSnapshot::await(Reception& reception) {
  const auto snapshot = std::make_shared<IncomingSnapshot>(reception);
  reception.service.RequestSnapshot(&snapshot->context_, &snapshot->reader_, reception.loop.queue(),
                                    reception.loop.arrivals(), snapshot->called_.begin(snapshot));
}

IncomingSnapshot::IncomingSnapshot(Reception& reception)
    : reception_(reception), hold_(reception.loop), reader_(&context_) {}

void IncomingSnapshot::on_called(bool ok) {
  if (!ok) return;
  await(reception_);
  if (const auto refusal = check_caller(context_, reception_, hello_)) return fail(*refusal);
  sink_ = reception_.events.snapshot_begins(hello_.from);
  if (sink_ == nullptr) return fail(refusal_status({"no snapshot is wanted now"}));
  read();
}

void IncomingSnapshot::on_read(bool ok) {
  if (ok) return store();
  drop_sink();
  fail({grpc::StatusCode::CANCELLED, "the snapshot was cut off"});
}

void IncomingSnapshot::read() {
  reader_.Read(&chunk_, read_.begin(shared_from_this()));
}

void IncomingSnapshot::store() {
  reception_.disk.post([self = shared_from_this()] {
    Result<void> result;
    if (!self->chunk_.data().empty()) result = self->sink_->write(self->chunk_.data());
    if (result && self->chunk_.is_last()) result = self->sink_->finish();
    self->reception_.loop.post([self, result] { self->stored(result); });
  });
}

void IncomingSnapshot::stored(const Result<void>& result) {
  if (result && !chunk_.is_last()) return read();
  drop_sink();
  if (!result) return fail({grpc::StatusCode::ABORTED, result.error().message});
  reader_.Finish({}, grpc::Status::OK, finished_.begin(shared_from_this()));
}

void IncomingSnapshot::drop_sink() {
  reception_.disk.post([sink = std::move(sink_)] {});
}

void IncomingSnapshot::fail(const grpc::Status& status) {
  reader_.FinishWithError(status, finished_.begin(shared_from_this()));
}

}  // namespace conclave::transport
