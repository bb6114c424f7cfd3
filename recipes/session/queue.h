#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "conclave/base/clock.h"
#include "conclave/base/result.h"
#include "conclave/client/types.h"
#include "conclave/session/fence.h"

namespace conclave {

// What a contender says about itself, kept as its key's value:
//
//   label=rollout
//   host=web-3
//   pid=4711
//   since_ms=1760000000000
//
// one "name=value" a line, ended by "\n"; '\\' and newlines within a value are written "\\\\" and
// "\\n". A reader skips names it does not know.
struct HolderInfo {
  std::string label;
  std::string host;
  std::int64_t pid = 0;
  // When it asked, in milliseconds since 1970 by its own wall clock. For people, never for
  // decisions.
  std::int64_t since_ms = 0;

  std::string encode() const;
  // nullopt: not of this form, so somebody else's.
  static std::optional<HolderInfo> decode(std::string_view value);
  // This process, now.
  static HolderInfo of_this_process(std::string label);
};

// One key in the queue of a name.
struct Contender {
  int position = 1;  // 1: it holds
  std::string key;
  std::string value;  // as it stands in the store
  Fence fence;
  std::int64_t mod_revision = 0;
  LeaseId lease = 0;
  bool ours = false;  // made by this library; else by etcdctl, Go's concurrency, v3lock …
  std::optional<HolderInfo> info;  // where the value can be read
  // Since it asked, by two machines' wall clocks; nullopt where nothing tells. Never below 0.
  std::optional<std::chrono::milliseconds> age;
};

// The holder and the waiters of a name at one revision, in the order in which they get their turn.
struct QueueState {
  std::int64_t revision = 0;
  std::vector<Contender> contenders;
};

// Where a waiting contender stands.
struct WaitStatus {
  int position = 0;                 // 2: next; 0: not in the queue any more
  std::optional<Contender> holder;  // nullopt: left since
  std::chrono::milliseconds waited{};
};

// How to wait for a turn.
struct AcquireOptions {
  std::stop_token stop{};
  std::optional<Instant> deadline{};
  // Called on the waiting thread itself, once it is clear that there is somebody to wait for,
  // whenever the one before changes, and every `status_interval`. Each call costs one read of the
  // queue. It may take its time: what it delays is only this thread's notice of its turn. It must
  // not throw.
  std::function<void(const WaitStatus&)> on_wait{};
  std::chrono::milliseconds status_interval{5000};
};

}  // namespace conclave
