#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "conclave/base/result.h"
#include "conclave/client/channel.h"
#include "conclave/client/executor.h"
#include "conclave/client/tls_options.h"

namespace conclave::client {

struct GrpcOptions {
  std::chrono::milliseconds dial_timeout{2000};
  TlsOptions tls{};
};

// Channels over gRPC, with one thread that waits for completions and posts them to the executor.
//
// A call at an endpoint that cannot be reached fails as soon as that is known; a connection that
// has fallen silent is noticed by pings, within 15 seconds, while a call is open.
//
// Lifetime: destroy it after its channels, and after the executor runs no more tasks; the executor
// object itself must still be there.
class GrpcChannelFactory final : public ChannelFactory {
 public:
  // Errors: io, naming the TLS file that cannot be read; invalid_argument for half a key pair.
  static Result<std::unique_ptr<GrpcChannelFactory>> create(Executor& executor,
                                                            const GrpcOptions& options);
  ~GrpcChannelFactory() override;

  GrpcChannelFactory(const GrpcChannelFactory&) = delete;
  GrpcChannelFactory& operator=(const GrpcChannelFactory&) = delete;

  Result<std::unique_ptr<Channel>> open(const std::string& endpoint) override;

 private:
  struct Impl;
  explicit GrpcChannelFactory(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace conclave::client
