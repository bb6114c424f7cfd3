#include "conclave/listener/library.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

namespace conclave::listener {
namespace {

using std::chrono::milliseconds;

TEST(GrpcTime, IsNeverEarlierThanAskedFor) {
  const gpr_timespec earliest =
      gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(30, GPR_TIMESPAN));
  EXPECT_GE(gpr_time_cmp(grpc_time(milliseconds(30)), earliest), 0);
}

// Whoever only looks whether something has come must not wait: gRPC would make a millisecond of it.
TEST(GrpcTime, OfNothingIsPast) {
  keep_grpc_initialised();
  grpc::CompletionQueue queue;
  const auto begun = std::chrono::steady_clock::now();
  constexpr int kLooks = 500;
  for (int i = 0; i < kLooks; ++i) {
    void* tag = nullptr;
    bool ok = false;
    EXPECT_EQ(queue.AsyncNext(&tag, &ok, grpc_time(milliseconds(-(i % 2)))),
              grpc::CompletionQueue::TIMEOUT);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begun, milliseconds(kLooks));
  queue.Shutdown();
}

}  // namespace
}  // namespace conclave::listener
