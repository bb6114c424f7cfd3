#include "tests/api/fuzz/round.h"

#include <algorithm>
#include <cstdio>
#include <thread>
#include <type_traits>

#include "tests/api/fuzz/known_differences.h"
#include "tests/api/render.h"

namespace conclave::test {
namespace {

namespace pb = etcdserverpb;
using std::chrono::milliseconds;

// etcd looks after watches that have fallen behind ten times a second; a loaded machine is slower.
constexpr milliseconds kEtcdLimit{5000};
constexpr milliseconds kConclavedLimit{5000};
// How long conclaved's stream must be silent where it cannot be asked whether it is done.
constexpr milliseconds kQuiet{15};
constexpr milliseconds kLateEvents{150};
// A watch from the past on keys without history gives no sign of having caught up: a compaction
// waits this long after it was created, or etcd may find its start compacted.
constexpr milliseconds kEtcdCatchUp{400};
// Where nothing is alive at the revision, etcd hashes what it has not removed yet, and it goes on
// seeing what it removed until its next commit, a tenth of a second later.
constexpr milliseconds kEtcdRemoval{300};

const Renderer kRender;

bool is_progress(const pb::WatchResponse& response) {
  return response.watch_id() == -1 && !response.created() && !response.canceled();
}

template <class Request, class Response>
void drop_known(const Request& request, Response& response) {
  if constexpr (std::is_same_v<Request, pb::RangeRequest> ||
                std::is_same_v<Request, pb::TxnRequest>) {
    drop_keys_only_leases(request, response);
  } else {
    static_cast<void>(request);
    static_cast<void>(response);
  }
}

void sort_leases(google::protobuf::Message& message) {
  auto* leases = dynamic_cast<pb::LeaseLeasesResponse*>(&message);
  if (leases == nullptr) return;
  std::sort(leases->mutable_leases()->begin(), leases->mutable_leases()->end(),
            [](const auto& left, const auto& right) { return left.id() < right.id(); });
}

}  // namespace

ServerPair::ServerPair() = default;

void ServerPair::Stream::take(const pb::WatchResponse& response) {
  said[response.watch_id()].push_back(kRender(response));
  ++responses;
}

std::string ServerPair::Stream::text() const {
  std::string text;
  for (const auto& [id, lines] : said) {
    for (const std::string& line : lines) text += line + "\n";
  }
  return text;
}

template <class Request, class Response>
ServerPair::Answers ServerPair::carry_out_call(const Request& request) {
  if constexpr (std::is_same_v<Request, pb::HashKVRequest>) {
    std::this_thread::sleep_until(last_compaction_ + kEtcdRemoval);
  }
  ++calls_;
  Response ours;
  Response theirs;
  const grpc::Status our_status = conclaved_calls_.call(request, ours);
  const grpc::Status their_status = etcd_calls_.call(request, theirs);
  drop_known(request, theirs);
  sort_leases(ours);
  sort_leases(theirs);
  if (their_status.ok()) {
    state_.current = std::max(state_.current, theirs.header().revision());
    if constexpr (std::is_same_v<Request, pb::CompactionRequest>) {
      state_.compacted = request.revision();
      last_compaction_ = std::chrono::steady_clock::now();
    }
    if constexpr (std::is_same_v<Request, pb::AlarmRequest>) {
      if (request.action() == pb::AlarmRequest::ACTIVATE) state_.raised.insert(request.memberid());
      if (request.action() == pb::AlarmRequest::DEACTIVATE) state_.raised.erase(request.memberid());
    }
  }
  return {our_status.ok() ? kRender(ours) : kRender(our_status),
          their_status.ok() ? kRender(theirs) : kRender(their_status)};
}

ServerPair::Answers ServerPair::carry_out(const Step& step) {
  return std::visit(
      [this](const auto& request) -> Answers {
        using Request = std::decay_t<decltype(request)>;
        if constexpr (std::is_same_v<Request, StreamStep>) {
          ask(streams_[static_cast<std::size_t>(request.stream)], request.request);
          return {};
        } else if constexpr (std::is_same_v<Request, ReopenStep>) {
          reopen(streams_[static_cast<std::size_t>(request.stream)]);
          return {};
        } else if constexpr (std::is_same_v<Request, pb::RangeRequest>) {
          return carry_out_call<Request, pb::RangeResponse>(request);
        } else if constexpr (std::is_same_v<Request, pb::PutRequest>) {
          return carry_out_call<Request, pb::PutResponse>(request);
        } else if constexpr (std::is_same_v<Request, pb::DeleteRangeRequest>) {
          return carry_out_call<Request, pb::DeleteRangeResponse>(request);
        } else if constexpr (std::is_same_v<Request, pb::TxnRequest>) {
          return carry_out_call<Request, pb::TxnResponse>(request);
        } else if constexpr (std::is_same_v<Request, pb::CompactionRequest>) {
          return carry_out_call<Request, pb::CompactionResponse>(request);
        } else if constexpr (std::is_same_v<Request, pb::LeaseGrantRequest>) {
          return carry_out_call<Request, pb::LeaseGrantResponse>(request);
        } else if constexpr (std::is_same_v<Request, pb::LeaseRevokeRequest>) {
          return carry_out_call<Request, pb::LeaseRevokeResponse>(request);
        } else if constexpr (std::is_same_v<Request, pb::LeaseKeepAliveRequest>) {
          return carry_out_call<Request, pb::LeaseKeepAliveResponse>(request);
        } else if constexpr (std::is_same_v<Request, pb::LeaseTimeToLiveRequest>) {
          return carry_out_call<Request, pb::LeaseTimeToLiveResponse>(request);
        } else if constexpr (std::is_same_v<Request, pb::HashKVRequest>) {
          return carry_out_call<Request, pb::HashKVResponse>(request);
        } else if constexpr (std::is_same_v<Request, pb::AlarmRequest>) {
          return carry_out_call<Request, pb::AlarmResponse>(request);
        } else {
          return carry_out_call<Request, pb::LeaseLeasesResponse>(request);
        }
      },
      step);
}

void ServerPair::reopen(StreamPair& stream) {
  stream = StreamPair{};
  stream.conclaved.call = std::make_unique<WatchCall>(conclaved_.channel());
  stream.etcd.call = std::make_unique<WatchCall>(etcd_.channel());
}

void ServerPair::ask(StreamPair& stream, const pb::WatchRequest& request) {
  ++calls_;
  stream.in_use = true;
  stream.future_start = std::max(stream.future_start, request.create_request().start_revision());
  if (request.create_request().start_revision() != 0) {
    last_old_watch_ = std::chrono::steady_clock::now();
  }
  stream.conclaved.call->send(request);
  stream.etcd.call->send(request);
}

// Waits until conclaved has nothing more to say, and etcd has said as much.
void ServerPair::settle(StreamPair& stream) const {
  const bool may_ask = stream.future_start <= state_.current;
  if (may_ask) {
    pb::WatchRequest progress;
    progress.mutable_progress_request();
    stream.conclaved.call->send(progress);
  }
  while (auto response = stream.conclaved.call->next(may_ask ? kConclavedLimit : kQuiet)) {
    if (is_progress(*response)) {
      if (may_ask) break;
      continue;
    }
    stream.conclaved.take(*response);
  }
  while (stream.etcd.responses < stream.conclaved.responses) {
    const auto response = stream.etcd.call->next(kEtcdLimit);
    if (!response) break;
    stream.etcd.take(*response);
  }
  while (const auto response = stream.etcd.call->next(milliseconds(0))) stream.etcd.take(*response);
  // It was silent, but on a loaded machine that does not mean done.
  while (stream.conclaved.responses < stream.etcd.responses) {
    const auto response = stream.conclaved.call->next(kConclavedLimit);
    if (!response) break;
    if (!is_progress(*response)) stream.conclaved.take(*response);
  }
}

std::optional<ServerPair::Answers> ServerPair::compare_streams() {
  for (StreamPair& stream : streams_) {
    if (!stream.in_use) continue;
    settle(stream);
    if (stream.conclaved.said != stream.etcd.said) {
      return Answers{stream.conclaved.text(), stream.etcd.text()};
    }
    stream.conclaved.said.clear();
    stream.etcd.said.clear();
  }
  return std::nullopt;
}

std::optional<Difference> ServerPair::run(std::uint64_t seed, std::size_t count,
                                          const std::vector<std::size_t>& chosen, bool trace) {
  for (StreamPair& stream : streams_) reopen(stream);
  // Waiting for watches takes most of the time, so half of the rounds are without.
  state_.with_watches = seed % 2 == 0;
  state_.alarm = seed % 5 == 0 ? pb::CORRUPT : pb::NOSPACE;
  state_.raised.clear();
  const std::int64_t ours = conclaved_calls_.wipe();
  state_.current = etcd_calls_.wipe();
  if (ours != state_.current) {
    return Difference{0, "all keys and leases deleted", "@" + std::to_string(ours),
                      "@" + std::to_string(state_.current)};
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (!chosen.empty() && std::find(chosen.begin(), chosen.end(), i) == chosen.end()) continue;
    Random random(seed * 1'000'003 + i);
    const Step step = draw_step(random, state_);
    if (std::holds_alternative<pb::CompactionRequest>(step)) {
      std::this_thread::sleep_until(last_old_watch_ + kEtcdCatchUp);
    }
    const Answers answers = carry_out(step);
    if (trace) std::printf("%4zu %s\n     %s\n", i, describe(step).c_str(), answers.etcd.c_str());
    if (answers.conclaved != answers.etcd) {
      return Difference{i, describe(step), answers.conclaved, answers.etcd};
    }
    if (const auto said = compare_streams()) {
      return Difference{i, "watches after " + describe(step), said->conclaved, said->etcd};
    }
  }
  return compare_ends(count);
}

std::optional<Difference> ServerPair::compare_ends(std::size_t step) {
  if (state_.with_watches) std::this_thread::sleep_for(kLateEvents);
  if (const auto said = compare_streams()) {
    return Difference{step, "watches in the end", said->conclaved, said->etcd};
  }
  const std::int64_t compacted = std::max<std::int64_t>(state_.compacted, 0);
  const std::int64_t between = (compacted + state_.current + 1) / 2;
  for (const std::int64_t revision :
       {std::int64_t{0}, comparable_hash_revision(between, compacted), state_.current + 1,
        std::max<std::int64_t>(compacted - 1, 0)}) {
    pb::HashKVRequest request;
    request.set_revision(revision);
    const Answers hashes = carry_out_call<pb::HashKVRequest, pb::HashKVResponse>(request);
    if (hashes.conclaved != hashes.etcd) {
      return Difference{step, "HashKV at " + std::to_string(revision) + " in the end",
                        hashes.conclaved, hashes.etcd};
    }
  }
  return std::nullopt;
}

}  // namespace conclave::test
