#pragma once

#include <string>
#include <vector>

#include "conclave/cli/format/endpoint_rows.h"

namespace conclave::cli {

// Boxes as etcdctl draws them. Each row has a text for each title.
std::string draw_table(const std::vector<std::string>& titles, const Rows& rows);

}  // namespace conclave::cli
