#include "conclave/transport/peer_links.h"

#include <chrono>
#include <utility>

namespace conclave::transport {
namespace {

constexpr std::chrono::milliseconds kLossReportPause{250};
// For so many a peer that cannot be reached is told about.
constexpr std::size_t kReasonsMax = 16;

}  // namespace

PeerLinks::PeerLinks(const Surroundings& surroundings, Peer peer, std::vector<Url> urls)
    : around_(surroundings),
      peer_(std::move(peer)),
      urls_(std::move(urls)),
      address_(socket_address(urls_.front())) {}

void PeerLinks::open(std::size_t incoming) {
  if (incoming > 0) presence_.incoming_opened(incoming);
  const Options& options = around_.options;
  OutgoingLane::Settings settings{
      .hello = {.from = options.self, .to = peer_.id},
      .waiting_bytes_max = options.control_bytes_max,
      .dial_timeout = options.dial_timeout,
      .pauses = {options.redial_pause_min, options.redial_pause_max, options.refused_pause}};
  for (const Lane lane : {Lane::control, Lane::bulk}) {
    if (lane == Lane::bulk) settings.waiting_bytes_max = options.bulk_bytes_max;
    std::vector<std::shared_ptr<grpc::Channel>> channels;
    for (const Url& url : urls_) channels.push_back(around_.channels.connect(url));
    auto& made = lanes_.at(static_cast<std::size_t>(lane));
    made = std::make_shared<OutgoingLane>(around_.loop, settings, std::move(channels),
                                          weak_from_this());
    made->dial();
  }
}

void PeerLinks::close() {
  closed_ = true;
  for (const auto& lane : lanes_) lane->close();
}

void PeerLinks::send(Lane lane, std::string packet) {
  if (packet.size() > around_.options.packet_bytes_max ||
      !lanes_.at(static_cast<std::size_t>(lane))->send(std::move(packet))) {
    note_loss();
  }
}

std::shared_ptr<grpc::Channel> PeerLinks::connect() const {
  return around_.channels.connect(urls_[lanes_.front()->channel_index()]);
}

void PeerLinks::incoming_opened(std::size_t open) {
  presence_.incoming_opened(open);
  for (const auto& lane : lanes_) lane->hurry();
}

void PeerLinks::incoming_broken(std::size_t left) {
  if (!closed_) follow(presence_.incoming_closed(left));
}

void PeerLinks::lane_opened(const std::string& address) {
  not_reached_.clear();
  if (std::exchange(refusal_, {}) != LinkRefusal{} && !closed_) around_.events.accepted(peer_.id);
  presence_.link_opened();
  if (auto reached = socket_address(address)) address_ = reached;
  for (const auto& lane : lanes_) lane->hurry();
}

void PeerLinks::lane_broken() {
  note_loss();
  follow(presence_.link_closed());
}

void PeerLinks::lane_not_opened(const std::string& reason) {
  if (closed_ || not_reached_.size() >= kReasonsMax) return;
  if (!not_reached_.insert(reason).second) return;
  around_.events.not_reached(peer_.id, reason);
}

void PeerLinks::lane_refused(const LinkRefusal& refusal) {
  if (refusal == refusal_) return;
  refusal_ = refusal;
  around_.events.refused(peer_.id, refusal);
}

void PeerLinks::follow(Presence::Next next) {
  if (next == Presence::Next::probe) probe();
  if (next == Presence::Next::gone && !closed_) around_.events.gone(peer_.id);
}

void PeerLinks::probe() {
  const auto ended = [weak = weak_from_this(), &loop = around_.loop](bool refused) {
    loop.post([weak, refused] {
      if (const auto self = weak.lock()) self->follow(self->presence_.probe_ended(refused));
    });
  };
  // Without an address there is nothing to find out.
  if (!address_) return ended(false);
  around_.prober.probe(*address_, ended);
}

void PeerLinks::note_loss() {
  if (loss_noted_.exchange(true)) return;
  around_.loop.post([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->report_loss();
  });
}

// What is lost soon after a report is told with the next one.
void PeerLinks::report_loss() {
  if (loss_just_reported_ || closed_) return;
  loss_noted_ = false;
  loss_just_reported_ = true;
  around_.events.unreachable(peer_.id);
  around_.loop.after(kLossReportPause, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (self == nullptr) return;
    self->loss_just_reported_ = false;
    if (self->loss_noted_) self->report_loss();
  });
}

}  // namespace conclave::transport
