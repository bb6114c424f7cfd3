#include "tests/api/peer.h"

#include <utility>

#include <grpcpp/generic/generic_stub.h>

#include "conclave/base/check.h"

#include "tests/support/etcd_cluster.h"

namespace conclave::test {
namespace {

namespace pb = etcdserverpb;

constexpr std::chrono::seconds kCallLimit{30};
constexpr const char* kEveryKey = "\0";

std::unique_ptr<grpc::ClientContext> context() {
  auto context = std::make_unique<grpc::ClientContext>();
  context->set_deadline(std::chrono::system_clock::now() + kCallLimit);
  // A connection makes progress only while a call waits for it.
  context->set_wait_for_ready(true);
  return context;
}

}  // namespace

std::string_view name_of(ServerKind kind) {
  return kind == ServerKind::conclaved ? "conclaved" : "etcd";
}

std::string program_of(ServerKind kind) {
  if (kind == ServerKind::etcd) return etcd_binary(CONCLAVE_PEERS_DIR);
  return CONCLAVE_BIN_DIR "/conclaved";
}

ServerProcess::ServerProcess(ServerKind kind, std::vector<std::string> flags) : kind_(kind) {
  start(flags);
}

ServerProcess::ServerProcess(const ServerProcess& founder, const std::string& peer_url)
    : kind_(founder.kind_),
      joins_(true),
      peer_url_(peer_url),
      members_(founder.members_ + ",joiner=" + peer_url) {
  start({});
}

void ServerProcess::start(const std::vector<std::string>& flags) {
  std::vector<std::string> words = command();
  words.insert(words.end(), flags.begin(), flags.end());
  process_ = std::make_unique<Process>(words, std::filesystem::path(dir_.path()) / "log");
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 20);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 2000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 100);
  channel_ = grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(port_),
                                       grpc::InsecureChannelCredentials(), arguments);
  Calls calls(channel_);
  grpc::Status status;
  const bool serves = wait_until([&] {
    pb::RangeRequest request;
    pb::RangeResponse response;
    request.set_key("any");
    request.set_serializable(joins_);
    status = calls.call(request, response);
    return process_->poll() || status.ok();
  });
  CONCLAVE_CHECK(serves && !process_->poll(),
                 "the server does not serve: " + status.error_message() + "\n" + output());
}

std::vector<std::string> ServerProcess::command() const {
  const std::string client_url = "http://127.0.0.1:" + std::to_string(port_);
  std::vector<std::string> words{
      program_of(kind_),
      "--name=" + std::string(joins_ ? "joiner" : "default"),
      "--data-dir=" + dir_.path() + "/data",
      "--listen-client-urls=" + client_url,
      "--advertise-client-urls=" + client_url,
      "--listen-peer-urls=" + peer_url_,
      "--initial-advertise-peer-urls=" + peer_url_,
      "--initial-cluster=" + members_,
      "--initial-cluster-state=" + std::string(joins_ ? "existing" : "new"),
      "--election-timeout=500"};
  if (kind_ == ServerKind::conclaved) {
    words.insert(words.end(), {"--auto-compaction-retention=0", "--log-level=warn"});
  }
  return words;
}

Calls::Calls(const std::shared_ptr<grpc::Channel>& channel)
    : kv_(pb::KV::NewStub(channel)),
      lease_(pb::Lease::NewStub(channel)),
      maintenance_(pb::Maintenance::NewStub(channel)),
      cluster_(pb::Cluster::NewStub(channel)) {}

grpc::Status Calls::call(const pb::RangeRequest& request, pb::RangeResponse& response) {
  return kv_->Range(context().get(), request, &response);
}
grpc::Status Calls::call(const pb::PutRequest& request, pb::PutResponse& response) {
  return kv_->Put(context().get(), request, &response);
}
grpc::Status Calls::call(const pb::DeleteRangeRequest& request, pb::DeleteRangeResponse& response) {
  return kv_->DeleteRange(context().get(), request, &response);
}
grpc::Status Calls::call(const pb::TxnRequest& request, pb::TxnResponse& response) {
  return kv_->Txn(context().get(), request, &response);
}
grpc::Status Calls::call(const pb::CompactionRequest& request, pb::CompactionResponse& response) {
  return kv_->Compact(context().get(), request, &response);
}
grpc::Status Calls::call(const pb::LeaseGrantRequest& request, pb::LeaseGrantResponse& response) {
  return lease_->LeaseGrant(context().get(), request, &response);
}
grpc::Status Calls::call(const pb::LeaseRevokeRequest& request, pb::LeaseRevokeResponse& response) {
  return lease_->LeaseRevoke(context().get(), request, &response);
}
grpc::Status Calls::call(const pb::LeaseKeepAliveRequest& request,
                         pb::LeaseKeepAliveResponse& response) {
  const auto call = context();
  const auto stream = lease_->LeaseKeepAlive(call.get());
  stream->Write(request);
  const bool answered = stream->Read(&response);
  stream->WritesDone();
  grpc::Status status = stream->Finish();
  if (status.ok() && !answered) return {grpc::StatusCode::UNKNOWN, "no renewal came"};
  return status;
}
grpc::Status Calls::call(const pb::LeaseTimeToLiveRequest& request,
                         pb::LeaseTimeToLiveResponse& response) {
  return lease_->LeaseTimeToLive(context().get(), request, &response);
}
grpc::Status Calls::call(const pb::LeaseLeasesRequest& request, pb::LeaseLeasesResponse& response) {
  return lease_->LeaseLeases(context().get(), request, &response);
}
grpc::Status Calls::call(const pb::HashKVRequest& request, pb::HashKVResponse& response) {
  return maintenance_->HashKV(context().get(), request, &response);
}
grpc::Status Calls::call(const pb::StatusRequest& request, pb::StatusResponse& response) {
  return maintenance_->Status(context().get(), request, &response);
}
grpc::Status Calls::call(const pb::AlarmRequest& request, pb::AlarmResponse& response) {
  return maintenance_->Alarm(context().get(), request, &response);
}
grpc::Status Calls::call(const pb::MemberListRequest& request, pb::MemberListResponse& response) {
  return cluster_->MemberList(context().get(), request, &response);
}

std::int64_t Calls::wipe() {
  pb::AlarmResponse alarms;
  const grpc::Status listed = call(pb::AlarmRequest{}, alarms);
  CONCLAVE_CHECK(listed.ok(), "the alarms cannot be listed: " + listed.error_message());
  for (const pb::AlarmMember& alarm : alarms.alarms()) {
    pb::AlarmRequest disarm;
    pb::AlarmResponse disarmed;
    disarm.set_action(pb::AlarmRequest::DEACTIVATE);
    disarm.set_memberid(alarm.memberid());
    disarm.set_alarm(alarm.alarm());
    CONCLAVE_CHECK(call(disarm, disarmed).ok(), "an alarm cannot be taken back");
  }
  pb::LeaseLeasesResponse leases;
  CONCLAVE_CHECK(call(pb::LeaseLeasesRequest{}, leases).ok(), "the leases cannot be listed");
  for (const pb::LeaseStatus& lease : leases.leases()) {
    pb::LeaseRevokeRequest revoke;
    pb::LeaseRevokeResponse revoked;
    revoke.set_id(lease.id());
    call(revoke, revoked);  // it may have expired since
  }
  pb::DeleteRangeRequest request;
  pb::DeleteRangeResponse response;
  request.set_key(std::string(kEveryKey, 1));
  request.set_range_end(std::string(kEveryKey, 1));
  CONCLAVE_CHECK(call(request, response).ok(), "the keys cannot be deleted");
  return response.header().revision();
}

namespace {

// Ends as gRPC wants it: shut down and emptied.
class Completions {
 public:
  ~Completions() {
    queue.Shutdown();
    void* tag = nullptr;
    bool ok = false;
    while (queue.Next(&tag, &ok)) {
    }
  }
  void await() {
    void* tag = nullptr;
    bool ok = false;
    CONCLAVE_CHECK(queue.Next(&tag, &ok), "a call ends within its deadline");
  }
  grpc::CompletionQueue queue;
};

grpc::ByteBuffer buffer_of(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return {&slice, 1};
}

}  // namespace

grpc::Status call_raw(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                      const std::string& bytes, std::string* reply) {
  Completions completions;
  grpc::GenericStub stub(channel);
  const auto with = context();
  const auto call = stub.PrepareUnaryCall(with.get(), method, buffer_of(bytes), &completions.queue);
  grpc::ByteBuffer answer;
  grpc::Status status;
  call->StartCall();
  call->Finish(&answer, &status, nullptr);
  completions.await();
  if (reply != nullptr && status.ok()) {
    grpc::Slice slice;
    if (answer.TrySingleSlice(&slice).ok() || answer.DumpToSingleSlice(&slice).ok()) {
      reply->assign(reinterpret_cast<const char*>(slice.begin()), slice.size());
    }
  }
  return status;
}

grpc::Status stream_raw(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                        const std::string& bytes) {
  Completions completions;
  grpc::GenericStub stub(channel);
  const auto with = context();
  const auto stream = stub.PrepareCall(with.get(), method, &completions.queue);
  stream->StartCall(nullptr);
  completions.await();
  stream->Write(buffer_of(bytes), nullptr);
  completions.await();
  grpc::Status status;
  stream->Finish(&status, nullptr);
  completions.await();
  return status;
}

WatchCall::WatchCall(const std::shared_ptr<grpc::Channel>& channel)
    : stub_(pb::Watch::NewStub(channel)),
      stream_(stub_->Watch(&context_)),
      reader_([this] { read(); }) {}

WatchCall::~WatchCall() {
  context_.TryCancel();
  if (reader_.joinable()) reader_.join();
}

void WatchCall::send(const pb::WatchRequest& request) {
  stream_->Write(request);
}

grpc::Status WatchCall::cancel() {
  context_.TryCancel();
  reader_.join();
  return status_;
}

void WatchCall::read() {
  pb::WatchResponse response;
  while (stream_->Read(&response)) {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(response);
    came_.notify_all();
  }
  const grpc::Status status = stream_->Finish();
  const std::lock_guard lock(mutex_);
  status_ = status;
  ended_ = true;
  came_.notify_all();
}

std::optional<pb::WatchResponse> WatchCall::next(std::chrono::milliseconds limit) {
  std::unique_lock lock(mutex_);
  came_.wait_for(lock, limit, [this] { return ended_ || !waiting_.empty(); });
  if (waiting_.empty()) return std::nullopt;
  pb::WatchResponse response = std::move(waiting_.front());
  waiting_.pop_front();
  return response;
}

}  // namespace conclave::test
