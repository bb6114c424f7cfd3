#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <utility>

#include "conclave/base/clock.h"
#include "conclave/base/result.h"
#include "conclave/client/types.h"

namespace conclave {

class Store;

// A number that grows with each new holder of a name: the store's revision at which the holder's
// key was created. Hand it to a resource of your own, which must remember the highest fence it has
// seen and refuse anything below it. Fences of one name in one store compare; others mean nothing
// to each other.
struct Fence {
  std::int64_t revision = 0;

  friend auto operator<=>(const Fence&, const Fence&) = default;
};

// "Only if it is still mine": the holder's key and its fence, as a condition of a transaction. A
// copy is a plain value; it stays true or false to its one holding, whatever becomes of the handle
// it came from.
//
//   Txn txn;
//   txn.compares.push_back(lock->guard().compare());
//   txn.success.push_back(Put{.key = "deploy/state", .value = "done"});
class Guard {
 public:
  Guard() = default;
  Guard(std::string key, Fence fence) : key_(std::move(key)), fence_(fence) {}

  const std::string& key() const { return key_; }
  Fence fence() const { return fence_; }
  Compare compare() const { return created_at(key_, fence_.revision); }

 private:
  std::string key_;
  Fence fence_;
};

// A transaction that carries a guard by itself: nothing of it happens, in either branch, unless the
// holding is still there at the very revision at which it would take effect. This is what makes a
// write safe after a pause that no client can notice.
//
//   Result<TxnResult> done =
//       lock->txn().then(Put{.key = "deploy/state", .value = "done"}).commit();
//
// Not thread-safe; it may be committed once. The store must outlive it.
class GuardedTxn {
 public:
  GuardedTxn(Store& store, Guard guard) : store_(&store), guard_(std::move(guard)) {}

  GuardedTxn& when(Compare compare);
  GuardedTxn& then(Op operation);
  GuardedTxn& otherwise(Op operation);

  // The transaction as it goes to the store, for those who send it themselves: if the guard does
  // not hold, `succeeded` is false and nothing was done; otherwise the one result is that of the
  // inner transaction with your conditions.
  Txn build() const;

  // Sends it and waits, `timeout` at most. The result is that of your own conditions and
  // operations: `succeeded` tells which of your branches was taken.
  //
  // Errors: not_held: the guard failed, nothing was written, and it never will be under this fence.
  // mismatch: a when() failed and there was no otherwise(): nothing was written. unavailable:
  // nothing was written. unknown_outcome: sent and not answered: read before you write again; if it
  // was carried out, it was under the guard. Others as in conclave/base/error.h.
  Result<TxnResult> commit(Duration timeout = std::chrono::seconds(5)) const;

  // What commit() makes of the store's answer.
  Result<TxnResult> read(Result<TxnResult> answer) const;

 private:
  Store* store_;
  Guard guard_;
  Txn inner_;
};

}  // namespace conclave
