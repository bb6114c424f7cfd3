#include "tests/support/simulated_member.h"

#include <utility>

namespace conclave::test {

Result<std::unique_ptr<SimulatedMember>> SimulatedMember::start(wal::Disk& disk,
                                                                mvcc::Storage& storage,
                                                                Setup setup) {
  const Result<raft::Index> applied = replica::StateMachine::stored_index(storage);
  if (!applied) return applied.error();
  setup.log.must_reach = *applied;
  Result<wal::Recovered> recovered = wal::Log::open(disk, setup.log_directory, setup.log);
  if (!recovered) return recovered.error();

  replica::Options options;
  options.cluster_id = 11;
  options.self = {7, "alone", {"http://127.0.0.1:2380"}, {"http://127.0.0.1:2379"}};
  options.incarnation = setup.seed;
  options.batch_age = std::chrono::milliseconds(100);  // many batches in a short time
  if (setup.adjust) setup.adjust(options);
  const Duration tick = options.tick;
  auto replica = replica::Replica::create(std::move(options), storage,
                                          {recovered->hard_state,
                                           {recovered->previous_term, recovered->previous_index},
                                           std::move(recovered->entries)},
                                          Random(setup.seed), setup.start);
  if (!replica) return replica.error();

  std::unique_ptr<SimulatedMember> member(new SimulatedMember(storage, tick, setup.start));
  member->log_ = std::move(recovered->log);
  member->replica_ = *std::move(replica);
  if (Result<void> stepped = member->step(); !stepped) return stepped.error();
  return member;
}

std::shared_ptr<Ticket<etcdserverpb::PutRequest, etcdserverpb::PutResponse>> SimulatedMember::put(
    const std::string& key, const std::string& value, std::int64_t lease) {
  etcdserverpb::PutRequest request;
  request.set_key(key);
  request.set_value(value);
  request.set_lease(lease);
  return call<etcdserverpb::PutRequest, etcdserverpb::PutResponse>(std::move(request));
}

std::string SimulatedMember::get(const std::string& key) {
  etcdserverpb::RangeRequest request;
  request.set_key(key);
  const auto ticket = call<etcdserverpb::RangeRequest, etcdserverpb::RangeResponse>(request);
  return ticket->response.kvs_size() == 0 ? "" : ticket->response.kvs(0).value();
}

Result<void> SimulatedMember::step() {
  for (;;) {
    if (Result<void> processed = replica_->process(now_); !processed) return processed;
    keep(replica_->take_output());
    if (std::exchange(defragmentation_, false)) {
      replica_->defragmented(true, storage_.size_bytes(), storage_.size_in_use_bytes());
      continue;
    }
    const bool log_ready = !log_held_ && (!log_writes_.empty() || release_);
    const bool store_ready = !store_held_ && batch_ != nullptr;
    if (!log_ready && !store_ready && !replica_->has_more()) return {};
    if (log_ready) {
      if (Result<void> written = write_log(); !written) return written;
    }
    if (store_ready) {
      if (Result<void> written = write_store(); !written) return written;
    }
  }
}

Result<void> SimulatedMember::advance(Duration duration) {
  const Instant end = now_ + duration;
  while (next_tick_ <= end) {
    now_ = next_tick_;
    next_tick_ += tick_;
    replica_->tick(now_);
    if (Result<void> stepped = step(); !stepped) return stepped;
  }
  now_ = end;
  return step();
}

void SimulatedMember::keep(replica::Output output) {
  for (auto& write : output.log_writes) log_writes_.push_back(std::move(write));
  if (output.batch != nullptr) batch_ = std::move(output.batch);
  if (output.release_log) release_ = output.release_log;
  defragmentation_ = defragmentation_ || output.defragment;
  for (const replica::Answer& answer : output.answers) {
    const auto waiting = waiting_.extract(answer.id);
    CONCLAVE_CHECK(!waiting.empty(), "an answer to a request that does not wait");
    waiting.mapped()(answer.refusal);
    if (answer.held != nullptr) replica_->response_sent(answer.held_bytes);
  }
  snapshots_handed_out_ += output.snapshots.size();
  for (auto& delivery : output.deliveries) deliveries_.push_back(std::move(delivery));
}

Result<void> SimulatedMember::write_log() {
  const auto writes = std::exchange(log_writes_, {});
  bool must_sync = false;
  for (const auto& write : writes) {
    if (auto appended = log_->append(write.entries, write.hard_state); !appended) return appended;
    must_sync = must_sync || write.must_sync;
  }
  if (must_sync) {
    if (Result<raft::Index> synced = log_->sync(); !synced) return synced.error();
  }
  if (!writes.empty()) replica_->log_persisted(writes.back().ready_number);
  if (const auto release = std::exchange(release_, std::nullopt)) return log_->release(*release);
  return {};
}

Result<void> SimulatedMember::write_store() {
  const auto batch = std::exchange(batch_, nullptr);
  if (Result<void> committed = storage_.commit(*batch); !committed) return committed;
  ++batches_committed_;
  replica_->batch_committed(storage_.size_bytes(), storage_.size_in_use_bytes());
  return {};
}

}  // namespace conclave::test
