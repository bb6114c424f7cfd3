#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <sys/types.h>

namespace conclave::bench {

struct Machine {
  std::string processor;
  int cores = 0;
  std::string kernel;
  double memory_gib = 0;
  double load_1m = 0;  // processes that wanted to run in the last minute, before we began
  std::string filesystem;
};

// `directory` is where the servers will keep their data.
Machine describe_machine(const std::filesystem::path& directory);

// What keeps figures taken now from being worth much, as a sentence; "" if nothing does.
std::string why_not_quiet(const Machine& machine);

// Before something is measured: what was written before, by whomever, goes to the disk now and not
// meanwhile, and what still runs gets a little time to end. Blocks for half a second to ten.
void settle_machine();

// What a process holds in memory; zero if it has ended.
struct Memory {
  double resident_mib = 0;
  double anonymous_mib = 0;  // without mapped files, which the kernel can drop at any time
};
Memory memory_of(pid_t pid);

// Processor time since some moment, of a process with all its threads, ended ones too, and of the
// whole machine.
double process_cpu_seconds(pid_t pid);
double own_cpu_seconds();
double machine_cpu_seconds();

struct Usage {
  double seconds = 0;
  double server_cpu_seconds = 0;  // of all members
  double client_cpu_seconds = 0;
  double others_cpu_seconds = 0;  // what neither took: the kernel's own and whoever else runs
};

// From its making until stop().
class UsageMeter {
 public:
  // Of the servers, none of which may end meanwhile.
  explicit UsageMeter(std::vector<pid_t> servers);
  Usage stop() const;

 private:
  double servers_cpu_seconds() const;

  std::vector<pid_t> servers_;
  std::int64_t start_ns_;
  double servers_start_;
  double client_start_;
  double machine_start_;
};

}  // namespace conclave::bench
