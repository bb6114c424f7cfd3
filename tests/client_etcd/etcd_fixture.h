#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "conclave/base/bytes.h"
#include "conclave/client/client.h"
#include "conclave/client/txn.h"

#include "tests/support/etcd_cluster.h"

namespace conclave {

// A cluster of its own for each test, and a client of it. Skips where there is no etcd.
class EtcdFixture : public ::testing::Test {
 protected:
  void start(int members, ClientOptions options = {}, std::vector<std::string> flags = {}) {
    const std::string binary = test::etcd_binary(CONCLAVE_PEERS_DIR);
    if (binary.empty()) GTEST_SKIP() << "no etcd in " CONCLAVE_PEERS_DIR;
    cluster_ = std::make_unique<test::EtcdCluster>(binary, members, std::move(flags));
    connect(std::move(options));
    ASSERT_TRUE(test::wait_until([this] { return client_->get("ready").has_value(); }))
        << cluster_->log(0);
  }

  void connect(ClientOptions options = {}) {
    options.endpoints = cluster_->endpoints();
    auto connected = Client::connect(std::move(options));
    ASSERT_TRUE(connected) << connected.error().message;
    client_ = std::make_unique<Client>(*std::move(connected));
  }

  Client& client() { return *client_; }

  std::unique_ptr<test::EtcdCluster> cluster_;
  std::unique_ptr<Client> client_;
};

// The value, or a failed test with the error's text.
template <class T>
T unwrap(Result<T> result) {
  if (!result) ADD_FAILURE() << name_of(result.error().code) << ": " << result.error().message;
  return std::move(result).value();
}

}  // namespace conclave
