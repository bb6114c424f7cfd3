#pragma once

#include <string>

#include <google/protobuf/message.h>

namespace conclave::cli {

// A message as Go's encoding/json writes the struct that etcd generates from it: fields in the
// order of their declaration, zero values and empty lists left out, 64-bit integers and enums as
// numbers, bytes as base64; a oneof as an object in an object ({"Response":{"ResponsePut":{…}}}).
std::string to_json(const google::protobuf::Message& message);

}  // namespace conclave::cli
