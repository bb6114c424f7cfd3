// echo_member ID PEER_ID PEER_URL: a member that sends every packet back on the control lane, until
// it is killed. Prints its URL.

#include <cstdlib>
#include <iostream>
#include <memory>
#include <optional>
#include <string>

#include <unistd.h>

#include "conclave/transport/links.h"

#include "tests/unit/transport/members.h"

namespace conclave::transport {
namespace {

class Echo final : public Events {
 public:
  void received(const Identity& from, std::string packet) override {
    links->send(from.member, Lane::control, std::move(packet));
  }
  void unreachable(MemberId) override {}
  void gone(MemberId) override {}
  void not_reached(MemberId, std::string) override {}
  void refused(MemberId, LinkRefusal) override {}
  void accepted(MemberId) override {}
  std::optional<LinkRefusal> refuse(const Identity&, MemberId) override { return std::nullopt; }
  std::unique_ptr<SnapshotSink> snapshot_begins(const Identity&) override { return nullptr; }
  std::string description() override { return {}; }

  std::unique_ptr<Links> links;
};

int run(MemberId self, MemberId peer, const std::string& peer_url) {
  Echo echo;
  Options options;
  options.self = {kCluster, self, 1};
  options.listen_urls = {"http://127.0.0.1:0"};
  auto links = Links::start(options, echo);
  if (!links) {
    std::cerr << links.error().message << std::endl;
    return 1;
  }
  // No link is let in before: this member is no peer of anybody yet.
  echo.links = *std::move(links);
  echo.links->set_peers({{peer, {peer_url}}});
  std::cout << echo.links->urls().front() << std::endl;
  while (true) pause();
}

}  // namespace
}  // namespace conclave::transport

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  return conclave::transport::run(std::strtoull(argv[1], nullptr, 10),
                                  std::strtoull(argv[2], nullptr, 10), argv[3]);
}
