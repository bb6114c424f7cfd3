// An acknowledgement follows the fdatasync that covers it: seen from outside, by the system calls.

#include <sstream>

#include "tests/server/conclaved_fixture.h"

namespace conclave::test {
namespace {

class SyncOrderTest : public ConclavedTest {};

TEST_F(SyncOrderTest, TheAnswerLeavesAfterTheSync) {
  start();
  const auto trace_path = dir_.path() / "trace";
  Process strace({"/usr/bin/strace", "-f", "-s", "4096", "-e", "trace=pwrite64,fdatasync,sendmsg",
                  "-o", trace_path.string(), "-p", std::to_string(server_->pid())},
                 dir_.path() / "strace");
  ASSERT_TRUE(wait_until([&] { return strace.output().find("attached") != std::string::npos; }))
      << strace.output();
  Client client = connect();
  ASSERT_TRUE(client.put("marked-key", "marked-value"));
  strace.kill(SIGINT);
  strace.wait();

  // Calls of several threads may be split into "unfinished" and "resumed"; a sync counts when it
  // returns.
  bool written = false;
  bool synced = false;
  bool answered_early = false;
  bool answered = false;
  std::ifstream trace(trace_path);
  for (std::string line; std::getline(trace, line);) {
    const bool returned = line.find("unfinished") == std::string::npos;
    if (line.find("pwrite64") != std::string::npos &&
        line.find("marked-value") != std::string::npos) {
      written = true;
    } else if (written && returned && line.find("fdatasync") != std::string::npos) {
      synced = true;
    } else if (written && line.find("sendmsg") != std::string::npos &&
               line.find("grpc-status") != std::string::npos) {
      answered = true;
      answered_early = answered_early || !synced;
    }
  }
  EXPECT_TRUE(written);
  EXPECT_TRUE(synced);
  EXPECT_TRUE(answered);
  EXPECT_FALSE(answered_early);
}

}  // namespace
}  // namespace conclave::test
