#include "conclave/transport/handshake.h"

#include <charconv>
#include <cstdint>

#include "conclave/base/bytes.h"

namespace conclave::transport {
namespace {

constexpr char kCluster[] = "conclave-cluster";
constexpr char kMember[] = "conclave-member";
constexpr char kIncarnation[] = "conclave-incarnation";
constexpr char kTo[] = "conclave-to";

// Codes that gRPC itself never ends a call with.
constexpr grpc::StatusCode kForNow = grpc::StatusCode::FAILED_PRECONDITION;
constexpr grpc::StatusCode kFinal = grpc::StatusCode::NOT_FOUND;

}  // namespace

void write_hello(const Hello& hello, grpc::ClientContext& context) {
  context.AddMetadata(kCluster, std::to_string(hello.from.cluster_id));
  context.AddMetadata(kMember, std::to_string(hello.from.member));
  context.AddMetadata(kIncarnation, std::to_string(hello.from.incarnation));
  context.AddMetadata(kTo, std::to_string(hello.to));
}

std::optional<Hello> read_hello(
    const std::multimap<grpc::string_ref, grpc::string_ref>& client_metadata) {
  bool is_whole = true;
  const auto number = [&](const char* key) {
    std::uint64_t value = 0;
    const auto found = client_metadata.find(key);
    if (found == client_metadata.end()) {
      is_whole = false;
      return value;
    }
    const char* const end = found->second.data() + found->second.size();
    const auto [stop, error] = std::from_chars(found->second.data(), end, value);
    if (error != std::errc() || stop != end) is_whole = false;
    return value;
  };
  Hello hello;
  hello.from.cluster_id = number(kCluster);
  hello.from.member = number(kMember);
  hello.from.incarnation = number(kIncarnation);
  hello.to = number(kTo);
  if (!is_whole) return std::nullopt;
  return hello;
}

std::optional<LinkRefusal> refusal_of(const Hello& hello, const Identity& self) {
  if (hello.from.cluster_id != self.cluster_id) {
    return LinkRefusal{"this member is of the cluster " + hex(self.cluster_id) + ", not of " +
                       hex(hello.from.cluster_id)};
  }
  if (hello.to != self.member) {
    return LinkRefusal{"this is the member " + hex(self.member) + ", not " + hex(hello.to)};
  }
  return std::nullopt;
}

grpc::Status refusal_status(const LinkRefusal& refusal) {
  return {refusal.is_final ? kFinal : kForNow, refusal.reason};
}

std::optional<LinkRefusal> refusal_in(const grpc::Status& status) {
  if (status.error_code() != kFinal && status.error_code() != kForNow) return std::nullopt;
  return LinkRefusal{status.error_message(), status.error_code() == kFinal};
}

}  // namespace conclave::transport
