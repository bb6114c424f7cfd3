#include <gtest/gtest.h>

#include "conclave/client/client.h"
#include "conclave/embedded/server.h"
#include "conclave/lock/mutex.h"

#include "tests/support/process.h"

namespace conclave {
namespace {

using std::chrono::seconds;

class EmbeddedTest : public testing::Test {
 protected:
  EmbeddedServer start() {
    auto server = EmbeddedServer::start({.data_dir = dir_.path() / "data"});
    EXPECT_TRUE(server) << server.error().message;
    return *std::move(server);
  }
  static Client connect(const EmbeddedServer& server) {
    return Client::connect({.endpoints = server.endpoints()}).value();
  }

  test::TempDir dir_;
};

TEST_F(EmbeddedTest, ServesThisProcessAndKeepsWhatItAcknowledged) {
  std::int64_t first_fence = 0;
  {
    EmbeddedServer server = start();
    ASSERT_EQ(server.endpoints().size(), 1U);
    Client client = connect(server);
    Session session = Session::open(client).value();
    Mutex mutex(session, "job");
    Lock lock = mutex.acquire().value();
    first_fence = lock.fence().revision;
    ASSERT_TRUE(lock.txn().then(Put{.key = "done", .value = "yes"}).commit());
    ASSERT_TRUE(lock.release());
    ASSERT_TRUE(session.close());
  }
  EmbeddedServer server = start();
  Client client = connect(server);
  EXPECT_EQ(client.get("done").value().kvs.at(0).value, "yes");
  Session session = Session::open(client).value();
  Mutex mutex(session, "job");
  EXPECT_GT(mutex.acquire().value().fence().revision, first_fence);
}

TEST_F(EmbeddedTest, StoppingItIsNotAFailure) {
  EmbeddedServer server = start();
  server.stop();
  server.stop();
  EXPECT_EQ(server.failure(), std::nullopt);
}

TEST_F(EmbeddedTest, AMovedServerGoesOnServing) {
  EmbeddedServer first = start();
  EmbeddedServer second = std::move(first);
  EXPECT_TRUE(connect(second).put("a", "1"));
}

TEST_F(EmbeddedTest, WhatCannotServeSaysWhy) {
  const auto malformed =
      EmbeddedServer::start({.data_dir = dir_.path() / "a", .listen_urls = {"127.0.0.1:1"}});
  ASSERT_FALSE(malformed);
  EXPECT_EQ(malformed.error().code, Errc::invalid_argument);
  EXPECT_EQ(malformed.error().message.rfind("listen_urls: ", 0), 0U) << malformed.error().message;

  EmbeddedServer server = start();
  const auto same_directory = EmbeddedServer::start({.data_dir = dir_.path() / "data"});
  ASSERT_FALSE(same_directory);
  EXPECT_EQ(same_directory.error().code, Errc::unavailable) << same_directory.error().message;
  const auto same_port = EmbeddedServer::start(
      {.data_dir = dir_.path() / "b", .listen_urls = {server.endpoints().front()}});
  ASSERT_FALSE(same_port);
  EXPECT_EQ(same_port.error().code, Errc::io) << same_port.error().message;
}

}  // namespace
}  // namespace conclave
