#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "conclave/transport/channels.h"
#include "conclave/transport/event_loop.h"
#include "conclave/transport/links.h"
#include "conclave/transport/outgoing_lane.h"
#include "conclave/transport/presence.h"
#include "conclave/transport/prober.h"

namespace conclave::transport {

// What this member knows of one peer: its two lanes, and whether its process is there.
//
// Threads: send() and connect() from any thread, everything else on the loop's thread.
class PeerLinks final : public OutgoingLane::Owner, public std::enable_shared_from_this<PeerLinks> {
 public:
  // All live longer than the links.
  struct Surroundings {
    const Options& options;
    const ChannelMaker& channels;
    Events& events;
    EventLoop& loop;
    Prober& prober;
  };

  // At least one URL.
  PeerLinks(const Surroundings& surroundings, Peer peer, std::vector<Url> urls);

  const Peer& peer() const { return peer_; }

  // Once, before anything else; `incoming` links from the peer are open already.
  void open(std::size_t incoming);
  void close();

  void send(Lane lane, std::string packet);

  // One more connection to where the peer was last reached. Any thread.
  std::shared_ptr<grpc::Channel> connect() const;

  // With how many links from the peer are open now.
  void incoming_opened(std::size_t open);
  void incoming_broken(std::size_t left);

 private:
  void lane_opened(const std::string& address) override;
  void lane_broken() override;
  void lane_not_opened(const std::string& reason) override;
  void lane_refused(const LinkRefusal& refusal) override;

  void follow(Presence::Next next);
  void probe();
  void note_loss();  // any thread
  void report_loss();

  const Surroundings around_;
  const Peer peer_;
  const std::vector<Url> urls_;
  // Written by open() alone.
  std::array<std::shared_ptr<OutgoingLane>, 2> lanes_;

  std::atomic<bool> loss_noted_{false};

  // The loop's thread only.
  bool closed_ = false;
  bool loss_just_reported_ = false;
  // What was told since a lane opened last.
  std::set<std::string> not_reached_;
  LinkRefusal refusal_;
  Presence presence_;
  std::optional<SocketAddress> address_;
};

}  // namespace conclave::transport
