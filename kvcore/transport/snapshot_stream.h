#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "conclave/base/result.h"

namespace conclave::transport {

// A snapshot on its way out. Used and destroyed by one thread of the transport, which may block.
class SnapshotSource {
 public:
  virtual ~SnapshotSource() = default;

  // The next chunk, not empty and of at most Options::packet_bytes_max; nothing at the end. Not
  // called again after the end or an error.
  virtual Result<std::optional<std::string>> next() = 0;
};

// A snapshot on its way in. Used and destroyed by one thread of the transport, which may block;
// another snapshot's sink waits meanwhile.
//
// Destroyed without finish(): the snapshot was cut off, or a call failed.
class SnapshotSink {
 public:
  virtual ~SnapshotSink() = default;

  // The chunks in order. Not called again after an error, which the sender is told.
  virtual Result<void> write(std::string_view chunk) = 0;

  // All chunks have come: makes the snapshot durable and hands it on. The sender waits for the
  // result.
  virtual Result<void> finish() = 0;
};

}  // namespace conclave::transport
