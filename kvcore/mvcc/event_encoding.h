#pragma once

#include <cstdint>

#include "conclave/mvcc/watch_hub.h"

namespace conclave::mvcc {

// The piece's events for a WatchResponse, with prev_kv where the watcher asked for it and the store
// still has it: ask soon after take(). An event is encoded once, however many watchers get it,
// unless its revision is too large to keep a second copy of.
//
// It stops above `bytes_max`, and the result is then longer than that.
SharedEncoding encode_events(const WatchPiece& piece, const WatchSpec& spec, const Store& store,
                             std::uint64_t bytes_max = UINT64_MAX);

}  // namespace conclave::mvcc
