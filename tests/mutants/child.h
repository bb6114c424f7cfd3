#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include <sys/types.h>

#include "tests/mutants/bugs.h"

namespace conclave::mutants {

// The checks on one bug, in a process of their own: what they find may end it.
class Child {
 public:
  struct Outcome {
    bool found = false;
    std::string by;       // the check
    std::string message;  // the first one
    double seconds = 0;
  };

  // Null: no bug at all.
  Child(const Bug* bug, std::uint64_t sim_seeds);
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child();

  // Readable when there is something for read_some().
  int output() const { return output_; }
  // False once the process has told everything.
  bool read_some();
  // Waits for its end.
  Outcome outcome();

 private:
  pid_t pid_ = -1;
  int output_ = -1;
  std::string text_;
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
};

}  // namespace conclave::mutants
