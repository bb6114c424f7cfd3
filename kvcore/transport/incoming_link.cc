#include "conclave/transport/incoming_link.h"

#include <algorithm>
#include <string>
#include <utility>

namespace conclave::transport {

std::optional<grpc::Status> check_caller(const grpc::ServerContext& context,
                                         const Reception& reception, Hello& hello) {
  const std::optional<Hello> said = read_hello(context.client_metadata());
  if (!said) {
    return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "the caller does not say who it is");
  }
  hello = *said;
  std::optional<LinkRefusal> refusal = refusal_of(hello, reception.self);
  if (!refusal) refusal = reception.events.refuse(hello.from, hello.to);
  if (refusal) return refusal_status(*refusal);
  return std::nullopt;
}

void IncomingLink::await(Reception& reception) {
  const auto link = std::make_shared<IncomingLink>(reception);
  reception.service.RequestLink(&link->context_, &link->stream_, reception.loop.queue(),
                                reception.loop.arrivals(), link->called_.begin(link));
}

IncomingLink::IncomingLink(Reception& reception)
    : reception_(reception), hold_(reception.loop), stream_(&context_) {}

void IncomingLink::on_called(bool ok) {
  if (!ok) return;
  await(reception_);
  if (const auto refusal = check_caller(context_, reception_, hello_)) {
    stream_.Finish(*refusal, finished_.begin(shared_from_this()));
    return;
  }
  reception_.links.emplace(hello_.from.member, this);
  is_accepting_ = true;
  stream_.Write({}, accepted_.begin(shared_from_this()));
  read();
  reception_.link_opened(hello_.from.member, reception_.links.count(hello_.from.member));
}

void IncomingLink::on_accepted(bool) {
  is_accepting_ = false;
  if (is_broken_) finish();
}

void IncomingLink::on_read(bool ok) {
  if (ok) {
    for (std::string& packet : *batch_.mutable_packets()) {
      reception_.events.received(hello_.from, std::move(packet));
    }
    return read();
  }
  is_broken_ = true;
  const auto [first, last] = reception_.links.equal_range(hello_.from.member);
  const auto self = std::find_if(first, last, [&](const auto& at) { return at.second == this; });
  reception_.links.erase(self);
  reception_.link_broken(hello_.from.member, reception_.links.count(hello_.from.member));
  if (!is_accepting_) finish();
}

void IncomingLink::read() {
  stream_.Read(&batch_, read_.begin(shared_from_this()));
}

void IncomingLink::finish() {
  stream_.Finish(status_, finished_.begin(shared_from_this()));
}

}  // namespace conclave::transport
