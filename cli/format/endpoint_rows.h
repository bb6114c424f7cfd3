#pragma once

#include <string>
#include <vector>

#include "conclave/cli/format/printer.h"

namespace conclave::cli {

// Members and endpoints as rows of text: the simple format joins their cells with commas, the table
// format draws frames around them.
using Rows = std::vector<std::vector<std::string>>;

Rows member_rows(const etcdserverpb::MemberListResponse& reply);
Rows status_rows(const std::vector<EndpointStatus>& all);
Rows health_rows(const std::vector<EndpointHealth>& all);
Rows hash_rows(const std::vector<EndpointHash>& all);

}  // namespace conclave::cli
