#pragma once

#include <string_view>

namespace conclave {

// Prints the failed condition to stderr and aborts. Never returns.
[[noreturn]] void check_failed(const char* file, int line, const char* condition,
                               std::string_view message);

}  // namespace conclave

// For what cannot happen unless this program is wrong: stays on in release. What the world can do
// (a bad request, a full disk) is a Result instead.
#define CONCLAVE_CHECK(condition, message)                                 \
  do {                                                                     \
    if (!(condition)) [[unlikely]]                                         \
      ::conclave::check_failed(__FILE__, __LINE__, #condition, (message)); \
  } while (false)
