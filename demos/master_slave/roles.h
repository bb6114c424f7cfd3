#pragma once

#include <chrono>
#include <string>

namespace master_slave {

inline constexpr char kElectionName[] = "demo/master";
// How long the store waits for a silent master before the next in line leads.
inline constexpr std::chrono::seconds kSessionTtl{2};
inline constexpr std::chrono::milliseconds kHeartbeatInterval{100};
inline constexpr std::chrono::milliseconds kHeartbeatTimeout{300};

// Each is the main function of one process and returns its exit status. `endpoint` is that of the
// store, `resource` the address of the resource process, `name` what others call this process.

// Campaigns; while it leads, answers the slaves and writes to the resource. SIGTERM: resigns and
// returns.
int run_master(const std::string& name, const std::string& endpoint, const std::string& resource);

// Follows whoever leads. Runs until it is killed.
int run_slave(const std::string& endpoint);

// Takes writes, refuses those of former leaders. Runs until it is killed.
int run_resource();

// Plays the whole story with processes of its own, with `server` as the store, and judges it.
int run_director(const std::string& server);

}  // namespace master_slave
