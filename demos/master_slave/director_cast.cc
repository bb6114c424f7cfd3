#include <unistd.h>

#include "conclave/master_slave/director.h"
#include "conclave/master_slave/lines.h"

namespace master_slave {
namespace {

using conclave::Result;

std::string numbered(const std::string& name, int number) {
  return name + "-" + std::to_string(number);
}

}  // namespace

bool Director::start_server() {
  if (::access(server_.c_str(), X_OK) != 0) {
    return fail("there is no program " + server_ + "; --server names another");
  }
  // A free port can be taken by another process before the server has it.
  for (int attempt = 1; attempt <= 3; ++attempt) {
    const Result<int> client_port = free_port();
    const Result<int> peer_port = free_port();
    if (!client_port || !peer_port) return fail("no free port on 127.0.0.1");
    endpoint_ = "127.0.0.1:" + std::to_string(*client_port);
    const std::string client_url = "http://" + endpoint_;
    const std::string peer_url = "http://127.0.0.1:" + std::to_string(*peer_port);
    const std::string data = (stage_.directory() / numbered("data", attempt)).string();
    if (!checked(stage_.start(
            "server", {server_, "--name", "demo", "--data-dir", data, "--listen-client-urls",
                       client_url, "--advertise-client-urls", client_url, "--listen-peer-urls",
                       peer_url, "--initial-advertise-peer-urls", peer_url, "--initial-cluster",
                       "demo=" + peer_url}))) {
      return false;
    }
    const bool serves = wait_for("the server answers", [this] {
      return accepts_connections(endpoint_) || stage_.first_ended() == "server";
    });
    if (!serves) return false;
    if (stage_.first_ended().empty()) {
      screen_.event(now(), "server", "listens on " + endpoint_);
      return true;
    }
    for (const std::string& line : stage_.last_words("server", 3)) screen_.text(line);
    stage_.remove("server");
  }
  return fail("the server " + server_ + " does not start");
}

bool Director::start_cast() {
  const auto listens = [this](const std::string& who) {
    return wait_for(who + " listens", [this, who] { return !story_.address_of(who).empty(); });
  };
  if (!checked(stage_.start_role("resource", {"resource"})) || !listens("resource")) return false;
  for (int number = 1; number <= kMasters; ++number) {
    const std::string name = numbered("master", number);
    if (!checked(
            stage_.start_role(name, {"master", name, endpoint_, story_.address_of("resource")}))) {
      return false;
    }
  }
  for (int number = 1; number <= kSlaves; ++number) {
    if (!checked(stage_.start_role(numbered("slave", number), {"slave", endpoint_}))) return false;
  }
  return true;
}

}  // namespace master_slave
