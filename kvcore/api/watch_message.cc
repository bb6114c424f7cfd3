#include "conclave/api/watch_message.h"

#include <google/protobuf/io/coded_stream.h>

#include "conclave/base/check.h"

namespace conclave::api {

std::string WatchMessage::encoded_id() const {
  if (watch_id == 0) return {};
  constexpr std::uint8_t kTag = etcdserverpb::WatchResponse::kWatchIdFieldNumber << 3;
  std::uint8_t bytes[11] = {kTag};
  const std::uint8_t* end = google::protobuf::io::CodedOutputStream::WriteVarint64ToArray(
      static_cast<std::uint64_t>(watch_id), bytes + 1);
  return {reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(end - bytes)};
}

etcdserverpb::WatchResponse WatchMessage::decode() const {
  etcdserverpb::WatchResponse response;
  const bool decoded = response.ParseFromString(*body);
  CONCLAVE_CHECK(decoded, "a watch response was encoded wrongly");
  response.set_watch_id(watch_id);
  return response;
}

}  // namespace conclave::api
