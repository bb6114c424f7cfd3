// Snapshots between members, as slow streams that can break.
#include <utility>

#include "tests/sim/node.h"

namespace conclave::sim {

using namespace std::chrono_literals;

namespace {

constexpr std::size_t kPieceBytes = 2000;

}  // namespace

struct SimNode::Outgoing {
  replica::SnapshotWriter writer;
  const std::uint64_t number;
  const raft::NodeId to;
  const std::uint64_t stream;
  std::string waiting{};
  bool begun = false;
};

void SimNode::send_snapshot(replica::Output::Snapshot snapshot) {
  site_.trace.note("node ", id(), " sends the snapshot of ", snapshot.state.head.place().index(),
                   " to ", snapshot.to);
  const auto outgoing = std::make_shared<Outgoing>(
      Outgoing{replica::SnapshotWriter(std::move(snapshot.state), storage_), snapshot.number,
               snapshot.to, random_.next() | 1});
  run_later(site_.network.usual_delay(), [this, outgoing] { send_piece(outgoing); });
}

void SimNode::send_piece(const std::shared_ptr<Outgoing>& outgoing) {
  SimNode* receiver = site_.find(outgoing->to);
  if (receiver == nullptr || !receiver->is_running() ||
      !site_.network.is_open(id(), outgoing->to) || !site_.network.is_open(outgoing->to, id()) ||
      site_.network.breaks_stream()) {
    return end_outgoing(outgoing, false);
  }
  if (!std::exchange(outgoing->begun, true) && !receiver->begin_snapshot(outgoing->stream)) {
    return end_outgoing(outgoing, false);
  }
  if (outgoing->waiting.empty()) {
    Result<std::optional<std::string>> next = outgoing->writer.next();
    CONCLAVE_CHECK(next, "the simulated store can be read");
    if (!*next) {
      const bool taken = receiver->end_snapshot(outgoing->stream, data_incarnation_);
      return end_outgoing(outgoing, taken);
    }
    outgoing->waiting = **std::move(next);
  }
  std::string piece = outgoing->waiting.substr(0, kPieceBytes);
  outgoing->waiting.erase(0, kPieceBytes);
  if (site_.network.damages_piece()) {
    piece[random_.below(piece.size())] ^= static_cast<char>(1 << random_.below(8));
    site_.trace.note("a piece of a snapshot is damaged");
  }
  if (!receiver->add_snapshot_piece(outgoing->stream, piece)) return end_outgoing(outgoing, false);
  run_later(site_.world.between(1ms, 20ms), [this, outgoing] { send_piece(outgoing); });
}

void SimNode::end_outgoing(const std::shared_ptr<Outgoing>& outgoing, bool sent) {
  site_.trace.note("the snapshot to ", outgoing->to, sent ? " is there" : " broke off");
  run_later(site_.network.usual_delay(), [this, number = outgoing->number, sent] {
    post([this, number, sent] { replica_->snapshot_ended(number, sent); });
  });
}

bool SimNode::begin_snapshot(std::uint64_t stream) {
  if (replica_ == nullptr || arrived_storage_ != nullptr) return false;
  incoming_ = stream;
  incoming_storage_ = std::make_shared<test::MemoryStorage>();
  incoming_reader_ = std::make_unique<replica::SnapshotReader>(incoming_storage_.get());
  return true;
}

bool SimNode::add_snapshot_piece(std::uint64_t stream, const std::string& bytes) {
  if (stream != incoming_) return false;
  if (incoming_reader_->add(bytes)) return true;
  incoming_ = 0;
  return false;
}

bool SimNode::end_snapshot(std::uint64_t stream, std::uint64_t data_incarnation) {
  if (stream != incoming_) return false;
  incoming_ = 0;
  if (arrived_storage_ != nullptr || !incoming_reader_->finish()) return false;
  arrived_storage_ = std::exchange(incoming_storage_, nullptr);
  post([this, data_incarnation, head = *incoming_reader_->head()] {
    auto state = std::make_unique<replica::StateMachine>(*arrived_storage_);
    if (Result<void> loaded = state->load(); !loaded) {
      return site_.trace.violation("a snapshot cannot be loaded: ", loaded.error().message);
    }
    replica_->snapshot_arrived(data_incarnation, head, std::move(state), local_now());
  });
  return true;
}

}  // namespace conclave::sim
