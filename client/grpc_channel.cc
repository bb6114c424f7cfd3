#include "conclave/client/grpc_channel.h"

#include <algorithm>
#include <deque>
#include <fstream>
#include <iterator>
#include <string_view>
#include <thread>
#include <unordered_set>
#include <utility>
#include <vector>

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include "conclave/client/endpoint.h"

namespace conclave::client {

namespace {

constexpr int kPingInterval_ms =
    10'000;  // etcd closes connections that ping more often than each 5 s
constexpr int kPingTimeout_ms = 5'000;
constexpr int kFirstReconnect_ms = 100;
constexpr int kSlowestReconnect_ms = 1'000;

grpc::ByteBuffer to_buffer(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return {&slice, 1};
}

std::string to_string(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string out;
  if (!buffer.Dump(&slices).ok()) return out;
  out.reserve(buffer.Length());
  for (const grpc::Slice& slice : slices) {
    out.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return out;
}

// A call that found no connection to go out on ends with one of these texts, which gRPC's balancer
// and resolver give, and has no peer. Nothing else counts as proof: a call that timed out may have
// no peer either, though its request was sent.
bool was_sent(const grpc::Status& status, const grpc::ClientContext& context) {
  if (status.error_code() != grpc::StatusCode::UNAVAILABLE) return true;
  if (!context.peer().starts_with("dns:")) return true;
  const std::string text = status.error_message();
  return !text.starts_with("failed to connect to all addresses") &&
         !text.starts_with("DNS resolution failed");
}

CallStatus to_status(const grpc::Status& status, const grpc::ClientContext& context) {
  return {.code = static_cast<int>(status.error_code()),
          .message = status.error_message(),
          .sent = was_sent(status, context)};
}

// What the completion queue hands back. completed() runs on the queue's thread.
class Tag {
 public:
  virtual ~Tag() = default;
  virtual void completed(bool ok) = 0;
};

class UnaryCall final : public Tag, public std::enable_shared_from_this<UnaryCall> {
 public:
  using Registry = std::unordered_set<std::shared_ptr<UnaryCall>>;

  UnaryCall(Executor& executor, Registry& registry, Channel::UnaryDone done)
      : executor_(&executor), registry_(&registry), done_(std::move(done)) {}

  grpc::ClientContext& context() { return context_; }

  void start(grpc::GenericStub& stub, grpc::CompletionQueue& queue, const std::string& method,
             const std::string& request) {
    in_flight_ = shared_from_this();
    reader_ = stub.PrepareUnaryCall(&context_, method, to_buffer(request), &queue);
    reader_->StartCall();
    reader_->Finish(&reply_, &status_, this);
  }

  void completed(bool /*ok*/) override {
    executor_->post([self = std::move(in_flight_)] { self->deliver(); });
  }

  void abandon() {
    done_ = nullptr;
    context_.TryCancel();
  }

 private:
  void deliver() {
    if (!done_) return;
    const Channel::UnaryDone done = std::move(done_);
    done_ = nullptr;
    registry_->erase(shared_from_this());
    done(to_status(status_, context_), to_string(reply_));
  }

  Executor* executor_;
  Registry* registry_;
  Channel::UnaryDone done_;  // empty: nobody waits any more, and the registry may be gone
  grpc::ClientContext context_;
  grpc::ByteBuffer reply_;
  grpc::Status status_;
  std::unique_ptr<grpc::ClientAsyncResponseReader<grpc::ByteBuffer>> reader_;
  std::shared_ptr<UnaryCall> in_flight_;
};

// One stream. Lives until its last operation has come back from the completion queue; apart from
// that, everything happens in the executor's tasks.
class StreamCall final : public std::enable_shared_from_this<StreamCall> {
 public:
  StreamCall(Executor& executor, Channel::StreamSink sink)
      : executor_(&executor), sink_(std::make_shared<Channel::StreamSink>(std::move(sink))) {}

  grpc::ClientContext& context() { return context_; }

  void start(grpc::GenericStub& stub, grpc::CompletionQueue& queue, const std::string& method) {
    stream_ = stub.PrepareCall(&context_, method, &queue);
    stream_->StartCall(begin(start_));
  }

  void send(std::string request) {
    outgoing_.push_back(std::move(request));
    write_next();
  }

  void finish_sending() {
    no_more_ = true;
    write_next();
  }

  void pause() { paused_ = true; }
  void resume() {
    paused_ = false;
    if (started_ && sink_ && !ended_) read_next();
  }

  void abandon() {
    sink_.reset();
    context_.TryCancel();
  }

 private:
  enum class Step : std::uint8_t { start, read, write, finish };

  struct Operation final : Tag {
    explicit Operation(Step what) : step(what) {}
    void completed(bool ok) override {
      const std::shared_ptr<StreamCall> call = std::move(in_flight);
      call->executor_->post([call, what = step, ok] { call->on(what, ok); });
    }
    Step step;
    std::shared_ptr<StreamCall> in_flight;
  };

  Tag* begin(Operation& operation) {
    operation.in_flight = shared_from_this();
    return &operation;
  }

  void on(Step step, bool ok) {
    if (step == Step::start) started_ = ok;
    if (step == Step::write) writing_ = false;
    if (step == Step::read) reading_ = false;
    if (!sink_) return;
    if (step == Step::finish) return closed();
    if (step == Step::read && ok) deliver();
    if (!sink_) return;
    if (!ok && step != Step::write) ended_ = true;
    if (ended_) return finish();
    if (step != Step::write) read_next();
    if (step != Step::read && ok) write_next();
  }

  void read_next() {
    if (paused_ || std::exchange(reading_, true)) return;
    stream_->Read(&incoming_, begin(read_));
  }

  void write_next() {
    if (!started_ || writing_ || ended_ || half_closed_ || !sink_) return;
    if (!outgoing_.empty()) {
      writing_ = true;
      stream_->Write(to_buffer(outgoing_.front()), begin(write_));
      outgoing_.pop_front();
    } else if (no_more_) {
      writing_ = true;
      half_closed_ = true;
      stream_->WritesDone(begin(write_));
    }
  }

  // The sink may abandon the stream, or destroy what it captured: it is held on to meanwhile.
  void deliver() {
    const std::shared_ptr<Channel::StreamSink> sink = sink_;
    sink->message(to_string(incoming_));
  }

  void finish() {
    if (writing_ || std::exchange(finishing_, true)) return;
    stream_->Finish(&status_, begin(finish_));
  }

  void closed() {
    const std::shared_ptr<Channel::StreamSink> sink = std::move(sink_);
    sink_.reset();
    sink->closed(to_status(status_, context_));
  }

  Executor* executor_;
  std::shared_ptr<Channel::StreamSink> sink_;  // empty: abandoned, or closed
  grpc::ClientContext context_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_;
  std::deque<std::string> outgoing_;
  grpc::ByteBuffer incoming_;
  grpc::Status status_;
  bool started_ = false;
  bool writing_ = false;
  bool reading_ = false;
  bool paused_ = false;
  bool no_more_ = false;
  bool half_closed_ = false;
  bool ended_ = false;  // nothing more will be read
  bool finishing_ = false;
  Operation start_{Step::start};
  Operation read_{Step::read};
  Operation write_{Step::write};
  Operation finish_{Step::finish};
};

class GrpcStream final : public Stream {
 public:
  explicit GrpcStream(std::shared_ptr<StreamCall> call) : call_(std::move(call)) {}
  ~GrpcStream() override { call_->abandon(); }
  GrpcStream(const GrpcStream&) = delete;
  GrpcStream& operator=(const GrpcStream&) = delete;

  void send(std::string request) override { call_->send(std::move(request)); }
  void finish_sending() override { call_->finish_sending(); }
  void pause() override { call_->pause(); }
  void resume() override { call_->resume(); }

 private:
  std::shared_ptr<StreamCall> call_;
};

class GrpcChannel final : public Channel {
 public:
  GrpcChannel(Executor& executor, grpc::CompletionQueue& queue,
              std::shared_ptr<grpc::Channel> channel)
      : executor_(&executor), queue_(&queue), stub_(std::move(channel)) {}
  ~GrpcChannel() override {
    for (const auto& call : calls_) call->abandon();
    for (const auto& weak : streams_) {
      if (const auto stream = weak.lock()) stream->abandon();
    }
  }
  GrpcChannel(const GrpcChannel&) = delete;
  GrpcChannel& operator=(const GrpcChannel&) = delete;

  void unary(std::string_view method, std::string request, std::string_view auth_token,
             Instant deadline, UnaryDone done) override {
    auto call = std::make_shared<UnaryCall>(*executor_, calls_, std::move(done));
    calls_.insert(call);
    add_token(call->context(), auth_token);
    call->context().set_deadline(
        std::chrono::system_clock::now() +
        std::chrono::ceil<std::chrono::system_clock::duration>(deadline - executor_->now()));
    call->start(stub_, *queue_, std::string(method), request);
  }

  std::unique_ptr<Stream> open(std::string_view method, std::string_view auth_token,
                               StreamSink sink) override {
    auto call = std::make_shared<StreamCall>(*executor_, std::move(sink));
    std::erase_if(streams_, [](const auto& weak) { return weak.expired(); });
    streams_.push_back(call);
    add_token(call->context(), auth_token);
    // A member that is cut off from its leader then ends these streams instead of falling silent.
    if (method.starts_with("/etcdserverpb.Watch/") || method.ends_with("/LeaseKeepAlive")) {
      call->context().AddMetadata("hasleader", "true");
    }
    call->start(stub_, *queue_, std::string(method));
    return std::make_unique<GrpcStream>(std::move(call));
  }

 private:
  static void add_token(grpc::ClientContext& context, std::string_view token) {
    if (!token.empty()) context.AddMetadata("token", std::string(token));
  }

  Executor* executor_;
  grpc::CompletionQueue* queue_;
  grpc::GenericStub stub_;
  UnaryCall::Registry calls_;
  std::vector<std::weak_ptr<StreamCall>> streams_;
};

Result<std::string> read_file(const std::string& path) {
  if (path.empty()) return std::string();
  std::ifstream file(path, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file || bytes.empty()) return Error{Errc::io, path + ": cannot be read, or is empty"};
  return bytes;
}

}  // namespace

struct GrpcChannelFactory::Impl {
  Executor* executor = nullptr;
  GrpcOptions options;
  bool tls_by_default = false;
  std::shared_ptr<grpc::ChannelCredentials> tls;
  grpc::CompletionQueue queue;
  std::thread thread;

  void run() {
    void* tag = nullptr;
    bool ok = false;
    while (queue.Next(&tag, &ok)) static_cast<Tag*>(tag)->completed(ok);
  }
};

GrpcChannelFactory::GrpcChannelFactory(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {
  impl_->thread = std::thread([impl = impl_.get()] { impl->run(); });
}

GrpcChannelFactory::~GrpcChannelFactory() {
  impl_->queue.Shutdown();
  impl_->thread.join();
}

Result<std::unique_ptr<GrpcChannelFactory>> GrpcChannelFactory::create(Executor& executor,
                                                                       const GrpcOptions& options) {
  const TlsOptions& tls = options.tls;
  if (tls.cert_file.empty() != tls.key_file.empty()) {
    return Error{Errc::invalid_argument,
                 "a client certificate and its key are given both or not at all"};
  }
  grpc::SslCredentialsOptions files;
  for (const auto& [path, into] : {std::pair(&tls.ca_file, &files.pem_root_certs),
                                   std::pair(&tls.cert_file, &files.pem_cert_chain),
                                   std::pair(&tls.key_file, &files.pem_private_key)}) {
    Result<std::string> bytes = read_file(*path);
    if (!bytes) return std::move(bytes).error();
    *into = *std::move(bytes);
  }
  auto impl = std::make_unique<Impl>();
  impl->executor = &executor;
  impl->options = options;
  impl->tls_by_default = !tls.ca_file.empty() || !tls.cert_file.empty();
  impl->tls = grpc::SslCredentials(files);
  return std::unique_ptr<GrpcChannelFactory>(new GrpcChannelFactory(std::move(impl)));
}

Result<std::unique_ptr<Channel>> GrpcChannelFactory::open(const std::string& endpoint) {
  const Result<Endpoint> parsed = parse_endpoint(endpoint);
  if (!parsed) return parsed.error();
  const bool tls = parsed->scheme == Endpoint::Scheme::https ||
                   (parsed->scheme == Endpoint::Scheme::none && impl_->tls_by_default);
  const bool ipv6 = parsed->host.find(':') != std::string::npos;
  const std::string target = "dns:///" + (ipv6 ? "%5B" + parsed->host + "%5D" : parsed->host) +
                             ":" + std::to_string(parsed->port);

  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kPingInterval_ms);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kPingTimeout_ms);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_HTTP2_MIN_SENT_PING_INTERVAL_WITHOUT_DATA_MS, kPingInterval_ms);
  // The shortest time between two attempts is also the longest that one attempt may take.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS,
                   static_cast<int>(impl_->options.dial_timeout.count()));
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kFirstReconnect_ms);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kSlowestReconnect_ms);
  // Whether a call is sent again is decided in Caller and nowhere else.
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  // Two clients of one process do not share a connection, nor its failures.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  if (tls && !impl_->options.tls.server_name.empty()) {
    arguments.SetSslTargetNameOverride(impl_->options.tls.server_name);
  }
  auto channel = grpc::CreateCustomChannel(
      target, tls ? impl_->tls : grpc::InsecureChannelCredentials(), arguments);
  return std::unique_ptr<Channel>(
      std::make_unique<GrpcChannel>(*impl_->executor, impl_->queue, std::move(channel)));
}

}  // namespace conclave::client
