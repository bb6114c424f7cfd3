#include "conclave/listener/corks.h"

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

namespace conclave::listener {
namespace {

// Both ends of a connection. Nothing may stay in the system's hands but for a cork.
struct Pair {
  Pair() {
    const int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(bind(listening, any, size), 0);
    EXPECT_EQ(getsockname(listening, any, &size), 0);
    EXPECT_EQ(listen(listening, 1), 0);
    client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(connect(client, any, size), 0);
    server = accept4(listening, nullptr, nullptr, SOCK_CLOEXEC);
    const int on = 1;
    setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    close(listening);
  }
  ~Pair() {
    close_server();
    close(client);
  }
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;

  void close_server() {
    if (server >= 0) close(server);
    server = -1;
  }
  void reply(char byte) const { ASSERT_EQ(write(server, &byte, 1), 1); }
  // How many bytes have come; loopback delivers what is sent before the call returns.
  ssize_t arrived() const {
    std::array<char, 16> bytes{};
    return std::max<ssize_t>(recv(client, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_PEEK), 0);
  }
  bool is_corked() const {
    int on = 0;
    socklen_t size = sizeof(on);
    getsockopt(server, IPPROTO_TCP, TCP_CORK, &on, &size);
    return on != 0;
  }

  int client = -1;
  int server = -1;
};

TEST(Corks, RepliesLeaveTogether) {
  const Pair pair;
  Corks corks;
  corks.add(pair.server);
  {
    const Corks::Held held(corks, 2);
    pair.reply('a');
    pair.reply('b');
    EXPECT_EQ(pair.arrived(), 0);
  }
  EXPECT_EQ(pair.arrived(), 2);
  EXPECT_FALSE(pair.is_corked());
  pair.reply('c');
  EXPECT_EQ(pair.arrived(), 3);
}

TEST(Corks, FewRepliesForManyConnectionsGoAtOnce) {
  const std::vector<Pair> pairs(3);
  Corks corks;
  for (const Pair& pair : pairs) corks.add(pair.server);
  for (const std::size_t replies : {0, 1, 5}) {
    const Corks::Held held(corks, replies);
    EXPECT_FALSE(pairs[0].is_corked()) << replies;
  }
  const Corks::Held held(corks, 6);
  for (const Pair& pair : pairs) EXPECT_TRUE(pair.is_corked());
}

TEST(Corks, NothingStaysHeldByTwoThatOverlap) {
  const Pair pair;
  Corks corks;
  corks.add(pair.server);
  std::optional<Corks::Held> first(std::in_place, corks, 2);
  std::optional<Corks::Held> second(std::in_place, corks, 2);
  first.reset();
  pair.reply('a');
  EXPECT_EQ(pair.arrived(), 1);
  second.reset();
  EXPECT_FALSE(pair.is_corked());
}

TEST(Corks, WithoutConnectionsNothingIsHeld) {
  Corks corks;
  const Corks::Held held(corks, 100);
  EXPECT_EQ(corks.open(), 0U);
}

TEST(Corks, ClosedConnectionsAreForgotten) {
  const Pair open;
  Corks corks;
  corks.add(open.server);
  for (int i = 0; i < 1000; ++i) {
    Pair closed;  // mostly the same number
    corks.add(closed.server);
    closed.close_server();
  }
  EXPECT_LE(corks.open(), 5U);
  for (int i = 0; i < 5; ++i) const Corks::Held held(corks, 2);
  EXPECT_EQ(corks.open(), 1U);
  const Corks::Held held(corks, 2);
  EXPECT_TRUE(open.is_corked());
}

// The number of a closed connection may be that of anything by now.
TEST(Corks, ANumberUsedAgainIsNotTheConnection) {
  Corks corks;
  std::optional<Pair> first(std::in_place);
  corks.add(first->server);
  first.reset();
  const Pair second;
  for (int i = 0; i < 2; ++i) const Corks::Held held(corks, 100);
  EXPECT_EQ(corks.open(), 0U);
  EXPECT_FALSE(second.is_corked());
}

}  // namespace
}  // namespace conclave::listener
