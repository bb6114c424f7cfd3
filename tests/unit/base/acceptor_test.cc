#include "conclave/base/acceptor.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <thread>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

namespace conclave {
namespace {

// Waits until the system has let it in, not until anybody accepts it; -1 if nobody listens.
int connect_to(const Url& url) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(url.port);
  inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) return fd;
  close(fd);
  return -1;
}

// Says one byte and hangs up.
void greet(int, int connection) {
  [[maybe_unused]] const auto sent = write(connection, "x", 1);
  close(connection);
}

bool is_greeted(int fd) {
  char byte = 0;
  return read(fd, &byte, 1) == 1 && byte == 'x';
}

TEST(Acceptor, HandsConnectionsOver) {
  auto acceptor = Acceptor::listen({"http", "127.0.0.1", 0});
  ASSERT_TRUE(acceptor) << acceptor.error().message;
  EXPECT_NE((*acceptor)->url().port, 0);
  const int early = connect_to((*acceptor)->url());
  ASSERT_GE(early, 0);
  (*acceptor)->start(&greet);
  EXPECT_TRUE(is_greeted(early));
  const int late = connect_to((*acceptor)->url());
  EXPECT_TRUE(is_greeted(late));
  close(early);
  close(late);

  const Url url = (*acceptor)->url();
  (*acceptor)->stop();
  EXPECT_LT(connect_to(url), 0);
}

TEST(Acceptor, APortThatIsTakenIsRefused) {
  const auto first = Acceptor::listen({"http", "127.0.0.1", 0});
  ASSERT_TRUE(first);
  const auto second = Acceptor::listen((*first)->url());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::io);
  EXPECT_EQ(second.error().message,
            "cannot listen on " + (*first)->url().text() + ": Address already in use");
}

TEST(Acceptor, AnotherMachinesAddressIsRefused) {
  const auto acceptor = Acceptor::listen({"http", "203.0.113.1", 1234});
  ASSERT_FALSE(acceptor);
  EXPECT_EQ(acceptor.error().message,
            "cannot listen on http://203.0.113.1:1234: Cannot assign requested address");
}

// In a process of its own: its limit must not be other tests'.
TEST(Acceptor, GoesOnWhenDescriptorsAreFreeAgain) {
  const auto in_child = [] {
    auto acceptor = Acceptor::listen({"http", "127.0.0.1", 0});
    if (!acceptor) _exit(1);
    std::array<int, 2> clients{connect_to((*acceptor)->url()), connect_to((*acceptor)->url())};
    int held = dup(0);
    const rlimit limit{static_cast<rlim_t>(held) + 2, static_cast<rlim_t>(held) + 2};
    setrlimit(RLIMIT_NOFILE, &limit);
    std::atomic<int> taken = 0;
    // One descriptor is left beside the one that start() needs, and the first connection keeps it.
    close(held);
    (*acceptor)->start([&](int listener, int connection) {
      if (taken.fetch_add(1) > 0) return greet(listener, connection);
      held = connection;
    });
    while (taken == 0) std::this_thread::yield();
    held = dup(0);
    if (held >= 0 || errno != EMFILE) _exit(2);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    if (taken != 1) _exit(3);
    close(clients[0]);  // a descriptor is free
    _exit(is_greeted(clients[1]) ? 0 : 4);
  };
  EXPECT_EXIT(in_child(), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace conclave
