#pragma once

#include <cstddef>
#include <functional>
#include <map>

#include "conclave/transport/event_loop.h"
#include "conclave/transport/events.h"
#include "conclave/transport/peer.grpc.pb.h"
#include "conclave/transport/worker.h"

namespace conclave::transport {

class IncomingLink;

// What the calls that peers make have in common. The loop's thread only.
struct Reception {
  const Identity self;
  Events& events;
  EventLoop& loop;
  Worker& disk;  // for the sinks of snapshots

  // With how many links the member now has.
  std::function<void(MemberId, std::size_t)> link_opened;
  std::function<void(MemberId, std::size_t)> link_broken;

  PeerService::AsyncService service{};
  std::multimap<MemberId, IncomingLink*> links{};  // those that are established
};

}  // namespace conclave::transport
