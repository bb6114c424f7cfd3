#pragma once

#include <string>
#include <string_view>

namespace conclave {

// What went wrong, grouped by what the caller should do about it.
//
// The names are part of the interface: code may switch on them. The text that comes with an Error
// is for people and may change.
enum class Errc {
  // Nothing is held and nothing was changed; ask again if you like.
  would_block = 1,
  timed_out,
  cancelled,
  // No server, or no leader behind it, could be reached, and the request was surely not carried
  // out.
  unavailable,
  // The request was sent and no answer came: it may have been carried out. Read before you write
  // again.
  unknown_outcome,
  // What you act upon is yours no more: acquire again, or open a new Session.
  not_held,
  session_lost,
  // The store answered, and the answer is no.
  mismatch,            // a compare did not hold
  not_found,           // no such key, lease or member
  compacted,           // the asked-for revision is gone
  permission_denied,   // the user may not, or who it is was not proven
  resource_exhausted,  // a quota or a limit of the store is reached
  refused,             // any other refusal, with the store's own text
  // The request itself is wrong; the same request can never succeed.
  invalid_argument,
  // This process's own world: files, sockets, children.
  io,
  corrupt,  // stored bytes are not what was written
};

std::string_view name_of(Errc code);

// An error code and a sentence for the person who reads it: what failed, on which name or path,
// what to do.
struct Error {
  Errc code;
  std::string message;

  friend bool operator==(const Error&, const Error&) = default;
};

}  // namespace conclave
