#include "conclave/session/fence.h"

#include <utility>
#include <variant>

#include "conclave/client/store.h"
#include "conclave/session/await.h"

namespace conclave {

GuardedTxn& GuardedTxn::when(Compare compare) {
  inner_.compares.push_back(std::move(compare));
  return *this;
}

GuardedTxn& GuardedTxn::then(Op operation) {
  inner_.success.push_back(std::move(operation));
  return *this;
}

GuardedTxn& GuardedTxn::otherwise(Op operation) {
  inner_.failure.push_back(std::move(operation));
  return *this;
}

Txn GuardedTxn::build() const {
  Txn txn;
  txn.compares.push_back(guard_.compare());
  // Nested, so that a failed guard and a failed condition can be told apart, and neither branch of
  // the caller's runs without the guard.
  txn.success.emplace_back(inner_);
  return txn;
}

Result<TxnResult> GuardedTxn::read(Result<TxnResult> answer) const {
  if (!answer) return answer;
  if (!answer->succeeded) {
    return Error{Errc::not_held, guard_.key() + " is not held any more; nothing was written"};
  }
  if (answer->results.size() != 1) {
    return Error{Errc::refused, "the store's answer does not fit the question"};
  }
  TxnResult* inner = std::get_if<TxnResult>(&answer->results.front());
  if (inner == nullptr) {
    return Error{Errc::refused, "the store's answer does not fit the question"};
  }
  if (!inner->succeeded && inner_.failure.empty()) {
    return Error{Errc::mismatch, "a condition did not hold; nothing was written"};
  }
  // The wire gives no header to a nested answer.
  inner->revision = answer->revision;
  return std::move(*inner);
}

Result<TxnResult> GuardedTxn::commit(Duration timeout) const {
  Store& store = *store_;
  return read(session::await<Result<TxnResult>>(
      store.executor(), [&store, timeout, txn = build()](Store::Done<TxnResult> done) mutable {
        store.txn(std::move(txn), store.executor().now() + timeout, std::move(done));
      }));
}

}  // namespace conclave
