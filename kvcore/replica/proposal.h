#pragma once

#include <cstdint>

#include "conclave/replica/proposal.pb.h"

namespace conclave::replica {

// Raised when a reader of the older version would carry out an entry wrongly.
inline constexpr std::uint32_t kProposalVersion = 1;

}  // namespace conclave::replica
