#pragma once

#include <iostream>

namespace master_slave {

// What the processes tell the director: one line each on their standard output.
//
//   listens ADDRESS            resource, master
//   campaigns                  master: waits in line
//   leads FENCE                master
//   prepares FENCE NUMBER      master: has checked that it leads, is about to send write NUMBER
//   steps_down FENCE REASON…   master
//   attempt MASTER FENCE NUMBER accepted|refused    resource: its journal
//   hears FENCE GAP_MS         slave: that leader answers, GAP_MS after the last answer of any
//   silence                    slave: no answer from the leader it follows
//   error TEXT…                anyone
//
// One thread of a process reports.
template <class... Words>
void report(const Words&... words) {
  const char* separator = "";
  ((std::cout << separator << words, separator = " "), ...);
  std::cout << std::endl;  // the director shall see it now
}

}  // namespace master_slave
