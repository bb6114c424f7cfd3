#include "conclave/server/grpc_snapshot.h"

#include <utility>

namespace conclave::server {

// Shared by the call, which gRPC owns, and by whoever reads the next piece for it.
class SnapshotCall::State final : public EndableStream, public std::enable_shared_from_this<State> {
 public:
  explicit State(SnapshotCall* call) : output_(call) {}

  void begin(std::shared_ptr<SnapshotPieces> pieces) {
    if (pieces == nullptr) return output_.end(status_of(api::Refusal::stopped));
    {
      const std::lock_guard lock(mutex_);
      if (!over_) pieces_ = std::move(pieces);
    }
    read_next();
  }

  void written(bool ok) {
    if (!ok) abandon();
    output_.written();
    output_.pump();
    if (ok) read_next();
  }

  void refuse(const grpc::Status& status) { output_.end(status); }
  void end(api::Refusal reason) override {
    drop_pieces();
    output_.end(status_of(reason));
  }
  void abandon() {
    drop_pieces();
    output_.abandon(grpc::Status(grpc::StatusCode::CANCELLED, "canceled"));
  }

 private:
  void drop_pieces() {
    std::shared_ptr<SnapshotPieces> dropped;
    const std::lock_guard lock(mutex_);
    over_ = true;
    dropped = std::move(pieces_);
  }

  void read_next() {
    std::shared_ptr<SnapshotPieces> pieces;
    {
      const std::lock_guard lock(mutex_);
      pieces = pieces_;
    }
    if (pieces == nullptr) return;
    // Whoever reads keeps the pieces until it has read.
    pieces->next([self = shared_from_this(), pieces](SnapshotPieces::Piece piece) {
      self->take(std::move(piece));
    });
  }

  void take(SnapshotPieces::Piece piece) {
    if (!piece || !*piece) {
      drop_pieces();
      return output_.end(piece ? grpc::Status::OK
                               : grpc::Status(grpc::StatusCode::INTERNAL, piece.error().message));
    }
    auto response = std::make_shared<etcdserverpb::SnapshotResponse>();
    response->set_blob(**std::move(piece));
    if (output_.enqueue(std::move(response))) output_.pump();
  }

  StreamOutput<SnapshotRequest, etcdserverpb::SnapshotResponse> output_;
  std::mutex mutex_;
  std::shared_ptr<SnapshotPieces> pieces_;  // none before they are opened, and after the last
  bool over_ = false;
};

SnapshotCall::SnapshotCall(std::unique_ptr<Call> call, RequestHandler& handler, OpenCalls& calls)
    : StreamReactor(std::move(call)),
      handler_(handler),
      calls_(calls),
      state_(std::make_shared<State>(this)) {
  id_ = calls_.add(state_);
  StartRead(&request_);
}

void SnapshotCall::OnReadDone(bool ok) {
  if (!ok || !request_.readable) return state_->refuse(unreadable_request());
  handler_.snapshot([state = state_](std::shared_ptr<SnapshotPieces> pieces) {
    state->begin(std::move(pieces));
  });
}

void SnapshotCall::OnWriteDone(bool ok) {
  state_->written(ok);
}

void SnapshotCall::OnCancel() {
  state_->abandon();
}

void SnapshotCall::OnDone() {
  calls_.remove(id_);
  delete this;
}

}  // namespace conclave::server
