#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "conclave/base/result.h"
#include "conclave/bench/parameters.h"
#include "conclave/bench/server_process.h"
#include "conclave/bench/workload.h"

namespace conclave::bench {

struct Options {
  std::string help;  // if not empty: print this, and no more
  bool list = false;
  std::string encode;  // the call whose body is to be written to stdout, or ""
  std::int64_t soak_seconds = 0;
  std::int64_t pairs = 5;
  bool pairs_given = false;
  std::vector<const Workload*> workloads;
  std::vector<ServerProgram> servers;  // ours first
  std::filesystem::path directory;     // below which the servers keep their data
  std::filesystem::path output;        // where the results go
  Parameters parameters{};
};

// `bin_dir` has our server, `peers_dir` may have etcd.
Result<Options> parse_options(const std::vector<std::string>& arguments, const std::string& bin_dir,
                              const std::string& peers_dir);

}  // namespace conclave::bench
