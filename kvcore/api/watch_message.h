#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "conclave/api/rpc.pb.h"

namespace conclave::api {

// A WatchResponse on its way to a client, in the wire's form: `body` is everything but the watch
// id, encoded once and shared by all the watchers that are told the same.
//
// Fields may stand in any order on the wire, so the id and then the body are an encoded
// WatchResponse.
struct WatchMessage {
  std::int64_t watch_id = 0;
  std::shared_ptr<const std::string> body;  // never null once it is sent

  // What stands before the body; empty for watch id 0.
  std::string encoded_id() const;
  // For those who carry it in another form than the wire's.
  etcdserverpb::WatchResponse decode() const;
};

// What one stream is given at a time.
struct WatchBatch {
  std::vector<WatchMessage> messages;  // in the order of the wire
  // So many of the stream's requests have been carried out, and what they were answered has room.
  int requests_taken = 0;
  // Many streams are given something at this moment.
  bool one_of_many = false;
};

}  // namespace conclave::api
