#pragma once

#include <cstdint>

namespace conclave::mutants {

// What a run of checks tells on stdout, one line each: where it is, and what it found. A broken
// invariant ends the process, and then the last place told is where that was.
inline constexpr char kAt[] = "mutants: at ";
inline constexpr char kFound[] = "mutants: found ";

// The checks in their fixed order, until one finds something: `sim_seeds` seeds of the simulated
// cluster; the schedules of known bugs; then the core's other tests, those that are quick first.
// Whether something was found. Once in the life of a process.
bool run_checks(std::uint64_t sim_seeds);

}  // namespace conclave::mutants
