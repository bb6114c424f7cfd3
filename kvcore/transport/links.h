#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "conclave/base/result.h"
#include "conclave/listener/tls_files.h"
#include "conclave/transport/events.h"
#include "conclave/transport/snapshot_stream.h"

namespace grpc {
class CompletionQueue;
}

namespace conclave::transport {

struct Peer {
  MemberId id = 0;
  std::vector<std::string> urls;  // http://host:port or https://host:port; tried in turn

  friend bool operator==(const Peer&, const Peer&) = default;
};

struct Options {
  Identity self;
  std::vector<std::string> listen_urls;  // https needs `tls`; port 0 takes a free one
  listener::TlsFiles tls;  // a member shows its certificate both as a server and as a client
  // Whose thread does the links' work, if not one of their own: it polls this queue for as long as
  // the links live, and calls listener::Completion::complete() for each tag.
  grpc::CompletionQueue* host = nullptr;
  std::uint64_t packet_bytes_max = 16 * 1024 * 1024;  // the same for all members
  std::uint64_t control_bytes_max = 4 * 1024 * 1024;  // that wait, for each peer
  std::uint64_t bulk_bytes_max = 64 * 1024 * 1024;

  // How long a try to open a link may take before the next begins.
  std::chrono::milliseconds dial_timeout{2000};
  // From one refused connection to the next; gRPC takes at least 100 ms, and a fifth more or less.
  std::chrono::milliseconds redial_pause_min{100};
  std::chrono::milliseconds redial_pause_max{200};
  // After the peer has refused this member.
  std::chrono::milliseconds refused_pause{1000};
  // A connection on which nothing came for the interval is pinged, and closed if no answer comes.
  std::chrono::milliseconds ping_interval{2000};
  std::chrono::milliseconds ping_timeout{2000};
};

// The links between the members of a cluster: for each peer and lane a stream that this member
// dials and writes to, and one that the peer dials. Broken ones are dialled again for as long as
// the peer is in the list.
//
// Caveats: a packet may be lost whenever a stream breaks, and unreachable() is then told; nothing
// is sent twice. Nothing is kept for a peer without a link. Bytes are not looked into.
//
// Threads: all members may be called from any thread. One thread, its own or the host's, moves
// everything, one more writes snapshots that come, and each snapshot that goes has its own.
//
// Lifetime: `events` must live until stop() has returned.
//
//   auto links = Links::start({.self = self, .listen_urls = {"http://10.0.0.1:2380"}}, events);
//   if (!links) return links.error();
//   (*links)->set_peers({{2, {"http://10.0.0.2:2380"}}});
//   (*links)->send(2, Lane::control, packet);
class Links {
 public:
  // Listens at once. Errors: Errc::io naming the URL or file, Errc::invalid_argument for what is no
  // URL.
  static Result<std::unique_ptr<Links>> start(Options options, Events& events);

  ~Links();  // as stop()
  Links(const Links&) = delete;
  Links& operator=(const Links&) = delete;

  // Gives the ports up, breaks all links and ends snapshots under way. Blocks shortly, whatever the
  // peers do, but as long as a snapshot's source or sink takes for a call. A second call does
  // nothing.
  void stop();

  // The listening URLs, with the ports that were taken.
  const std::vector<std::string>& urls() const;

  // Whom to have links to; this member itself is passed over. Links to and from who is no longer in
  // the list close, and those to a peer whose URLs are others; the rest is left alone. A URL that
  // is none is passed over.
  void set_peers(std::vector<Peer> peers);

  // Never blocks. Dropped, and unreachable() told, if there is no link to `to`, too much waits on
  // the lane already, or the packet is larger than packet_bytes_max. For who is no peer: dropped.
  void send(MemberId to, Lane lane, std::string packet);

  // Streams it over a connection of its own, as fast as the peer takes it. `done` is called once,
  // on a thread of the transport, with how it ended, what the receiver's finish() returned
  // included. It may not call stop(). After stop(), `done` is called before this returns.
  //
  // Errors: unavailable (no connection, or it broke; not_found: no such peer), refused (by the
  // peer, or it wants no snapshot now), io (the receiver failed), cancelled (stop()), or the
  // source's own.
  void send_snapshot(MemberId to, std::unique_ptr<SnapshotSource> source,
                     std::function<void(Result<void>)> done);

 private:
  struct Parts;
  explicit Links(std::unique_ptr<Parts> parts);

  const std::unique_ptr<Parts> parts_;
};

// Asks all of these URLs for Events::description() and gives each answer to `is_enough`, on this
// thread, until that says so. Blocks until then, until all have answered or failed, or for the
// timeout. Success: there was an answer.
//
// Errors: unavailable, with what the last of them said; invalid_argument for what is no URL; io for
// TLS files.
Result<void> fetch_description(const std::vector<std::string>& urls, const listener::TlsFiles& tls,
                               std::chrono::milliseconds timeout,
                               const std::function<bool(std::string answer)>& is_enough);

}  // namespace conclave::transport
