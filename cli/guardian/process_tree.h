#pragma once

#include <optional>
#include <vector>

#include <sys/types.h>

namespace conclave::cli {

// Makes every orphan among this process's descendants its child, so that none escapes by forking
// twice and starting a session of its own. Linux; false if the kernel refuses.
bool adopt_orphans();

// All descendants of this process that are not zombies, from one walk over /proc. A process born
// during the walk may be missing, so whoever must reach all walks again until there are none.
std::vector<pid_t> descendants();

// Sends a signal to all descendants; after SIGTERM also SIGCONT, because a stopped process does not
// hear it. Returns one that may not be signalled (it runs as another user), if there is such a one.
std::optional<pid_t> signal_descendants(int signal);

// SIGKILL, again and again, until this process has no child left; blocks so long. For a process
// that adopts orphans and owns all its children.
void kill_all_descendants();

}  // namespace conclave::cli
