#include "conclave/replica/peer_message.h"

#include <limits>
#include <utility>

namespace conclave::replica {
namespace {

constexpr std::uint32_t kPacketVersion = 1;

void encode(const raft::Message& message, RaftMessage& out) {
  out.set_kind(static_cast<std::uint32_t>(message.kind));
  out.set_from(message.from);
  out.set_to(message.to);
  out.set_term(message.term);
  out.set_log_index(message.log_index);
  out.set_log_term(message.log_term);
  for (const raft::Entry& entry : message.entries) {
    LogEntry& encoded = *out.add_entries();
    encoded.set_term(entry.term);
    encoded.set_index(entry.index);
    encoded.set_kind(static_cast<std::uint32_t>(entry.kind));
    encoded.set_payload(entry.payload);
  }
  out.set_commit(message.commit);
  out.set_rejected(message.rejected);
  out.set_reject_hint(message.reject_hint);
  out.set_voteless(message.voteless);
  out.set_leadership_transfer(message.leadership_transfer);
  out.set_round(message.round);
  out.set_context(message.context);
  if (message.snapshot) {
    out.mutable_snapshot()->set_index(message.snapshot->index);
    out.mutable_snapshot()->set_term(message.snapshot->term);
    encode(message.snapshot->config, *out.mutable_snapshot()->mutable_config());
  }
}

std::optional<raft::Message> decode(RaftMessage& encoded) {
  if (encoded.kind() < static_cast<std::uint32_t>(raft::MessageKind::append) ||
      encoded.kind() > static_cast<std::uint32_t>(raft::MessageKind::read_index_response)) {
    return std::nullopt;
  }
  raft::Message message{.kind = static_cast<raft::MessageKind>(encoded.kind()),
                        .from = encoded.from(),
                        .to = encoded.to(),
                        .term = encoded.term(),
                        .log_index = encoded.log_index(),
                        .log_term = encoded.log_term(),
                        .commit = encoded.commit(),
                        .rejected = encoded.rejected(),
                        .reject_hint = encoded.reject_hint(),
                        .voteless = encoded.voteless(),
                        .leadership_transfer = encoded.leadership_transfer(),
                        .round = encoded.round(),
                        .context = std::move(*encoded.mutable_context())};
  message.entries.reserve(static_cast<std::size_t>(encoded.entries_size()));
  for (LogEntry& entry : *encoded.mutable_entries()) {
    if (entry.kind() > static_cast<std::uint32_t>(raft::EntryKind::config_change)) {
      return std::nullopt;
    }
    message.entries.push_back({entry.term(), entry.index(),
                               static_cast<raft::EntryKind>(entry.kind()),
                               std::move(*entry.mutable_payload())});
  }
  if (encoded.has_snapshot()) {
    const SnapshotPlace& place = encoded.snapshot();
    message.snapshot =
        raft::SnapshotMetadata{place.index(), place.term(), replica::decode(place.config())};
  }
  return message;
}

}  // namespace

void encode(const raft::ConfigState& config, GroupConfig& encoded) {
  const auto fill = [](const std::set<raft::NodeId>& from, auto* to) {
    to->Add(from.begin(), from.end());
  };
  fill(config.voters, encoded.mutable_voters());
  fill(config.voters_outgoing, encoded.mutable_voters_outgoing());
  fill(config.learners, encoded.mutable_learners());
  fill(config.learners_next, encoded.mutable_learners_next());
  encoded.set_auto_leave(config.auto_leave);
}

raft::ConfigState decode(const GroupConfig& encoded) {
  raft::ConfigState config;
  config.voters.insert(encoded.voters().begin(), encoded.voters().end());
  config.voters_outgoing.insert(encoded.voters_outgoing().begin(), encoded.voters_outgoing().end());
  config.learners.insert(encoded.learners().begin(), encoded.learners().end());
  config.learners_next.insert(encoded.learners_next().begin(), encoded.learners_next().end());
  config.auto_leave = encoded.auto_leave();
  return config;
}

bool is_bulk(const PeerContent& content) {
  if (std::holds_alternative<Forward>(content)) return true;
  const auto* message = std::get_if<raft::Message>(&content);
  return message != nullptr && message->kind == raft::MessageKind::append;
}

std::string encode(const PeerContent& content) {
  PeerPacket packet;
  packet.set_version(kPacketVersion);
  if (const auto* message = std::get_if<raft::Message>(&content)) {
    encode(*message, *packet.mutable_raft());
  } else if (const auto* forward = std::get_if<Forward>(&content)) {
    packet.mutable_forward()->set_term(forward->term);
    packet.mutable_forward()->set_incarnation(forward->incarnation);
    packet.mutable_forward()->set_sequence(forward->sequence);
    packet.mutable_forward()->set_proposal(forward->proposal);
  } else if (const auto* refused = std::get_if<ForwardRefused>(&content)) {
    packet.mutable_refused()->set_incarnation(refused->incarnation);
    packet.mutable_refused()->set_sequence(refused->sequence);
    packet.mutable_refused()->set_refusal(static_cast<std::uint32_t>(refused->refusal));
  } else {
    packet.mutable_log_lost();
  }
  return packet.SerializeAsString();
}

std::optional<PeerContent> decode_peer_content(std::string_view bytes) {
  PeerPacket packet;
  if (bytes.size() > static_cast<std::size_t>(std::numeric_limits<int>::max()) ||
      !packet.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) ||
      packet.version() != kPacketVersion) {
    return std::nullopt;
  }
  switch (packet.content_case()) {
    case PeerPacket::kRaft:
      if (auto message = decode(*packet.mutable_raft())) return *std::move(message);
      return std::nullopt;
    case PeerPacket::kForward: {
      ForwardPacket& forward = *packet.mutable_forward();
      return Forward{forward.term(), forward.incarnation(), forward.sequence(),
                     std::move(*forward.mutable_proposal())};
    }
    case PeerPacket::kRefused: {
      const ForwardRefusedPacket& refused = packet.refused();
      if (refused.refusal() > std::numeric_limits<std::uint8_t>::max()) return std::nullopt;
      return ForwardRefused{refused.incarnation(), refused.sequence(),
                            static_cast<api::Refusal>(refused.refusal())};
    }
    case PeerPacket::kLogLost:
      return LogLost{};
    case PeerPacket::CONTENT_NOT_SET:
      return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace conclave::replica
