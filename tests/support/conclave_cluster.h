#pragma once

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "conclave/api/rpc.pb.h"
#include "conclave/client/client.h"
#include "conclave/client/raw.h"

#include "tests/support/member_network.h"
#include "tests/support/process.h"

namespace conclave::test {

// Members of a real conclaved on free ports of this machine, their data in a directory of its own.
// Each can be killed, stopped, continued, damaged, started again; members come and go.
//
// Caveats. Calls are made on the thread that made the cluster: members end with it. A member that
// is stopped must be continued before it is waited for.
class ConclaveCluster {
 public:
  struct Timers {
    int heartbeat_ms = 100;
    int election_ms = 1000;
  };

  enum class Start { at_once, later };

  // A `network` must live longer. Members that start later do so by start(), with the data that
  // they were given by then.
  explicit ConclaveCluster(std::size_t members, Timers timers = {100, 1000},
                           MemberNetwork* network = nullptr, Start begin = Start::at_once)
      : timers_(timers), network_(network != nullptr ? network : &nothing_between_) {
    for (std::size_t i = 0; i < members; ++i) members_.push_back(new_member());
    for (const Member& member : members_) add_to_list(member);
    for (Member& member : members_) member.initial_cluster = initial_cluster_;
    for (std::size_t i = 0; i < members_.size() && begin == Start::at_once; ++i) start(i);
    admin_.emplace(*Client::connect({.endpoints = endpoints()}));
  }

  std::size_t size() const { return members_.size(); }
  const std::string& endpoint(std::size_t index) const { return members_.at(index).endpoint; }
  std::vector<std::string> endpoints() const {
    std::vector<std::string> out;
    for (const Member& member : members_) out.push_back(member.endpoint);
    return out;
  }
  const std::string& name(std::size_t index) const { return members_.at(index).name; }
  const std::string& peer_url(std::size_t index) const { return members_.at(index).peer_url; }
  const std::string& initial_cluster() const { return initial_cluster_; }
  std::filesystem::path data_dir(std::size_t index) const {
    return directory_.path() / members_.at(index).name;
  }
  // All that it ever said, over all its runs.
  std::string log(std::size_t index) const {
    return members_.at(index).process ? members_.at(index).process->output() : "";
  }
  // The last lines of all members.
  std::string last_words() const {
    constexpr std::size_t kBytes = 1500;
    std::string words;
    for (std::size_t i = 0; i < members_.size(); ++i) {
      const std::string all = log(i);
      words +=
          "-- " + members_[i].name + "\n" + all.substr(all.size() - std::min(all.size(), kBytes));
    }
    return words;
  }
  bool says(std::size_t index, const std::string& text) const {
    return log(index).find(text) != std::string::npos;
  }
  Client& client() { return *admin_; }

  // `token`: of another cluster, so to say.
  void start(std::size_t index, const std::string& token = "conclave-cluster") {
    Member& member = members_.at(index);
    member.process.reset();
    std::vector<std::string> words = network_->starter(index);
    for (const std::string& word : command(member, token)) words.push_back(word);
    member.process =
        std::make_unique<Process>(std::move(words), directory_.path() / (member.name + ".log"));
    member.paused = member.killed = false;
    network_->started(index, member.process->pid());
  }
  void kill(std::size_t index) {
    members_.at(index).process->kill(SIGKILL);
    members_.at(index).process->wait();
    members_.at(index).killed = true;
  }
  // Its exit status.
  int terminate(std::size_t index) {
    members_.at(index).process->kill(SIGTERM);
    const int status = members_.at(index).process->wait();
    members_.at(index).killed = true;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  void pause(std::size_t index) {
    members_.at(index).process->kill(SIGSTOP);
    members_.at(index).paused = true;
  }
  void resume(std::size_t index) {
    members_.at(index).process->kill(SIGCONT);
    members_.at(index).paused = false;
  }
  void wipe(std::size_t index) { std::filesystem::remove_all(data_dir(index)); }
  bool runs(std::size_t index) {
    Member& member = members_.at(index);
    return member.process && !member.paused && !member.process->poll();
  }
  // How it ended, as waitpid says it, if it has.
  std::optional<int> ended(std::size_t index) { return members_.at(index).process->poll(); }

  template <class Response, class Request>
  Result<Response> ask(std::size_t index, const char* method, const Request& request,
                       std::chrono::milliseconds timeout = std::chrono::seconds(2)) {
    const Result<std::string> reply =
        RawClient(*admin_).call_at(endpoint(index), method, request.SerializeAsString(),
                                   CallKind::write, {.timeout = timeout});
    if (!reply) return reply.error();
    Response response;
    if (!response.ParseFromString(*reply)) return Error{Errc::corrupt, "no such response"};
    return response;
  }
  Result<etcdserverpb::StatusResponse> status(std::size_t index) {
    return ask<etcdserverpb::StatusResponse>(index, "/etcdserverpb.Maintenance/Status",
                                             etcdserverpb::StatusRequest());
  }
  Result<etcdserverpb::DefragmentResponse> defragment(std::size_t index) {
    return ask<etcdserverpb::DefragmentResponse>(index, "/etcdserverpb.Maintenance/Defragment",
                                                 etcdserverpb::DefragmentRequest());
  }
  Result<etcdserverpb::RangeResponse> read(std::size_t index, bool serializable,
                                           std::chrono::milliseconds timeout) {
    etcdserverpb::RangeRequest request;
    request.set_key("any");
    request.set_serializable(serializable);
    return ask<etcdserverpb::RangeResponse>(index, "/etcdserverpb.KV/Range", request, timeout);
  }

  // Who leads, in the view of itself; of several, the one of the latest term.
  std::optional<std::size_t> leader() {
    std::optional<std::size_t> found;
    std::uint64_t term = 0;
    for (std::size_t i = 0; i < members_.size(); ++i) {
      if (!runs(i)) continue;
      const auto told = status(i);
      if (!told || told->leader() == 0 || told->leader() != told->header().member_id()) continue;
      if (told->raftterm() < term) continue;
      found = i;
      term = told->raftterm();
    }
    return found;
  }
  // Every member but those that were killed answers a read that needs a leader. One that ended by
  // itself never does.
  bool wait_until_ready(std::chrono::milliseconds limit = std::chrono::seconds(30)) {
    for (std::size_t i = 0; i < members_.size(); ++i) {
      if (members_[i].killed) continue;
      const auto answers = [&] { return read(i, false, std::chrono::seconds(1)).has_value(); };
      if (!wait_until(answers, limit)) return false;
    }
    return true;
  }
  // The leader, once there is one.
  std::size_t wait_for_leader() {
    std::optional<std::size_t> found;
    wait_until([&] { return (found = leader()).has_value(); });
    CONCLAVE_CHECK(found.has_value(), "nobody leads");
    return *found;
  }
  std::size_t wait_for_follower() { return (wait_for_leader() + 1) % members_.size(); }

  // All but those that were killed or stopped have the same keys and history at the newest
  // revision. One that ended by itself never has. Nobody writes meanwhile.
  bool wait_until_equal(std::chrono::milliseconds limit = std::chrono::seconds(30)) {
    return wait_until(
        [this] {
          std::set<std::pair<std::int64_t, std::uint32_t>> hashes;
          for (std::size_t i = 0; i < members_.size(); ++i) {
            if (members_[i].killed || members_[i].paused) continue;
            const auto hash = ask<etcdserverpb::HashKVResponse>(
                i, "/etcdserverpb.Maintenance/HashKV", etcdserverpb::HashKVRequest());
            if (!hash) return false;
            hashes.emplace(hash->header().revision(), hash->hash());
          }
          return hashes.size() == 1;
        },
        limit);
  }

  // A member more, in the membership and as a process; its index.
  Result<std::size_t> add(bool learner) {
    members_.push_back(new_member());
    const std::size_t index = members_.size() - 1;
    add_to_list(members_.back());
    if (Result<void> added = enter(index, learner); !added) return added.error();
    start(index);
    return index;
  }
  // Enters it into the membership under the addresses it has; it then starts as one that joins.
  Result<void> enter(std::size_t index, bool learner) {
    Member& member = members_.at(index);
    etcdserverpb::MemberAddRequest request;
    request.add_peerurls(member.peer_url);
    request.set_islearner(learner);
    const auto added =
        change<etcdserverpb::MemberAddResponse>("/etcdserverpb.Cluster/MemberAdd", request);
    if (!added) return added.error();
    member.id = added->member().id();
    member.joins = true;
    member.initial_cluster = initial_cluster_;
    return {};
  }
  Result<void> promote(std::size_t index) {
    etcdserverpb::MemberPromoteRequest request;
    request.set_id(members_.at(index).id);
    const auto done =
        change<etcdserverpb::MemberPromoteResponse>("/etcdserverpb.Cluster/MemberPromote", request);
    return done ? Result<void>() : done.error();
  }
  Result<void> remove(std::uint64_t id) {
    etcdserverpb::MemberRemoveRequest request;
    request.set_id(id);
    const auto done =
        change<etcdserverpb::MemberRemoveResponse>("/etcdserverpb.Cluster/MemberRemove", request);
    return done ? Result<void>() : done.error();
  }

 private:
  struct Member {
    std::string name;
    std::string endpoint;
    std::string listen_peer_url;
    std::string peer_url;  // that it gives out
    std::string initial_cluster;
    bool joins = false;
    std::uint64_t id = 0;  // of one that was entered later
    bool paused = false;
    bool killed = false;
    std::unique_ptr<Process> process;
  };

  std::vector<std::string> command(const Member& member, const std::string& token) const {
    return {
        CONCLAVE_BIN_DIR "/conclaved",
        "--name",
        member.name,
        "--data-dir",
        (directory_.path() / member.name).string(),
        "--listen-client-urls",
        "http://" + member.endpoint,
        "--listen-peer-urls",
        member.listen_peer_url,
        "--initial-advertise-peer-urls",
        member.peer_url,
        "--initial-cluster",
        member.initial_cluster,
        "--initial-cluster-state",
        member.joins ? "existing" : "new",
        "--initial-cluster-token",
        token,
        "--heartbeat-interval",
        std::to_string(timers_.heartbeat_ms),
        "--election-timeout",
        std::to_string(timers_.election_ms),
    };
  }
  Member new_member() {
    const std::string host = network_->host(members_.size());
    const std::uint16_t peer_port = fresh_port();
    Member member;
    member.name = "m" + std::to_string(made_++);
    member.endpoint = host + ":" + std::to_string(fresh_port());
    member.listen_peer_url = "http://" + host + ":" + std::to_string(peer_port);
    member.peer_url = "http://" + host + ":" + std::to_string(network_->add(peer_port));
    return member;
  }
  std::uint16_t fresh_port() {
    while (true) {
      const std::uint16_t port = free_port();
      if (ports_.insert(port).second) return port;
    }
  }
  void add_to_list(const Member& member) {
    if (!initial_cluster_.empty()) initial_cluster_ += ",";
    initial_cluster_ += member.name + "=" + member.peer_url;
  }
  template <class Response, class Request>
  Result<Response> change(const char* method, const Request& request) {
    const Result<std::string> reply =
        RawClient(*admin_).call(method, request.SerializeAsString(), CallKind::write);
    if (!reply) return reply.error();
    Response response;
    if (!response.ParseFromString(*reply)) return Error{Errc::corrupt, "no such response"};
    return response;
  }

  const Timers timers_;
  MemberNetwork nothing_between_;
  MemberNetwork* const network_;
  TempDir directory_;
  int made_ = 0;
  std::set<std::uint16_t> ports_;
  std::string initial_cluster_;
  std::vector<Member> members_;
  std::optional<Client> admin_;
};

}  // namespace conclave::test
