#pragma once

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

  std::function<void(MemberId)> link_opened;
  std::function<void(MemberId)> link_broken;

  PeerService::AsyncService service{};
  std::multimap<MemberId, IncomingLink*> links{};  // those that are established
};

}  // namespace conclave::transport
