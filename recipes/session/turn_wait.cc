#include "conclave/session/turn_wait.h"

#include <algorithm>
#include <utility>

#include "conclave/session/await.h"
#include "conclave/session/turn_key.h"

namespace conclave::session {
namespace {

WaitStatus status_of(const QueueState& state, const std::string& key, Duration waited) {
  WaitStatus status;
  status.waited = std::chrono::duration_cast<std::chrono::milliseconds>(waited);
  if (!state.contenders.empty()) status.holder = state.contenders.front();
  const auto own = std::ranges::find(state.contenders, key, &Contender::key);
  if (own != state.contenders.end()) status.position = own->position;
  return status;
}

}  // namespace

Result<QueueState> read_queue_state(Store& store, const std::string& name, Duration timeout) {
  const Result<GetResult> read = await<Result<GetResult>>(
      store.executor(), [&store, &name, timeout](Store::Done<GetResult> done) {
        store.get(read_queue(name, SortOrder::ascending, 0), store.executor().now() + timeout,
                  std::move(done));
      });
  if (!read) return read.error();
  return queue_state(name, *read);
}

Result<std::shared_ptr<TurnCore>> wait_for_turn(const std::shared_ptr<SessionCore>& session,
                                                TurnConfig config, const AcquireOptions& options) {
  if (options.stop.stop_requested()) {
    return Error{Errc::cancelled, "the wait for " + config.name + " was cancelled"};
  }
  if (options.deadline) config.deadline = *options.deadline;
  const std::string name = config.name;
  const auto turn = std::make_shared<TurnCore>(session, std::move(config));
  const auto completion = std::make_shared<Completion<Result<void>>>();
  Executor& executor = session->executor();
  const Instant started = executor.now();
  executor.post([turn, completion] {
    turn->start([completion](Result<void> result) { completion->set(std::move(result)); },
                [completion] { completion->nudge(); });
  });
  const std::stop_callback on_stop(
      options.stop, [turn, &executor] { executor.post([turn] { turn->cancel(); }); });
  if (options.on_wait) {
    // The first nudge says that there is somebody to wait for.
    bool waiting = false;
    while (!completion->wait_for(waiting ? options.status_interval : std::chrono::hours(1))) {
      waiting = true;
      const Result<QueueState> state = read_queue_state(session->store(), name);
      if (!state) continue;
      const WaitStatus status = status_of(*state, turn->key(), executor.now() - started);
      // The read may have seen more than the turn has: that its turn has come is for it to say.
      if (status.position > 1) options.on_wait(status);
    }
  }
  const Result<void> result = completion->wait();
  if (!result) return result.error();
  return turn;
}

Result<void> release_turn(const std::shared_ptr<TurnCore>& turn, Duration timeout) {
  Executor& executor = turn->session().executor();
  return await<Result<void>>(executor, [turn, timeout, &executor](TurnCore::Done done) {
    turn->release(executor.now() + timeout, std::move(done));
  });
}

}  // namespace conclave::session
