#pragma once

#include <optional>
#include <span>
#include <string>

#include "conclave/api/rpc.pb.h"
#include "conclave/base/result.h"
#include "conclave/cli/args/parse.h"

namespace conclave::cli {

// put, get and del: their command lines, which are also the operations of a transaction's text, and
// the requests that they stand for. Errors are invalid_argument and name the flag or operand.
std::span<const Verb> kv_verbs();

Result<etcdserverpb::RangeRequest> range_request(const Arguments& arguments);
// The value is the second operand, else what `read_value` yields.
Result<etcdserverpb::PutRequest> put_request(const Arguments& arguments,
                                             const std::function<std::string()>& read_value);
Result<etcdserverpb::DeleteRangeRequest> delete_request(const Arguments& arguments);

// Key and end of a range as the flags --prefix and --from-key ask for them.
struct KeyRange {
  std::string key{};
  std::string range_end{};
};
Result<KeyRange> key_range(const Arguments& arguments);

}  // namespace conclave::cli
