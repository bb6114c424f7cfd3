#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "conclave/base/result.h"
#include "conclave/server/grpc_front.h"
#include "conclave/server/log.h"
#include "conclave/server/node.h"

namespace conclave::server {

// What `conclaved` runs with, checked as far as that goes without touching the machine.
struct Config {
  NodeOptions node;
  FrontOptions front;
  LogOptions log;
};

// A command line either configures a server or asks for a text.
struct CommandLine {
  std::optional<Config> config;
  std::string text;  // of --help or --version, if there is no config
};

// The value of an environment variable, if it is set.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;

// Flags are named as etcd's; each may come as CONCLAVE_<NAME> instead, and the flag wins.
// `arguments` are those after the program's name.
//
// Errors: Errc::invalid_argument for an unknown flag, a malformed value or flags that do not go
// together; the message is one line that names flag and value.
Result<CommandLine> parse_command_line(const std::vector<std::string>& arguments,
                                       const Environment& environment);

}  // namespace conclave::server
