#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "conclave/base/check.h"
#include "conclave/transport/links.h"

namespace conclave::transport {

constexpr std::uint64_t kCluster = 0xc1;
// What Member::reach() sends begins so, and is no packet that a test looks at.
constexpr std::string_view kKnock = "knock ";

// What a member was told. Tests look at it with wait_for(), which holds the lock.
class Recorder final : public Events {
 public:
  // Set before the links start.
  std::function<std::optional<LinkRefusal>(const Identity&, MemberId)> refusing;
  std::function<std::unique_ptr<SnapshotSink>(const Identity&)> sink_maker;

  std::vector<std::string> packets;
  std::set<std::string> knocks;
  std::map<MemberId, int> losses;
  std::map<MemberId, int> goings;
  std::map<MemberId, int> acceptances;
  std::vector<std::pair<MemberId, LinkRefusal>> refusals;
  std::vector<std::pair<MemberId, std::string>> failures;  // to reach the other

  template <class Condition>
  bool wait_for(Condition condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(60), condition);
  }
  template <class Reading>
  auto look(Reading reading) {
    const std::lock_guard lock(mutex_);
    return reading();
  }
  // From now on received() does not return until it is let go.
  void block() {
    const std::lock_guard lock(mutex_);
    blocked_ = true;
  }
  void let_go() {
    const std::lock_guard lock(mutex_);
    blocked_ = false;
    changed_.notify_all();
  }

  void received(const Identity& from, std::string packet) override {
    std::unique_lock lock(mutex_);
    CONCLAVE_CHECK(from.cluster_id == kCluster, "a packet from another cluster");
    changed_.wait(lock, [this] { return !blocked_; });
    if (packet.starts_with(kKnock)) {
      knocks.insert(std::move(packet));
    } else {
      packets.push_back(std::move(packet));
    }
    changed_.notify_all();
  }
  void unreachable(MemberId peer) override {
    change([&] { ++losses[peer]; });
  }
  void gone(MemberId peer) override {
    change([&] { ++goings[peer]; });
  }
  void not_reached(MemberId peer, std::string reason) override {
    change([&] { failures.emplace_back(peer, std::move(reason)); });
  }
  void refused(MemberId peer, LinkRefusal refusal) override {
    change([&] { refusals.emplace_back(peer, std::move(refusal)); });
  }
  void accepted(MemberId peer) override {
    change([&] { ++acceptances[peer]; });
  }
  std::optional<LinkRefusal> refuse(const Identity& from, MemberId to) override {
    return refusing ? refusing(from, to) : std::nullopt;
  }
  std::unique_ptr<SnapshotSink> snapshot_begins(const Identity& from) override {
    return sink_maker ? sink_maker(from) : nullptr;
  }
  std::string description() override { return "as the cluster is"; }

 private:
  template <class Change>
  void change(Change change) {
    const std::lock_guard lock(mutex_);
    change();
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool blocked_ = false;
};

// A member in this process.
class Member {
 public:
  explicit Member(MemberId id) {
    options.self = {kCluster, id, id * 10};
    options.listen_urls = {"http://127.0.0.1:0"};
  }
  ~Member() {
    events.let_go();
    stop();
  }
  Member(const Member&) = delete;
  Member& operator=(const Member&) = delete;

  Options options;
  Recorder events;
  std::unique_ptr<Links> links;

  MemberId id() const { return options.self.member; }
  const std::string& url() const { return options.listen_urls.front(); }
  Peer as_peer() const { return {id(), {url()}}; }

  // The port stays its own when it starts again.
  void start() {
    auto started = Links::start(options, events);
    CONCLAVE_CHECK(started.has_value(), started ? "" : started.error().message);
    links = *std::move(started);
    options.listen_urls = links->urls();
  }
  void stop() { links.reset(); }

  // Sends until something comes through to the other on both lanes.
  void reach(Member& other) {
    for (const Lane lane : {Lane::control, Lane::bulk}) {
      const std::string knock =
          std::string(kKnock) + std::to_string(id()) + ' ' + std::to_string(++knocks_);
      while (!other.events.look([&] { return other.events.knocks.contains(knock); })) {
        links->send(other.id(), lane, knock);
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
      }
    }
  }

 private:
  int knocks_ = 0;
};

// Two members that have each other as peers, and links both ways.
inline void connect(Member& a, Member& b) {
  a.links->set_peers({b.as_peer()});
  b.links->set_peers({a.as_peer()});
  a.reach(b);
  b.reach(a);
}

}  // namespace conclave::transport
