#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/member_network.h"
#include "tests/support/process.h"

namespace conclave::test {

// A network of the kernel's: each member in a namespace of its own with an address of its own, at
// one bridge, in a namespace that only the calling thread and what it starts are in. One member's
// packets to another can be cut, as a switch or a firewall cuts them: nobody is told.
//
// Caveats. Needs to be root, and the `ip` and `nsenter` commands. The thread stays in the new
// namespace, where there is no other network, so make it first of all and in a program of its own.
// All is gone with the process.
//
// Threads: one, that which made it.
class NamespaceNetwork final : public MemberNetwork {
 public:
  // nullptr: it cannot be made here.
  static std::unique_ptr<NamespaceNetwork> make(std::size_t members);

  std::string host(std::size_t member) const override;
  std::vector<std::string> starter(std::size_t member) const override;

  // No packet of `from` comes to `to` any more, acknowledgements among them.
  void cut(std::size_t from, std::size_t to);
  void heal();

 private:
  NamespaceNetwork() = default;
  bool add_host(std::size_t member);
  bool run(std::vector<std::string> words);
  bool run_in(std::size_t member, std::vector<std::string> words);

  TempDir scratch_;
  int runs_ = 0;
  std::vector<std::unique_ptr<Process>> holders_;  // of the members' namespaces
  std::set<std::pair<std::size_t, std::size_t>> cut_;
};

}  // namespace conclave::test
