#include "conclave/bench/retrying_puts.h"

#include <array>
#include <chrono>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conclave/bench/sources.h"

#include "tests/support/process.h"

namespace conclave::bench {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Takes connections and says nothing, as a stopped process does.
class SilentMember {
 public:
  SilentMember() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    CONCLAVE_CHECK(fd_ >= 0 && bind(fd_, generic, size) == 0 && listen(fd_, 16) == 0 &&
                       getsockname(fd_, generic, &size) == 0,
                   "no port is free");
    port_ = ntohs(address.sin_port);
  }
  ~SilentMember() { close(fd_); }
  SilentMember(const SilentMember&) = delete;
  SilentMember& operator=(const SilentMember&) = delete;

  std::uint16_t port() const { return port_; }
  // Takes what has connected, and ends it; how many there were.
  int hang_up() const {
    int count = 0;
    for (int fd = accept(fd_, nullptr, nullptr); fd >= 0; fd = accept(fd_, nullptr, nullptr)) {
      ++count;
      close(fd);
    }
    return count;
  }

 private:
  int fd_;
  std::uint16_t port_ = 0;
};

TEST(FirstAfter, IsOfAnAttemptThatBeganAfterTheEvent) {
  const TimePoint event = Clock::now();
  FirstAfter first;
  first.note_success(event, event + milliseconds(1));
  EXPECT_FALSE(first.ended()) << "there was no event yet";
  first.expect(event);
  first.note_success(event - milliseconds(1), event + milliseconds(1));
  EXPECT_FALSE(first.ended()) << "it was on its way before";
  first.note_success(event + milliseconds(2), event + milliseconds(3));
  first.note_success(event + milliseconds(1), event + milliseconds(4));
  EXPECT_EQ(first.ended(), event + milliseconds(3));
  first.expect(event + milliseconds(5));
  EXPECT_FALSE(first.ended());
}

TEST(RetryingPuts, GoToEveryMemberWhenNoneAnswers) {
  const std::array<SilentMember, 3> members{};
  EventLoop loop;
  PutSource source('k', 10, 1);
  RetryingPuts puts(loop, source,
                    {.ports = {members[0].port(), members[1].port(), members[2].port()},
                     .clients = 1,
                     .attempt_limit = milliseconds(2)});
  puts.expect_new();
  // Twice around, so the last attempt of the first round has been given up.
  EXPECT_TRUE(loop.run([&puts] { return puts.attempts() >= 6; }, seconds(30)));
  for (const SilentMember& member : members) EXPECT_EQ(member.hang_up(), 1);
  EXPECT_EQ(puts.accepted(), 0);
  EXPECT_FALSE(puts.first_accepted());
  EXPECT_EQ(puts.last_error(), "not answered in time");
}

TEST(RetryingPuts, ConnectAgainToAMemberThatHungUp) {
  const SilentMember member;
  EventLoop loop;
  PutSource source('k', 10, 1);
  RetryingPuts puts(loop, source,
                    {.ports = {member.port()}, .clients = 2, .attempt_limit = seconds(60)});
  int connections = 0;
  EXPECT_TRUE(loop.run([&] { return (connections += member.hang_up()) >= 6; }, seconds(30)));
  EXPECT_GE(puts.attempts(), 6);
}

TEST(RetryingPuts, GoOnWhileNobodyListens) {
  EventLoop loop;
  PutSource source('k', 10, 1);
  const SilentMember member;
  RetryingPuts puts(loop, source,
                    {.ports = {test::free_port(), member.port()},
                     .clients = 1,
                     .attempt_limit = milliseconds(2)});
  bool was_refused = false;
  EXPECT_TRUE(loop.run(
      [&] {
        was_refused = was_refused || puts.last_error().starts_with("cannot connect");
        return was_refused && puts.attempts() >= 3;
      },
      seconds(30)));
}

}  // namespace
}  // namespace conclave::bench
