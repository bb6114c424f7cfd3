#include "conclave/base/acceptor.h"

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

namespace conclave {
namespace {

int new_socket() {
  return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

// Waits until the system has let it in, not until anybody accepts it.
bool connect_socket(int fd, const Url& url) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(url.port);
  inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
  return connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
}

// -1 if nobody listens.
int connect_to(const Url& url) {
  const int fd = new_socket();
  if (connect_socket(fd, url)) return fd;
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
  auto acceptor = Acceptor::bind({"http", "127.0.0.1", 0});
  ASSERT_TRUE(acceptor) << acceptor.error().message;
  EXPECT_NE((*acceptor)->url().port, 0);
  EXPECT_LT(connect_to((*acceptor)->url()), 0) << "not yet";
  ASSERT_TRUE((*acceptor)->start(&greet));
  const int first = connect_to((*acceptor)->url());
  const int second = connect_to((*acceptor)->url());
  EXPECT_TRUE(is_greeted(first));
  EXPECT_TRUE(is_greeted(second));
  close(first);
  close(second);

  const Url url = (*acceptor)->url();
  (*acceptor)->stop();
  EXPECT_LT(connect_to(url), 0);
}

TEST(Acceptor, APortThatIsTakenIsRefused) {
  const auto first = Acceptor::bind({"http", "127.0.0.1", 0});
  ASSERT_TRUE(first);
  ASSERT_TRUE((*first)->start(&greet));
  const auto second = Acceptor::bind((*first)->url());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::io);
  EXPECT_EQ(second.error().message,
            "cannot listen on " + (*first)->url().text() + ": Address already in use");
}

TEST(Acceptor, AnotherMachinesAddressIsRefused) {
  const auto acceptor = Acceptor::bind({"http", "203.0.113.1", 1234});
  ASSERT_FALSE(acceptor);
  EXPECT_EQ(acceptor.error().message,
            "cannot listen on http://203.0.113.1:1234: Cannot assign requested address");
}

// In a process of its own: its limit must not be other tests'.
TEST(Acceptor, GoesOnWhenDescriptorsAreFreeAgain) {
  const auto in_child = [] {
    auto acceptor = Acceptor::bind({"http", "127.0.0.1", 0});
    if (!acceptor) _exit(1);
    std::atomic<int> taken = 0;
    std::atomic<int> kept = -1;
    const auto started = (*acceptor)->start([&](int listener, int connection) {
      if (taken.fetch_add(1) > 0) return greet(listener, connection);
      kept = connection;
    });
    if (!started) _exit(1);
    const int first = new_socket();
    const int second = new_socket();
    const int next = dup(0);
    close(next);
    const auto count = static_cast<rlim_t>(next) + 1;
    const rlimit one_more{count, count};
    setrlimit(RLIMIT_NOFILE, &one_more);
    if (!connect_socket(first, (*acceptor)->url())) _exit(2);
    while (kept < 0) std::this_thread::yield();
    if (!connect_socket(second, (*acceptor)->url())) _exit(3);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    if (taken != 1) _exit(4);
    close(kept);
    _exit(is_greeted(second) ? 0 : 5);
  };
  EXPECT_EXIT(in_child(), testing::ExitedWithCode(0), "");
}

TEST(Acceptor, LeavesDescriptorsToOthers) {
  const auto in_child = [] {
    constexpr int kLeft = 3;
    auto acceptor = Acceptor::bind({"http", "127.0.0.1", 0}, kLeft);
    if (!acceptor) _exit(1);
    std::atomic<int> taken = 0;
    if (!(*acceptor)->start([&](int, int) { ++taken; })) _exit(1);
    std::vector<int> clients;
    for (int i = 0; i < 40; ++i) clients.push_back(new_socket());
    const int next = dup(0);
    close(next);
    // A few connections, and those that are left.
    const auto count = static_cast<rlim_t>(next) + 5 + kLeft;
    const rlimit limit{count, count};
    setrlimit(RLIMIT_NOFILE, &limit);
    for (const int client : clients) {
      if (!connect_socket(client, (*acceptor)->url())) _exit(2);
    }
    while (taken < 5) std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    if (taken != 5) _exit(3);
    for (int i = 0; i < kLeft; ++i) {
      if (dup(0) < 0) _exit(4);
    }
    _exit(dup(0) < 0 ? 0 : 5);
  };
  EXPECT_EXIT(in_child(), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace conclave
