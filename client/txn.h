#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "conclave/client/client.h"
#include "conclave/client/types.h"

namespace conclave {

// Conditions of the usual kinds; created_at() is in types.h.
inline Compare absent(std::string key) {
  return created_at(std::move(key), 0);
}

inline Compare exists(std::string key) {
  Compare compare = created_at(std::move(key), 0);
  compare.relation = Compare::Relation::greater;
  return compare;
}

inline Compare modified_at(std::string key, std::int64_t revision) {
  Compare compare;
  compare.key = std::move(key);
  compare.target = Compare::Target::mod_revision;
  compare.number = revision;
  return compare;
}

inline Compare value_is(std::string key, std::string value) {
  Compare compare;
  compare.key = std::move(key);
  compare.target = Compare::Target::value;
  compare.value = std::move(value);
  return compare;
}

// A transaction, written down in the order in which it reads: when all conditions hold, then these
// operations, otherwise those. Nothing is sent before commit(), which may be called once.
//
//   Result<TxnResult> taken = client.txn()
//       .when(absent("job/owner"))
//       .then(Put{.key = "job/owner", .value = "me"})
//       .otherwise(Get{.key = "job/owner"})
//       .commit();
//   if (taken && taken->succeeded) work();
//
// Must not outlive its client. Not thread-safe.
class TxnBuilder {
 public:
  explicit TxnBuilder(Client& client) : client_(&client) {}

  TxnBuilder& when(Compare compare);
  TxnBuilder& then(Op op);
  TxnBuilder& otherwise(Op op);

  // Blocks and fails as Client::txn() does.
  Result<TxnResult> commit(const CallOptions& options = {}) {
    return client_->txn(std::move(txn_), options);
  }

 private:
  Client* client_;
  Txn txn_;
};

inline TxnBuilder Client::txn() {
  return TxnBuilder(*this);
}

}  // namespace conclave
