#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "conclave/base/check.h"

namespace conclave::bench {

// gRPC's frame around a message: a zero (not compressed), the length in four bytes, big end first.
inline constexpr std::size_t kFrameHeaderBytes = 5;

void append_frame(std::string& out, std::string_view message);

template <class Message>
std::string framed(const Message& message) {
  std::string out;
  append_frame(out, message.SerializeAsString());
  return out;
}

// Cuts a stream's bytes into messages, however they arrive.
class Deframer {
 public:
  // Calls `on_message` with each message that `bytes` completes. False if they are no frames: a
  // compressed message, or one longer than any that a server here sends. Such a stream is to be
  // given up.
  template <class OnMessage>
  bool feed(std::string_view bytes, OnMessage on_message) {
    if (!held_.empty()) {
      held_.append(bytes);
      bytes = held_;
    }
    while (bytes.size() >= kFrameHeaderBytes) {
      const std::size_t size = message_size(bytes);
      if (bytes[0] != 0 || size > kMessageBytesMax) return false;
      if (bytes.size() - kFrameHeaderBytes < size) break;
      on_message(bytes.substr(kFrameHeaderBytes, size));
      bytes.remove_prefix(kFrameHeaderBytes + size);
    }
    // Not assigned from a view into itself.
    if (held_.empty()) {
      held_.assign(bytes);
    } else {
      held_.erase(0, held_.size() - bytes.size());
    }
    return true;
  }

  void clear() { held_.clear(); }
  // Whether a message has begun and not ended.
  bool in_message() const { return !held_.empty(); }

 private:
  static constexpr std::size_t kMessageBytesMax = std::size_t{1} << 30;
  static std::size_t message_size(std::string_view bytes);

  std::string held_;
};

// What a benchmark wants to know of a WatchResponse, found without building the message: a client
// that decodes ten thousand copies of an event would be measured instead of the server.
struct WatchSummary {
  std::int64_t events = 0;
  bool created = false;
  bool canceled = false;
  bool valid = true;  // false: these bytes are no such message
};

WatchSummary summarize_watch_response(std::string_view message);

}  // namespace conclave::bench
