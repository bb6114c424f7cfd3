#include "conclave/transport/links.h"

#include <algorithm>
#include <future>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include <grpcpp/grpcpp.h>

#include "conclave/base/url.h"
#include "conclave/listener/library.h"
#include "conclave/listener/listener.h"
#include "conclave/transport/channels.h"
#include "conclave/transport/describe.h"
#include "conclave/transport/event_loop.h"
#include "conclave/transport/incoming_link.h"
#include "conclave/transport/incoming_snapshot.h"
#include "conclave/transport/outgoing_snapshot.h"
#include "conclave/transport/peer_links.h"
#include "conclave/transport/prober.h"
#include "conclave/transport/reception.h"
#include "conclave/transport/worker.h"

namespace conclave::transport {
namespace {

// Until others are known only one that joins can come, and nothing is waited for.
constexpr std::chrono::milliseconds kTickAlone{200};

// For files of the log: a member that cannot open one ends. Fewer than clients leave, so that
// members come in when they no longer do.
constexpr int kDescriptorsLeft = 24;

}  // namespace

struct Links::Parts {
  Parts(Options given, Events& events_to_tell, ChannelMaker channel_maker)
      : options(std::move(given)), events(events_to_tell), channels(std::move(channel_maker)) {}

  Result<void> listen();
  void stop();
  void close_links();
  void set_peers(const std::vector<Peer>& wanted);
  void remove_peers(const std::map<MemberId, Peer>& wanted);
  std::shared_ptr<PeerLinks> find(MemberId id);

  const Options options;
  Events& events;
  const ChannelMaker channels;
  std::vector<std::string> urls;
  std::once_flag stop_once;

  Worker disk;
  Prober prober;
  std::unique_ptr<listener::Listener> listener;
  std::unique_ptr<EventLoop> loop;
  std::unique_ptr<Reception> reception;
  std::unique_ptr<grpc::Server> server;

  // The loop's thread only.
  bool takes_peers = true;

  std::mutex mutex;
  std::map<MemberId, std::shared_ptr<PeerLinks>> peers;  // changed by the loop's thread only
  std::list<OutgoingSnapshot> snapshots;
  bool takes_snapshots = true;
};

Result<void> Links::Parts::listen() {
  std::vector<Url> parsed;
  for (const std::string& text : options.listen_urls) {
    Result<Url> url = parse_url(text);
    if (!url) return std::move(url).error();
    parsed.push_back(*std::move(url));
  }
  grpc::ServerBuilder builder;
  set_server_arguments(options, builder);
  auto opened = listener::Listener::open(parsed, options.tls, builder, kDescriptorsLeft);
  if (!opened) return std::move(opened).error();
  listener = *std::move(opened);
  loop = std::make_unique<EventLoop>(builder.AddCompletionQueue(), options.host);
  const auto teller = [this](void (PeerLinks::*tell)(std::size_t)) {
    return [this, tell](MemberId id, std::size_t open) {
      if (const auto peer = find(id)) ((*peer).*tell)(open);
    };
  };
  reception =
      std::unique_ptr<Reception>(new Reception{.self = options.self,
                                               .events = events,
                                               .loop = *loop,
                                               .disk = disk,
                                               .link_opened = teller(&PeerLinks::incoming_opened),
                                               .link_broken = teller(&PeerLinks::incoming_broken)});
  builder.RegisterService(&reception->service);
  server = builder.BuildAndStart();
  if (server == nullptr) return listener->why_not_built();
  for (const Url& url : listener->urls()) urls.push_back(url.text());
  IncomingLink::await(*reception);
  IncomingSnapshot::await(*reception);
  await_describe(*reception);
  loop->start();
  return listener->start();
}

// The ports close first: who sees its link break must find that nobody listens any more.
void Links::Parts::stop() {
  listener->shut_down(*server, std::chrono::milliseconds(0));
  std::promise<void> closed;
  loop->post([&] {
    close_links();
    closed.set_value();
  });
  closed.get_future().wait();
  std::list<OutgoingSnapshot> under_way;
  {
    const std::lock_guard lock(mutex);
    takes_snapshots = false;
    under_way.swap(snapshots);
  }
  for (OutgoingSnapshot& snapshot : under_way) snapshot.cancel();
  under_way.clear();
  prober.stop();
  disk.stop();
  server->Wait();
  loop->shutdown();
}

void Links::Parts::close_links() {
  takes_peers = false;
  remove_peers({});
  loop->set_tick(EventLoop::kTick);
}

void Links::Parts::set_peers(const std::vector<Peer>& wanted) {
  if (!takes_peers) return;
  std::map<MemberId, Peer> others;
  for (const Peer& peer : wanted) {
    if (peer.id != options.self.member) others.emplace(peer.id, peer);
  }
  remove_peers(others);
  loop->set_tick(others.empty() ? kTickAlone : EventLoop::kTick);
  for (auto& [id, peer] : others) {
    if (find(id) != nullptr) continue;
    std::vector<Url> peer_urls;
    for (const std::string& text : peer.urls) {
      if (Result<Url> url = parse_url(text)) peer_urls.push_back(*std::move(url));
    }
    if (peer_urls.empty()) continue;
    const PeerLinks::Surroundings around{options, channels, events, *loop, prober};
    const auto made = std::make_shared<PeerLinks>(around, std::move(peer), std::move(peer_urls));
    made->open(reception->links.count(id));
    const std::lock_guard lock(mutex);
    peers.emplace(id, made);
  }
}

// All that are not wanted, or whose URLs are others.
void Links::Parts::remove_peers(const std::map<MemberId, Peer>& wanted) {
  std::vector<std::shared_ptr<PeerLinks>> removed;
  {
    const std::lock_guard lock(mutex);
    std::erase_if(peers, [&](const auto& entry) {
      const auto found = wanted.find(entry.first);
      if (found != wanted.end() && found->second == entry.second->peer()) return false;
      removed.push_back(entry.second);
      return true;
    });
  }
  for (const auto& peer : removed) {
    peer->close();
    if (wanted.contains(peer->peer().id)) continue;
    const auto [first, last] = reception->links.equal_range(peer->peer().id);
    std::for_each(first, last, [](const auto& link) { link.second->cancel(); });
  }
}

std::shared_ptr<PeerLinks> Links::Parts::find(MemberId id) {
  const std::lock_guard lock(mutex);
  const auto found = peers.find(id);
  return found == peers.end() ? nullptr : found->second;
}

Result<std::unique_ptr<Links>> Links::start(Options options, Events& events) {
  listener::keep_grpc_initialised();
  Result<ChannelMaker> channels = ChannelMaker::create(options);
  if (!channels) return std::move(channels).error();
  auto parts = std::make_unique<Parts>(std::move(options), events, *std::move(channels));
  const Result<void> listening = parts->listen();
  if (!listening) return listening.error();
  return std::unique_ptr<Links>(new Links(std::move(parts)));
}

Links::Links(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Links::~Links() {
  stop();
}

void Links::stop() {
  std::call_once(parts_->stop_once, [this] { parts_->stop(); });
}

const std::vector<std::string>& Links::urls() const {
  return parts_->urls;
}

void Links::set_peers(std::vector<Peer> peers) {
  parts_->loop->post([parts = parts_.get(), peers = std::move(peers)] { parts->set_peers(peers); });
}

void Links::send(MemberId to, Lane lane, std::string packet) {
  if (const auto peer = parts_->find(to)) peer->send(lane, std::move(packet));
}

void Links::send_snapshot(MemberId to, std::unique_ptr<SnapshotSource> source,
                          std::function<void(Result<void>)> done) {
  const std::shared_ptr<PeerLinks> peer = parts_->find(to);
  std::shared_ptr<grpc::Channel> channel = peer == nullptr ? nullptr : peer->connect();
  const Hello hello{.from = parts_->options.self, .to = to};
  {
    const std::lock_guard lock(parts_->mutex);
    parts_->snapshots.remove_if([](const auto& snapshot) { return snapshot.has_ended(); });
    if (parts_->takes_snapshots) {
      parts_->snapshots.emplace_back(std::move(channel), hello, std::move(source), std::move(done));
      return;
    }
  }
  done(Error{Errc::cancelled, "the links were stopped"});
}

}  // namespace conclave::transport
