#include <algorithm>
#include <utility>

#include "conclave/client/client.h"
#include "conclave/lock/mutex.h"
#include "conclave/session/await.h"
#include "conclave/session/turn_wait.h"

namespace conclave {

Result<QueueState> Mutex::list(Store& store, const std::string& name) {
  return session::read_queue_state(store, name);
}

Result<QueueState> Mutex::list(Client& client, const std::string& name) {
  return list(client.store(), name);
}

Result<void> Mutex::break_holder(Store& store, const std::string& name, Fence holder) {
  const Result<QueueState> queue = list(store, name);
  if (!queue) return queue.error();
  const Error gone{Errc::not_held, "that holder of " + name + " has gone"};
  if (queue->contenders.empty() || queue->contenders.front().fence != holder) return gone;
  // The head stays the head for as long as its key has this create revision.
  const std::string key = queue->contenders.front().key;
  Txn txn;
  txn.compares.push_back(created_at(key, holder.revision));
  Delete erase;
  erase.key = key;
  txn.success.emplace_back(std::move(erase));
  const Result<TxnResult> answer = session::await<Result<TxnResult>>(
      store.executor(), [&store, &txn](Store::Done<TxnResult> done) {
        store.txn(txn, store.executor().now() + std::chrono::seconds(5), std::move(done));
      });
  if (!answer) return answer.error();
  if (!answer->succeeded) return gone;
  return {};
}

Result<void> Mutex::break_holder(Client& client, const std::string& name, Fence holder) {
  return break_holder(client.store(), name, holder);
}

}  // namespace conclave
