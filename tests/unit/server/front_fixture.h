#pragma once

#include <memory>
#include <string>

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include "conclave/api/rpc.grpc.pb.h"
#include "conclave/server/grpc_front.h"

#include "tests/support/pretend_handler.h"

namespace conclave::server {

// A front on a free port before a pretend handler, and a channel to it. Clients made with `context`
// give up after 30 s, so that a lost reply fails the test instead of hanging it.
class FrontTest : public ::testing::Test {
 protected:
  void SetUp() override { listen({}); }

  void listen(FrontOptions options) {
    if (options.listen_urls.empty()) options.listen_urls = {Url{"http", "127.0.0.1", 0}};
    auto front = GrpcFront::listen(options, handler_);
    ASSERT_TRUE(front) << front.error().message;
    front_ = *std::move(front);
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(-1);
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    channel_ = grpc::CreateCustomChannel(front_->urls().front().address(),
                                         grpc::InsecureChannelCredentials(), arguments);
  }

  static std::unique_ptr<grpc::ClientContext> context() {
    auto context = std::make_unique<grpc::ClientContext>();
    context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    return context;
  }

  test::PretendHandler handler_;
  std::unique_ptr<GrpcFront> front_;
  std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace conclave::server
