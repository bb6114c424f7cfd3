#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "conclave/base/clock.h"
#include "conclave/cli/guardian/deadline.h"

namespace conclave::cli {

// What the lock's keeper tells its guardian. One message is one packet of a SOCK_SEQPACKET pair.
struct ToGuardian {
  enum class Kind : std::uint8_t {
    start = 1,       // run the command: `ttl`, `valid_until`, `environment`
    extend = 2,      // `valid_until`
    signal = 3,      // pass `signal` on to the command
    end = 4,         // the lock is lost: end the command at once
    foreground = 5,  // the shell has put this job into the foreground
  };
  Kind kind = Kind::extend;
  Instant valid_until{};
  Duration ttl{};
  int signal = 0;
  std::vector<std::pair<std::string, std::string>> environment;
};

// What became of the command. Sent once, when none of its processes is left.
struct CommandEnd {
  bool started = false;
  int error_number = 0;  // not started: why
  int wait_status = 0;   // as waitpid's
  EndCause cause = EndCause::none;
};

std::string encode(const ToGuardian& message);
std::string encode(const CommandEnd& end);
// Nothing, if the bytes are not such a message.
std::optional<ToGuardian> decode_to_guardian(std::string_view bytes);
std::optional<CommandEnd> decode_command_end(std::string_view bytes);

}  // namespace conclave::cli
