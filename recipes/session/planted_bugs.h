#pragma once

#include "conclave/base/planted_bugs.h"

// Bugs to order, for the test that shows that the simulation finds them. They exist only in a
// test's own build of these sources, with CONCLAVE_PLANTED_BUGS defined. How they are asked for,
// and that the shipped library has none: see base/planted_bugs.h.
#ifdef CONCLAVE_PLANTED_BUGS

namespace conclave::session {

struct PlantedBugs {
  bool wait_on_predecessor_only = false;  // not on the own key, nor on the session
  bool release_by_name = false;        // all that the session has under the name, without a compare
  bool ignore_expiry = false;          // valid until the store says otherwise
  bool forget_cancelled_key = false;   // a wait that ends early leaves its key
  bool forget_strays = false;          // of creations that were never answered
  bool validity_from_receipt = false;  // of a renewal, and not from its sending
};

inline thread_local PlantedBugs planted_bugs;

}  // namespace conclave::session

#endif
