#pragma once

#include <span>

#include "conclave/base/planted_bugs.h"

namespace conclave::mutants {

struct Bug {
  const char* name;
  bool PlantedBugs::*switched_on_by;
  const char* where;
};

// All that can be planted, as in planted_bugs.h.
std::span<const Bug> all_bugs();

}  // namespace conclave::mutants
