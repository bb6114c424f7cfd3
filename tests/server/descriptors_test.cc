// More connections than the process may have descriptors.

#include <string>
#include <vector>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/server/conclaved_fixture.h"

namespace conclave::test {
namespace {

class DescriptorsTest : public ConclavedTest {
 protected:
  // What conclaved gets at most, whatever it asks for.
  void start_with_limit(int descriptors) {
    std::string line = "ulimit -n " + std::to_string(descriptors) + "; exec";
    for (const std::string& argument : command(data_dir())) line += " '" + argument + "'";
    server_ =
        std::make_unique<Process>(std::vector<std::string>{"/bin/sh", "-c", line}, log_path());
    ASSERT_TRUE(wait_until([this] { return answers() || server_->poll(); }));
    ASSERT_FALSE(server_->poll()) << server_->output();
  }

  // One that says nothing.
  int connect_silently() const {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port_);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    return fd;
  }
};

TEST_F(DescriptorsTest, ConnectionsAreTakenAgainWhenSomeAreFree) {
  constexpr int kDescriptors = 100;
  start_with_limit(kDescriptors);
  Client early = connect();
  ASSERT_TRUE(early.put("before", "x"));
  std::vector<int> silent;
  for (int i = 0; i < 2 * kDescriptors; ++i) silent.push_back(connect_silently());
  EXPECT_TRUE(early.put("meanwhile", "x")) << "who is connected is served";
  // The log's next file needs a descriptor, too, and the member would end without.
  const std::string large(1 << 20, 'v');
  for (int i = 0; i < 70; ++i) ASSERT_TRUE(early.put("large", large)) << i;
  for (const int fd : silent) close(fd);
  EXPECT_TRUE(wait_until([this] { return answers(); })) << server_->output();
}

}  // namespace
}  // namespace conclave::test
