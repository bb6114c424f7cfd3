#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "tests/api/peer.h"
#include "tests/api/render.h"

namespace conclave::test {

// One case, run against conclaved and against etcd, which must give the same answers. Servers are
// shared by all cases of the program; each case begins without keys and leases, and revisions are
// counted from there: the first change is revision 1.
//
// A request is written in protobuf's text form, with $3 for revision 3 of the case; an answer is
// compared in the form that Renderer writes.
class ApiTest : public ::testing::TestWithParam<ServerKind> {
 protected:
  void SetUp() override;

  std::string range(std::string_view request);
  std::string put(std::string_view request);
  std::string del(std::string_view request);
  std::string txn(std::string_view request);
  std::string compact(std::string_view request);
  std::string grant(std::string_view request);
  std::string revoke(std::string_view request);
  std::string keep_alive(std::string_view request);
  std::string time_to_live(std::string_view request);
  std::string leases();
  std::string alarm(std::string_view request);
  std::string hash_kv(std::string_view request);

  // One of the two forms, where etcd 3.4 differs from the current stable etcd, which conclaved
  // follows; `why` is for the reader.
  static std::string by_server(std::string_view conclaved, std::string_view etcd_3_4,
                               std::string_view why);

  // A server that has no history, for the cases that need one.
  void use_fresh_server(std::vector<std::string> flags = {});

  ServerProcess& server() { return own_ ? *own_ : *shared_; }
  Calls& calls() { return *calls_; }
  std::int64_t base() const { return base_; }

  template <class Request>
  Request parse(std::string_view text) const {
    Request request;
    parse_into(text, request);
    return request;
  }

  // A watch stream of the case. Its own, so that watch ids begin at 0.
  class Watch {
   public:
    Watch(const ApiTest& test, const std::shared_ptr<grpc::Channel>& channel)
        : test_(test), call_(channel) {}
    // A WatchRequest.
    void send(std::string_view request);
    // create_request{…} and the first answer.
    std::string create(std::string_view request);
    std::string next();
    // The answer to a progress request, if nothing else is under way.
    std::string progress();
    grpc::Status cancel() { return call_.cancel(); }

   private:
    const ApiTest& test_;
    WatchCall call_;
  };
  std::unique_ptr<Watch> watch();

 private:
  template <class Request, class Response>
  std::string answer(std::string_view text);
  void parse_into(std::string_view text, google::protobuf::Message& request) const;

  ServerProcess* shared_ = nullptr;
  std::unique_ptr<ServerProcess> own_;
  std::unique_ptr<Calls> calls_;
  std::int64_t base_ = 0;
};

// A fixture of the name `Suite`, derived from ApiTest, runs its cases against both servers.
#define CONCLAVE_ON_BOTH_SERVERS(Suite)                                               \
  INSTANTIATE_TEST_SUITE_P(Servers, Suite,                                            \
                           ::testing::Values(::conclave::test::ServerKind::conclaved, \
                                             ::conclave::test::ServerKind::etcd),     \
                           [](const auto& info) { return std::string(name_of(info.param)); })

// The same for a fixture that adds nothing.
// A class name takes no parentheses. NOLINTBEGIN(bugprone-macro-parentheses)
#define CONCLAVE_API_SUITE(Suite)                    \
  class Suite : public ::conclave::test::ApiTest {}; \
  CONCLAVE_ON_BOTH_SERVERS(Suite)
// NOLINTEND(bugprone-macro-parentheses)

}  // namespace conclave::test
