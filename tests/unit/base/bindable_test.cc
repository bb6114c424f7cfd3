#include "conclave/base/bindable.h"

#include <cerrno>

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace conclave {
namespace {

TEST(Bindable, AFreePortIs) {
  EXPECT_EQ(why_not_bindable({"http", "127.0.0.1", 0}), 0);
}

TEST(Bindable, APortWithAListenerIsInUse) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  ASSERT_EQ(bind(fd, generic, size), 0);
  ASSERT_EQ(listen(fd, 1), 0);
  ASSERT_EQ(getsockname(fd, generic, &size), 0);
  EXPECT_EQ(why_not_bindable({"http", "127.0.0.1", ntohs(address.sin_port)}), EADDRINUSE);
  close(fd);
}

TEST(Bindable, AnotherMachinesAddressIsNot) {
  EXPECT_EQ(why_not_bindable({"http", "203.0.113.1", 1234}), EADDRNOTAVAIL);
}

}  // namespace
}  // namespace conclave
