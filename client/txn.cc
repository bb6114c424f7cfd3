#include "conclave/client/txn.h"

#include <utility>

namespace conclave {

TxnBuilder& TxnBuilder::when(Compare compare) {
  txn_.compares.push_back(std::move(compare));
  return *this;
}

TxnBuilder& TxnBuilder::then(Op op) {
  txn_.success.push_back(std::move(op));
  return *this;
}

TxnBuilder& TxnBuilder::otherwise(Op op) {
  txn_.failure.push_back(std::move(op));
  return *this;
}

}  // namespace conclave
