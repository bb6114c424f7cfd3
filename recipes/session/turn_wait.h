#pragma once

#include <memory>
#include <string>

#include "conclave/base/result.h"
#include "conclave/client/store.h"
#include "conclave/session/queue.h"
#include "conclave/session/turn_core.h"

namespace conclave::session {

// The queue of `name` as in `read`, which is all of it by create revision. Takes the wall clock for
// ages.
QueueState queue_state(const std::string& name, const GetResult& read);

// One linearizable read of the whole queue. Blocks, `timeout` at most.
Result<QueueState> read_queue_state(Store& store, const std::string& name,
                                    Duration timeout = std::chrono::seconds(5));

// Blocks until `config`'s turn has come, with all that AcquireOptions ask for.
Result<std::shared_ptr<TurnCore>> wait_for_turn(const std::shared_ptr<SessionCore>& session,
                                                TurnConfig config, const AcquireOptions& options);

// Blocks until the turn is given back, `timeout` at most.
Result<void> release_turn(const std::shared_ptr<TurnCore>& turn, Duration timeout);

}  // namespace conclave::session
