#include "tests/support/linearizability.h"

namespace conclave::test {

std::string Verdict::text() const {
  if (answer == Answer::linearizable) return "linearizable";
  const std::string what = answer == Answer::undecided ? "undecided" : "not linearizable";
  return what + ", key \"" + key + "\", " + std::to_string(configurations) + " configurations:\n" +
         excerpt;
}

}  // namespace conclave::test
