#include "conclave/listener/library.h"

#include <algorithm>
#include <cstdint>
#include <memory>

#include <grpc/grpc.h>
#include <grpcpp/grpcpp.h>

namespace conclave::listener {

void keep_grpc_initialised() {
  // Never destroyed and never connected: a channel holds on to the threads.
  [[maybe_unused]] static const auto* const kept = [] {
    grpc_init();
    return new std::shared_ptr<grpc::Channel>(
        grpc::CreateChannel("ipv4:127.0.0.1:1", grpc::InsecureChannelCredentials()));
  }();
}

gpr_timespec grpc_time(std::chrono::steady_clock::duration wait) {
  const auto micros = std::chrono::ceil<std::chrono::microseconds>(wait).count();
  return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                      gpr_time_from_micros(std::max<std::int64_t>(micros, 0), GPR_TIMESPAN));
}

}  // namespace conclave::listener
