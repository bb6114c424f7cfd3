#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "conclave/cli/format/printer.h"

namespace conclave::cli {

// Members and endpoints as rows of text: the simple format joins their cells with commas, the table
// format draws frames around them.
using Rows = std::vector<std::vector<std::string>>;

std::vector<std::string> member_row(const etcdserverpb::Member& member);
Rows member_rows(const etcdserverpb::MemberListResponse& reply);
// Whether the bytes in use have a column of their own, beside the file's size.
enum class InUse : std::uint8_t { hidden, shown };
Rows status_rows(const std::vector<EndpointStatus>& all, InUse in_use);
Rows health_rows(const std::vector<EndpointHealth>& all);
Rows hash_rows(const std::vector<EndpointHash>& all);

}  // namespace conclave::cli
