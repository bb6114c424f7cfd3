#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace conclave {

// CRC-32C (Castagnoli polynomial, RFC 3720 appendix B.4) of `bytes`, continuing from `seed`, which
// is the result for the bytes before them, or 0. Uses the SSE 4.2 instruction where the processor
// has it.
std::uint32_t crc32c(std::string_view bytes, std::uint32_t seed = 0);

}  // namespace conclave
