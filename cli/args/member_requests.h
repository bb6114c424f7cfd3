#pragma once

#include <cstdint>

#include "conclave/api/rpc.pb.h"
#include "conclave/base/result.h"
#include "conclave/cli/args/parse.h"

namespace conclave::cli {

// The requests that the command lines of the member verbs stand for. Errors are invalid_argument
// and say what was expected.

// The member that the first operand names, by its hexadecimal id.
Result<std::uint64_t> member_operand(const Arguments& arguments);

// The name is the first operand. It is no part of the request: the member brings it along when it
// starts. It is checked here, since it stands in the new member's --initial-cluster.
Result<etcdserverpb::MemberAddRequest> member_add_request(const Arguments& arguments);
Result<etcdserverpb::MemberUpdateRequest> member_update_request(const Arguments& arguments);

}  // namespace conclave::cli
