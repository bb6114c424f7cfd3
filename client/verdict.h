#pragma once

#include <cstdint>
#include <string_view>

#include "conclave/base/error.h"
#include "conclave/client/channel.h"

namespace conclave::client {

// What became of a request, as far as its status proves it.
enum class Fate : std::uint8_t {
  succeeded,
  // Proven: it never left this process, or the server refused it before proposing it. Safe to send
  // again.
  not_carried_out,
  // It may have been carried out: the answer is missing, or says itself that the server does not
  // know.
  unknown,
  // The store's answer is no, and would be at every endpoint.
  refused,
  // Refused for the token it carried; worth another try with a new one.
  token_rejected,
};

struct Verdict {
  Fate fate = Fate::succeeded;
  // What to tell the caller if it ends here. For an unknown fate: of a read; of a mutation it is
  // Errc::unknown_outcome.
  Errc code = Errc::unavailable;
};

// Judges by the text first, since etcd's inner errors arrive under several codes, and then by the
// code.
Verdict judge(const CallStatus& status);

// The code for a refusal that arrives as bare text, as a watch's cancel_reason does; perhaps
// wrapped as "rpc error: code = PermissionDenied desc = etcdserver: permission denied".
Verdict judge_text(std::string_view text);

}  // namespace conclave::client
