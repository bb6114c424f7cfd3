#include "conclave/listener/library.h"

#include <memory>

#include <grpc/grpc.h>
#include <grpcpp/grpcpp.h>

namespace conclave::listener {

void keep_grpc_initialised() {
  // Never destroyed and never connected: a channel holds on to the threads. Volatile, or the
  // compiler forgets where it is, and it counts as leaked.
  [[maybe_unused]] static const auto* volatile kept = [] {
    grpc_init();
    return new std::shared_ptr<grpc::Channel>(
        grpc::CreateChannel("ipv4:127.0.0.1:1", grpc::InsecureChannelCredentials()));
  }();
}

gpr_timespec grpc_time(std::chrono::steady_clock::duration wait) {
  // gRPC rounds up to whole milliseconds: until now would be a wait of one.
  if (wait <= std::chrono::steady_clock::duration(0)) return gpr_inf_past(GPR_CLOCK_MONOTONIC);
  const auto micros = std::chrono::ceil<std::chrono::microseconds>(wait).count();
  return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_micros(micros, GPR_TIMESPAN));
}

}  // namespace conclave::listener
