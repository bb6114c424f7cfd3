#pragma once

#include <string>

#include "conclave/api/rpc.pb.h"

namespace conclave::cli {

// What a member that has just been added must be started with. `name` is the new member's; the
// others' are the cluster's own.

// "m0=http://10.0.0.1:2380,m3=http://10.0.0.4:2380": all members, the new one among them.
std::string initial_cluster(const std::string& name, const etcdserverpb::MemberAddResponse& reply);
// The flags of etcd and conclaved, quoted for a shell where it takes that, without line end.
std::string start_flags(const std::string& name, const etcdserverpb::MemberAddResponse& reply);
// Other members that nobody has started yet: their names are not known, and must be filled in. The
// peer URLs of each, with commas between.
std::string nameless_peers(const etcdserverpb::MemberAddResponse& reply);

}  // namespace conclave::cli
