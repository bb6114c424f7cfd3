#include "conclave/base/error.h"

namespace conclave {

std::string_view name_of(Errc code) {
  switch (code) {
    case Errc::would_block:
      return "would_block";
    case Errc::timed_out:
      return "timed_out";
    case Errc::cancelled:
      return "cancelled";
    case Errc::unavailable:
      return "unavailable";
    case Errc::unknown_outcome:
      return "unknown_outcome";
    case Errc::not_held:
      return "not_held";
    case Errc::session_lost:
      return "session_lost";
    case Errc::mismatch:
      return "mismatch";
    case Errc::not_found:
      return "not_found";
    case Errc::compacted:
      return "compacted";
    case Errc::permission_denied:
      return "permission_denied";
    case Errc::resource_exhausted:
      return "resource_exhausted";
    case Errc::refused:
      return "refused";
    case Errc::invalid_argument:
      return "invalid_argument";
    case Errc::io:
      return "io";
    case Errc::corrupt:
      return "corrupt";
  }
  return "unnamed";
}

}  // namespace conclave
