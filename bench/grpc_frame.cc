#include "conclave/bench/grpc_frame.h"

#include <optional>

namespace conclave::bench {
namespace {

// Field numbers of etcdserverpb.WatchResponse.
constexpr std::uint64_t kCreatedField = 3;
constexpr std::uint64_t kCanceledField = 4;
constexpr std::uint64_t kEventsField = 11;

enum WireType : std::uint64_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

std::optional<std::uint64_t> take_varint(std::string_view& rest) {
  std::uint64_t value = 0;
  for (int shift = 0; shift < 64 && !rest.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(rest.front());
    rest.remove_prefix(1);
    value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  return std::nullopt;
}

bool skip(std::string_view& rest, std::uint64_t count) {
  if (count > rest.size()) return false;
  rest.remove_prefix(count);
  return true;
}

}  // namespace

void append_frame(std::string& out, std::string_view message) {
  CONCLAVE_CHECK(message.size() <= UINT32_MAX, "a message too long for a frame");
  const auto size = static_cast<std::uint32_t>(message.size());
  const char header[kFrameHeaderBytes] = {0, static_cast<char>(size >> 24),
                                          static_cast<char>(size >> 16),
                                          static_cast<char>(size >> 8), static_cast<char>(size)};
  out.append(header, sizeof(header));
  out.append(message);
}

std::size_t Deframer::message_size(std::string_view bytes) {
  std::size_t size = 0;
  for (std::size_t i = 1; i < kFrameHeaderBytes; ++i) {
    size = size << 8 | static_cast<unsigned char>(bytes[i]);
  }
  return size;
}

WatchSummary summarize_watch_response(std::string_view message) {
  WatchSummary summary;
  while (!message.empty() && summary.valid) {
    const std::optional<std::uint64_t> tag = take_varint(message);
    if (!tag) return {.valid = false};
    const std::uint64_t field = *tag >> 3;
    switch (*tag & 7) {
      case WireType::varint: {
        const auto value = take_varint(message);
        summary.valid = value.has_value();
        if (field == kCreatedField) summary.created = value.value_or(0) != 0;
        if (field == kCanceledField) summary.canceled = value.value_or(0) != 0;
        break;
      }
      case WireType::bytes: {
        const auto size = take_varint(message);
        summary.valid = size && skip(message, *size);
        if (field == kEventsField) ++summary.events;
        break;
      }
      case WireType::fixed64:
        summary.valid = skip(message, 8);
        break;
      case WireType::fixed32:
        summary.valid = skip(message, 4);
        break;
      default:
        summary.valid = false;
    }
  }
  if (!summary.valid) return {.valid = false};
  return summary;
}

}  // namespace conclave::bench
