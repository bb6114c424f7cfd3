#pragma once

#include <memory>
#include <string>

#include <grpcpp/grpcpp.h>

#include "conclave/base/result.h"
#include "conclave/base/url.h"
#include "conclave/transport/links.h"

namespace conclave::transport {

// Makes the connections to peers. Thread-safe.
class ChannelMaker {
 public:
  // Reads the files, if any is named. Errors: Errc::io.
  static Result<ChannelMaker> create(const Options& options);

  // A connection of its own with every call; it is opened when it is first used.
  std::shared_ptr<grpc::Channel> connect(const Url& url) const;

 private:
  ChannelMaker(std::shared_ptr<grpc::ChannelCredentials> tls, grpc::ChannelArguments arguments)
      : tls_(std::move(tls)), arguments_(std::move(arguments)) {}

  std::shared_ptr<grpc::ChannelCredentials> tls_;
  grpc::ChannelArguments arguments_;
};

void set_server_arguments(const Options& options, grpc::ServerBuilder& builder);

}  // namespace conclave::transport
