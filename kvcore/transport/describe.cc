#include "conclave/transport/describe.h"

#include <memory>
#include <utility>
#include <vector>

#include <grpcpp/grpcpp.h>

#include "conclave/base/url.h"
#include "conclave/listener/library.h"
#include "conclave/transport/channels.h"
#include "conclave/transport/event_loop.h"
#include "conclave/transport/links.h"

namespace conclave::transport {
namespace {

class DescribeCall final : public std::enable_shared_from_this<DescribeCall> {
 public:
  explicit DescribeCall(Reception& reception)
      : reception_(reception), hold_(reception.loop), writer_(&context_) {}

  void await() {
    reception_.service.RequestDescribe(&context_, &request_, &writer_, reception_.loop.queue(),
                                       reception_.loop.arrivals(),
                                       called_.begin(shared_from_this()));
  }

 private:
  void on_called(bool ok) {
    if (!ok) return;
    await_describe(reception_);
    Description description;
    description.set_text(reception_.events.description());
    writer_.Finish(description, grpc::Status::OK, finished_.begin(shared_from_this()));
  }
  void on_finished(bool) {}

  Reception& reception_;
  const EventLoop::Hold hold_;
  grpc::ServerContext context_;
  DescribeRequest request_;
  grpc::ServerAsyncResponseWriter<Description> writer_;
  Operation<DescribeCall, &DescribeCall::on_called> called_;
  Operation<DescribeCall, &DescribeCall::on_finished> finished_;
};

// One member that is asked.
struct Question {
  Question(const std::shared_ptr<grpc::Channel>& channel, grpc::CompletionQueue& queue,
           std::chrono::system_clock::time_point deadline)
      : stub(PeerService::NewStub(channel)) {
    context.set_deadline(deadline);
    reader = stub->AsyncDescribe(&context, {}, &queue);
    reader->Finish(&description, &status, this);
  }

  std::unique_ptr<PeerService::Stub> stub;
  grpc::ClientContext context;
  Description description;
  grpc::Status status;
  std::unique_ptr<grpc::ClientAsyncResponseReader<Description>> reader;
};

}  // namespace

void await_describe(Reception& reception) {
  std::make_shared<DescribeCall>(reception)->await();
}

Result<void> fetch_description(const std::vector<std::string>& urls, const listener::TlsFiles& tls,
                               std::chrono::milliseconds timeout,
                               const std::function<bool(std::string answer)>& is_enough) {
  listener::keep_grpc_initialised();
  Options options;
  options.tls = tls;
  const Result<ChannelMaker> channels = ChannelMaker::create(options);
  if (!channels) return channels.error();
  std::vector<Url> parsed;
  for (const std::string& text : urls) {
    Result<Url> url = parse_url(text);
    if (!url) return std::move(url).error();
    parsed.push_back(*std::move(url));
  }

  grpc::CompletionQueue queue;
  std::vector<std::unique_ptr<Question>> questions;
  const auto deadline = std::chrono::system_clock::now() + timeout;
  for (const Url& url : parsed) {
    questions.push_back(std::make_unique<Question>(channels->connect(url), queue, deadline));
  }
  std::string failure = "no member's URL is known";
  bool answered = false;
  bool enough = false;
  void* tag = nullptr;
  bool ok = false;
  for (std::size_t open = questions.size(); open > 0 && queue.Next(&tag, &ok); --open) {
    if (enough) continue;  // the others were cancelled
    auto& question = *static_cast<Question*>(tag);
    if (!question.status.ok()) {
      failure = "no member answers; the last said: " + question.status.error_message();
      continue;
    }
    answered = true;
    enough = is_enough(std::move(*question.description.mutable_text()));
    if (!enough) continue;
    for (const auto& other : questions) other->context.TryCancel();
  }
  queue.Shutdown();
  while (queue.Next(&tag, &ok)) continue;
  if (!answered) return Error{Errc::unavailable, std::move(failure)};
  return {};
}

}  // namespace conclave::transport
