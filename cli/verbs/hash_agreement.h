#pragma once

#include <optional>
#include <vector>

#include "conclave/base/error.h"
#include "conclave/cli/format/printer.h"

namespace conclave::cli {

// Whether hashes that several members gave of the history up to one revision say that they hold the
// same. nullopt: they do. Errors: corrupt, the members hold different data; refused, the hashes say
// nothing about each other, because the members have compacted to different revisions.
std::optional<Error> disagreement(const std::vector<EndpointHash>& all);

}  // namespace conclave::cli
