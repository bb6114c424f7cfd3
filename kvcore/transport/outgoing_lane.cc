#include "conclave/transport/outgoing_lane.h"

#include <utility>

#include "conclave/transport/peer.grpc.pb.h"

namespace conclave::transport {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// One try: from the dialling to the end of the stream.
class OutgoingLane::Call final : public std::enable_shared_from_this<Call> {
 public:
  Call(std::shared_ptr<OutgoingLane> lane, const std::shared_ptr<grpc::Channel>& channel)
      : lane_(std::move(lane)), hold_(lane_->loop_), stub_(PeerService::NewStub(channel)) {}

  void start(bool waits_for_connection) {
    write_hello(lane_->settings_.hello, context_);
    context_.set_wait_for_ready(waits_for_connection);
    stream_ = stub_->PrepareAsyncLink(&context_, lane_->loop_.queue());
    stream_->StartCall(started_.begin(shared_from_this()));
  }
  // Any thread; one write at a time.
  void write(std::vector<std::string> packets) {
    PacketBatch batch;
    batch.mutable_packets()->Reserve(static_cast<int>(packets.size()));
    for (std::string& packet : packets) batch.add_packets(std::move(packet));
    stream_->Write(batch, written_.begin(shared_from_this()));
  }
  void cancel() { context_.TryCancel(); }
  std::string address() const { return context_.peer(); }

 private:
  void on_started(bool ok) { ok ? read() : end(); }
  void on_read(bool ok) {
    if (!ok) return end();
    lane_->call_accepted(*this);
    read();
  }
  void on_written(bool ok) {
    lane_->batch_written(ok);
    if (is_ending_ && !lane_->is_writing()) finish();
  }
  void on_finished(bool) { lane_->call_ended(status_); }

  // Pending as long as the stream lives: its end is the first sign that the link is broken.
  void read() { stream_->Read(&accepted_, read_.begin(shared_from_this())); }
  void end() {
    is_ending_ = true;
    lane_->call_ending();
    if (!lane_->is_writing()) finish();
  }
  void finish() { stream_->Finish(&status_, finished_.begin(shared_from_this())); }

  const std::shared_ptr<OutgoingLane> lane_;
  const EventLoop::Hold hold_;
  const std::unique_ptr<PeerService::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientAsyncReaderWriter<PacketBatch, LinkAccepted>> stream_;
  LinkAccepted accepted_;
  grpc::Status status_;
  bool is_ending_ = false;
  Operation<Call, &Call::on_started> started_;
  Operation<Call, &Call::on_read> read_;
  Operation<Call, &Call::on_written> written_;
  Operation<Call, &Call::on_finished> finished_;
};

OutgoingLane::OutgoingLane(EventLoop& loop, Settings settings,
                           std::vector<std::shared_ptr<grpc::Channel>> channels,
                           std::weak_ptr<Owner> owner)
    : loop_(loop),
      settings_(settings),
      channels_(std::move(channels)),
      owner_(std::move(owner)),
      redial_(settings.pauses),
      queue_(settings.waiting_bytes_max) {}

void OutgoingLane::dial() {
  if (closed_ || call_ != nullptr) return;
  const std::uint64_t dial = ++dials_;
  was_accepted_ = has_timed_out_ = false;
  call_ = std::make_shared<Call>(shared_from_this(), channels_[channel_index_]);
  call_->start(timed_out_ < kTriesUntilExplained);
  loop_.after(settings_.dial_timeout, [weak = weak_from_this(), dial] {
    const auto lane = weak.lock();
    if (lane == nullptr || lane->dials_ != dial || lane->was_accepted_) return;
    lane->has_timed_out_ = true;
    if (lane->call_ != nullptr) lane->call_->cancel();
  });
}

void OutgoingLane::hurry() {
  if (was_accepted_ || was_refused_) return;
  for (const auto& channel : channels_) {
    grpc::experimental::ChannelResetConnectionBackoff(channel.get());
  }
  dial();
}

void OutgoingLane::close() {
  closed_ = true;
  if (call_ != nullptr) call_->cancel();
}

bool OutgoingLane::send(std::string packet) {
  std::unique_lock lock(mutex_);
  if (writable_ == nullptr || !queue_.push(packet)) return false;
  if (!writing_) write_batch(std::move(lock));
  return true;
}

// Something waits and nothing is being written. Without the lock, gRPC's own work on the write
// holds up no other sender.
void OutgoingLane::write_batch(std::unique_lock<std::mutex> lock) {
  writing_ = true;
  const std::shared_ptr<Call> call = writable_;
  std::vector<std::string> packets = queue_.take(kBatchBytesMax);
  lock.unlock();
  call->write(std::move(packets));
}

void OutgoingLane::batch_written(bool ok) {
  std::unique_lock lock(mutex_);
  writing_ = false;
  if (!ok || writable_ == nullptr) return;
  if (queue_.empty()) {
    queue_.take(0);  // what was taken is written
  } else {
    write_batch(std::move(lock));
  }
}

bool OutgoingLane::is_writing() {
  const std::lock_guard lock(mutex_);
  return writing_;
}

void OutgoingLane::call_accepted(Call& call) {
  was_accepted_ = true;
  was_refused_ = false;
  accepted_at_ = steady_clock::now();
  {
    const std::lock_guard lock(mutex_);
    writable_ = call.shared_from_this();
  }
  if (const auto owner = owner_.lock(); owner != nullptr && !closed_) {
    owner->lane_opened(call.address());
  }
}

void OutgoingLane::call_ending() {
  {
    const std::lock_guard lock(mutex_);
    if (writable_ == nullptr) return;
    writable_ = nullptr;
    queue_.clear();
  }
  if (const auto owner = owner_.lock(); owner != nullptr && !closed_) owner->lane_broken();
}

void OutgoingLane::call_ended(const grpc::Status& status) {
  call_ = nullptr;
  if (closed_) return;
  const bool was_accepted = std::exchange(was_accepted_, false);
  if (!was_accepted) channel_index_ = (channel_index_ + 1) % channels_.size();
  const std::optional<LinkRefusal> refusal = refusal_in(status);
  was_refused_ = refusal.has_value();
  if (refusal) {
    timed_out_ = explained_ = 0;
    if (const auto owner = owner_.lock()) owner->lane_refused(*refusal);
    return dial_after(redial_.after_refusal());
  }
  if (has_timed_out_) {
    ++timed_out_;
    return dial();
  }
  if (was_accepted) {
    timed_out_ = explained_ = 0;
  } else if (timed_out_ >= kTriesUntilExplained) {
    explain(status.error_message());
  }
  const auto lived = was_accepted ? steady_clock::now() - accepted_at_ : milliseconds(0);
  dial_after(redial_.after_break(std::chrono::duration_cast<milliseconds>(lived)));
}

void OutgoingLane::explain(const std::string& reason) {
  if (++explained_ >= channels_.size()) timed_out_ = explained_ = 0;
  if (const auto owner = owner_.lock()) owner->lane_not_opened(reason);
}

void OutgoingLane::dial_after(milliseconds pause) {
  if (pause <= milliseconds(0)) return dial();
  loop_.after(pause, [weak = weak_from_this(), dials = dials_] {
    const auto lane = weak.lock();
    if (lane != nullptr && lane->dials_ == dials) lane->dial();
  });
}

}  // namespace conclave::transport
