#pragma once

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/message_lite.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/support/proto_buffer_reader.h>

namespace conclave::server {

// A request off the wire, readable or not. With the message itself as its type, gRPC would say
// UNIMPLEMENTED to a call whose bytes cannot be read, which clients take for a missing feature, and
// would let a stream's bytes pass for the client's last word.
template <class Message>
struct Incoming {
  Message* message = nullptr;  // where it is decoded to; set before gRPC reads
  bool readable = false;
};

inline grpc::Status unreadable_request() {
  return {grpc::StatusCode::INTERNAL,
          "the request cannot be read: it is no message of its kind, or nested too deeply"};
}

// Protobuf's own limit is 100. A transaction of 128 operations may be nested as deep, at two levels
// each; more is refused for their number.
inline constexpr int kNestingMax = 300;

// Reads again what protobuf's own limit may have refused.
inline bool parse_deep(grpc::ByteBuffer* bytes, google::protobuf::MessageLite& message) {
  grpc::ProtoBufferReader reader(bytes);
  google::protobuf::io::CodedInputStream input(&reader);
  input.SetRecursionLimit(kNestingMax);
  return message.ParseFromCodedStream(&input) && input.ConsumedEntireMessage();
}

}  // namespace conclave::server

namespace grpc {

template <class Message>
class SerializationTraits<conclave::server::Incoming<Message>, void> {
 public:
  static Status Deserialize(ByteBuffer* bytes, conclave::server::Incoming<Message>* incoming) {
    {
      ProtoBufferReader reader(bytes);
      incoming->readable =
          reader.status().ok() && incoming->message->ParseFromZeroCopyStream(&reader);
    }
    if (!incoming->readable) {
      incoming->readable = conclave::server::parse_deep(bytes, *incoming->message);
    }
    bytes->Clear();
    return Status::OK;
  }
};

}  // namespace grpc
