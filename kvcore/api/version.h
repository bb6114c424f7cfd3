#pragma once

#include <string_view>

namespace conclave::api {

// What Status says: the release of the etcd API that the server's behaviour follows.
// Clients parse it as a semantic version and switch features on by it.
inline constexpr std::string_view kApiVersion = "3.6.0";

// What an etcd of that release calls its storage's version in Status: with 0 for the patch.
inline constexpr std::string_view kStorageVersion = "3.6.0";

}  // namespace conclave::api
