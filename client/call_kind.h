#pragma once

#include <cstdint>

namespace conclave {

// What a second sending would do: nothing to a read; a write might be carried out twice.
enum class CallKind : std::uint8_t { read, write };

}  // namespace conclave
