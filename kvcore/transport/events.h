#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "conclave/transport/snapshot_stream.h"

namespace conclave::transport {

using MemberId = std::uint64_t;

// Packets of one lane never wait behind those of the other.
enum class Lane : std::uint8_t {
  control,  // heartbeats, votes, answers
  bulk,     // appended entries, forwarded requests
};

// Who a member is, as it says itself when a link opens.
struct Identity {
  std::uint64_t cluster_id = 0;
  MemberId member = 0;
  std::uint64_t incarnation = 0;  // of its data directory; drawn when that was made

  friend bool operator==(const Identity&, const Identity&) = default;
};

// Why a member takes no links from another one.
struct LinkRefusal {
  std::string reason;
  bool is_final = false;  // it will be the same for as long as the refusing member's cluster lives

  friend bool operator==(const LinkRefusal&, const LinkRefusal&) = default;
};

// What Links tells its owner.
//
// Caveats: no call may block (all links wait meanwhile, and a peer may take this member for silent)
// nor call Links::stop() or its destructor; Links::send() is allowed. An identity is what the other
// side claims; only TLS with client certificates keeps strangers out.
//
// Threads: all calls come from one thread of the transport, so never two at a time; none comes
// after Links::stop() has returned, and some may come before Links::start() has.
class Events {
 public:
  // Packets of one lane come in the order of their sending while a link lives, each at most once.
  virtual void received(const Identity& from, std::string packet) = 0;

  // Packets to the peer were surely or probably lost. At most a few times a second for each peer;
  // every loss is followed by a call.
  virtual void unreachable(MemberId peer) = 0;

  // The peer's process is gone: an established link to or from it closed, and connecting again was
  // refused by its machine. Not told upon mere silence, resets or timeouts. Once, until another
  // link to or from it is established.
  virtual void gone(MemberId peer) = 0;

  // No link to the peer has been opened for several tries, and this is what the last one met: a
  // connection refused, a certificate that is not trusted. Once for each reason, until one opens.
  virtual void not_reached(MemberId peer, std::string reason) = 0;

  // The peer does not accept links from this member: another cluster, another data directory. Once
  // for each reason, until it accepts; it goes on being asked, slowly.
  virtual void refused(MemberId peer, LinkRefusal refusal) = 0;
  // The peer that refused accepts links by now.
  virtual void accepted(MemberId peer) = 0;

  // Whether a link or snapshot from `from` to `to` is accepted: nothing, or the refusal, which the
  // other side gets by refused(). Asked after the transport itself has seen that `from` is of this
  // cluster and `to` is this member.
  virtual std::optional<LinkRefusal> refuse(const Identity& from, MemberId to) = 0;

  // Where a snapshot that `from` sends is to go; nullptr: none is wanted now.
  virtual std::unique_ptr<SnapshotSink> snapshot_begins(const Identity& from) = 0;

  // The cluster, for a member that is about to join: the answer to fetch_description().
  virtual std::string description() = 0;

 protected:
  ~Events() = default;
};

}  // namespace conclave::transport
