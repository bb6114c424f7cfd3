#pragma once

#include <map>
#include <optional>
#include <string>

#include <grpcpp/grpcpp.h>

#include "conclave/transport/events.h"

namespace conclave::transport {

// What the caller of Link and Snapshot says first, as decimal numbers in the call's metadata.
struct Hello {
  Identity from;
  MemberId to = 0;
};

void write_hello(const Hello& hello, grpc::ClientContext& context);

// Nothing if it is not there or not well-formed.
std::optional<Hello> read_hello(
    const std::multimap<grpc::string_ref, grpc::string_ref>& client_metadata);

// Whether the member `self` is whom the caller means: nothing, or the reason why not.
std::optional<LinkRefusal> refusal_of(const Hello& hello, const Identity& self);

// How a call ends that is not taken, and what one that ended so was told; nothing if it did not.
grpc::Status refusal_status(const LinkRefusal& refusal);
std::optional<LinkRefusal> refusal_in(const grpc::Status& status);

}  // namespace conclave::transport
