#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <sys/types.h>

namespace conclave::test {

// How the members of a cluster of processes on this machine reach each other and are reached, each
// under its index: what a test puts between them to cut them off. As it is: by the loopback
// addresses, without anything between.
class MemberNetwork {
 public:
  virtual ~MemberNetwork() = default;

  // One member more, the first is 0, that listens to its peers at `port` of its host: the port that
  // it gives out.
  virtual std::uint16_t add(std::uint16_t port) { return port; }
  virtual std::string host(std::size_t /*member*/) const { return "127.0.0.1"; }
  // What its program is to be started with, before the program's own words.
  virtual std::vector<std::string> starter(std::size_t /*member*/) const { return {}; }
  // It runs as this process from now on.
  virtual void started(std::size_t /*member*/, pid_t /*process*/) {}
};

}  // namespace conclave::test
