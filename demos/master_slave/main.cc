#include <filesystem>
#include <iostream>
#include <string>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include "conclave/master_slave/roles.h"

namespace {

constexpr char kUsage[] =
    "usage: master_slave [--server PATH]\n"
    "\n"
    "Starts a store, three masters, five slaves and a resource on this machine, kills\n"
    "the leading master, pauses the next, and shows who leads and whose writes count.\n"
    "Takes about 20 seconds and leaves nothing behind.\n"
    "\n"
    "  --server PATH  the store: conclaved or etcd (default: conclaved beside this\n"
    "                 program)\n"
    "\n"
    "Exit status: 0 all went well; 1 a step did not come about, or two masters both\n"
    "got a write through, or standard output cannot be written; 2 usage.\n";

std::string server_beside_this_program() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  return (self.parent_path() / "conclaved").string();
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  const std::string verb = words.empty() ? "" : words[0];
  // What is opened next would take its place, and be written to.
  if (fcntl(STDOUT_FILENO, F_GETFD) < 0) {
    std::cerr << "master_slave: standard output is closed\n";
    return 1;
  }
  if (words.empty()) return master_slave::run_director(server_beside_this_program());
  if (verb == "--server" && words.size() == 2) return master_slave::run_director(words[1]);
  // What the director starts.
  if (verb == "master" && words.size() == 4) {
    return master_slave::run_master(words[1], words[2], words[3]);
  }
  if (verb == "slave" && words.size() == 2) return master_slave::run_slave(words[1]);
  if (verb == "resource" && words.size() == 1) return master_slave::run_resource();
  const bool asked = verb == "--help" || verb == "-h";
  (asked ? std::cout : std::cerr) << kUsage;
  return asked ? 0 : 2;
}
