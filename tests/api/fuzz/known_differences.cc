#include "tests/api/fuzz/known_differences.h"

namespace conclave::test {

namespace pb = etcdserverpb;

void drop_keys_only_leases(const pb::RangeRequest& request, pb::RangeResponse& response) {
  if (!request.keys_only()) return;
  for (mvccpb::KeyValue& kv : *response.mutable_kvs()) kv.clear_lease();
}

void drop_keys_only_leases(const pb::TxnRequest& request, pb::TxnResponse& response) {
  const auto& operations = response.succeeded() ? request.success() : request.failure();
  for (int i = 0; i < operations.size() && i < response.responses_size(); ++i) {
    const pb::RequestOp& operation = operations[i];
    pb::ResponseOp& answer = *response.mutable_responses(i);
    if (operation.has_request_range() && answer.has_response_range()) {
      drop_keys_only_leases(operation.request_range(), *answer.mutable_response_range());
    } else if (operation.has_request_txn() && answer.has_response_txn()) {
      drop_keys_only_leases(operation.request_txn(), *answer.mutable_response_txn());
    }
  }
}

}  // namespace conclave::test
