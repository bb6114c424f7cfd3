#pragma once

#include "conclave/bench/options.h"

namespace conclave::bench {

// Steady puts, watchers and renewals (W2, W6, W10 at once) with compactions, on each server in
// turn; prints its memory every ten seconds and the latencies at the end. Returns the program's
// exit status.
int soak(const Options& options);

}  // namespace conclave::bench
