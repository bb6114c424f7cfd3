#include "conclave/session/queue.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include <unistd.h>

#include "conclave/session/turn_key.h"
#include "conclave/session/turn_wait.h"

namespace conclave {
namespace {

std::string escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out;
}

std::string unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size()) {
      ++i;
      out += text[i] == 'n' ? '\n' : text[i];
    } else {
      out += text[i];
    }
  }
  return out;
}

std::optional<std::int64_t> number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::int64_t wall_clock_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

std::string HolderInfo::encode() const {
  return "label=" + escape(label) + "\nhost=" + escape(host) + "\npid=" + std::to_string(pid) +
         "\nsince_ms=" + std::to_string(since_ms) + "\n";
}

std::optional<HolderInfo> HolderInfo::decode(std::string_view value) {
  HolderInfo info;
  bool host_seen = false;
  while (!value.empty()) {
    const std::size_t end = value.find('\n');
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view line = value.substr(0, end);
    value.remove_prefix(end + 1);
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos) return std::nullopt;
    const std::string_view name = line.substr(0, equals);
    const std::string_view text = line.substr(equals + 1);
    if (name == "label") {
      info.label = unescape(text);
    } else if (name == "host") {
      info.host = unescape(text);
      host_seen = true;
    } else if (name == "pid" || name == "since_ms") {
      const std::optional<std::int64_t> parsed = number(text);
      if (!parsed) return std::nullopt;
      (name == "pid" ? info.pid : info.since_ms) = *parsed;
    }
  }
  if (!host_seen) return std::nullopt;
  return info;
}

HolderInfo HolderInfo::of_this_process(std::string label) {
  HolderInfo info;
  info.label = std::move(label);
  std::array<char, 256> host{};
  if (gethostname(host.data(), host.size() - 1) == 0) info.host = host.data();
  info.pid = getpid();
  info.since_ms = wall_clock_ms();
  return info;
}

namespace session {

QueueState queue_state(const std::string& name, const GetResult& read) {
  const std::string prefix = queue_prefix(name);
  const std::int64_t now_ms = wall_clock_ms();
  QueueState state;
  state.revision = read.revision;
  for (const KeyValue& kv : read.kvs) {
    if (!is_contender(prefix, kv.key)) continue;
    Contender contender;
    contender.position = static_cast<int>(state.contenders.size()) + 1;
    contender.key = kv.key;
    contender.value = kv.value;
    contender.fence = {kv.create_revision};
    contender.mod_revision = kv.mod_revision;
    contender.lease = kv.lease;
    contender.ours = has_our_tag(prefix, kv.key);
    if (contender.ours) contender.info = HolderInfo::decode(kv.value);
    if (contender.info) {
      contender.age =
          std::chrono::milliseconds(std::max<std::int64_t>(0, now_ms - contender.info->since_ms));
    }
    state.contenders.push_back(std::move(contender));
  }
  return state;
}

}  // namespace session
}  // namespace conclave
