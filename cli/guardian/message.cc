#include "conclave/cli/guardian/message.h"

#include "conclave/base/bytes.h"

namespace conclave::cli {
namespace {

void append_text(std::string& out, std::string_view text) {
  append_le(out, static_cast<std::uint32_t>(text.size()));
  out.append(text);
}

std::optional<std::string> take_text(ByteReader& reader) {
  const auto size = reader.le<std::uint32_t>();
  if (!size) return std::nullopt;
  const auto text = reader.take(*size);
  if (!text) return std::nullopt;
  return std::string(*text);
}

}  // namespace

std::string encode(const ToGuardian& message) {
  std::string out;
  append_le(out, static_cast<std::uint8_t>(message.kind));
  append_le(out, static_cast<std::int64_t>(message.valid_until.time_since_epoch().count()));
  append_le(out, static_cast<std::int64_t>(message.ttl.count()));
  append_le(out, static_cast<std::int32_t>(message.signal));
  append_le(out, static_cast<std::uint32_t>(message.environment.size()));
  for (const auto& [name, value] : message.environment) {
    append_text(out, name);
    append_text(out, value);
  }
  return out;
}

std::string encode(const CommandEnd& end) {
  std::string out;
  append_le(out, static_cast<std::uint8_t>(end.started ? 1 : 0));
  append_le(out, static_cast<std::int32_t>(end.error_number));
  append_le(out, static_cast<std::int32_t>(end.wait_status));
  append_le(out, static_cast<std::uint8_t>(end.cause));
  return out;
}

std::optional<ToGuardian> decode_to_guardian(std::string_view bytes) {
  ByteReader reader(bytes);
  const auto kind = reader.le<std::uint8_t>();
  const auto valid_until = reader.le<std::int64_t>();
  const auto ttl = reader.le<std::int64_t>();
  const auto signal = reader.le<std::int32_t>();
  const auto variables = reader.le<std::uint32_t>();
  if (!kind || !valid_until || !ttl || !signal || !variables) return std::nullopt;
  if (*kind < 1 || *kind > static_cast<std::uint8_t>(ToGuardian::Kind::foreground)) {
    return std::nullopt;
  }
  ToGuardian message;
  message.kind = static_cast<ToGuardian::Kind>(*kind);
  message.valid_until = Instant(Duration(*valid_until));
  message.ttl = Duration(*ttl);
  message.signal = *signal;
  for (std::uint32_t i = 0; i < *variables; ++i) {
    auto name = take_text(reader);
    auto value = take_text(reader);
    if (!name || !value) return std::nullopt;
    message.environment.emplace_back(std::move(*name), std::move(*value));
  }
  return message;
}

std::optional<CommandEnd> decode_command_end(std::string_view bytes) {
  ByteReader reader(bytes);
  const auto started = reader.le<std::uint8_t>();
  const auto error_number = reader.le<std::int32_t>();
  const auto wait_status = reader.le<std::int32_t>();
  const auto cause = reader.le<std::uint8_t>();
  if (!started || !error_number || !wait_status || !cause) return std::nullopt;
  if (*cause > static_cast<std::uint8_t>(EndCause::abandoned)) return std::nullopt;
  return CommandEnd{.started = *started != 0,
                    .error_number = *error_number,
                    .wait_status = *wait_status,
                    .cause = static_cast<EndCause>(*cause)};
}

}  // namespace conclave::cli
