#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <utility>

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/async_stream.h>

#include "conclave/server/grpc_loop.h"

namespace conclave::server {

template <class Request, class Response>
class StreamReactor;

// What gRPC needs for one bidirectional stream, from before its arrival to its end.
template <class Request, class Response>
class StreamCall {
 public:
  // gRPC wants to know, before there is a call, what to report its end to.
  StreamCall() { context.AsyncNotifyWhenDone(static_cast<Completion*>(&over_)); }

  grpc::ServerContext context;
  grpc::ServerAsyncReaderWriter<Response, Request> stream{&context};
  StreamReactor<Request, Response>* reactor = nullptr;  // once it has arrived

 private:
  class Over final : public Completion {
   public:
    explicit Over(StreamCall& call) : call_(call) {}
    void complete(bool) override { call_.reactor->over(); }

   private:
    StreamCall& call_;
  };
  Over over_{*this};
};

// The server's end of one bidirectional stream. One read and one write may be under way at a time,
// started from any thread; Finish() is called once, whatever happens, and no write is started after
// it. The functions named On… run on the loop's thread; OnDone() comes after the end of Finish(),
// so whoever is still to call that, or a write before it, finds the reactor there.
template <class Request, class Response>
class StreamReactor {
 public:
  using Call = StreamCall<Request, Response>;

  StreamReactor(const StreamReactor&) = delete;
  StreamReactor& operator=(const StreamReactor&) = delete;

  void StartRead(Request* request) {
    begin();
    call_->stream.Read(request, static_cast<Completion*>(&read_));
  }
  void StartWrite(const Response* response, const grpc::WriteOptions& options = {}) {
    begin();
    call_->stream.Write(*response, options, static_cast<Completion*>(&write_));
  }
  void Finish(const grpc::Status& status) {
    call_->stream.Finish(status, static_cast<Completion*>(&finish_));
  }

  virtual void OnReadDone(bool ok) = 0;
  virtual void OnWriteDone(bool ok) = 0;
  virtual void OnCancel() = 0;  // the client is gone, or the server ends; Finish() is still due
  virtual void OnDone() = 0;    // the last: may delete the reactor

 protected:
  explicit StreamReactor(std::unique_ptr<Call> call) : call_(std::move(call)) {
    call_->reactor = this;
  }
  virtual ~StreamReactor() = default;

  const grpc::ServerContext& context() const { return call_->context; }

 private:
  friend Call;

  class Tag final : public Completion {
   public:
    using Report = void (StreamReactor::*)(bool ok);
    Tag(StreamReactor& reactor, Report report) : reactor_(reactor), report_(report) {}
    void complete(bool ok) override {
      StreamReactor& reactor = reactor_;
      if (report_ != nullptr) (reactor.*report_)(ok);
      reactor.end();
    }

   private:
    StreamReactor& reactor_;
    const Report report_;
  };

  void over() {
    if (call_->context.IsCancelled()) OnCancel();
    end();
  }
  void begin() { under_way_.fetch_add(1, std::memory_order_relaxed); }
  void end() {
    if (under_way_.fetch_sub(1, std::memory_order_acq_rel) == 1) OnDone();
  }

  const std::unique_ptr<Call> call_;
  std::atomic<int> under_way_{2};  // the call itself is, and Finish(), which surely comes
  Tag read_{*this, &StreamReactor::OnReadDone};
  Tag write_{*this, &StreamReactor::OnWriteDone};
  Tag finish_{*this, nullptr};
};

// One method of the API whose calls are streams: where they are asked for, and what is made of
// them.
template <class Request, class Response>
struct StreamMethod {
  using Call = StreamCall<Request, Response>;

  std::function<void(Call* call, void* tag)> ask;
  std::function<void(std::unique_ptr<Call> call)> make;  // a StreamReactor that deletes itself
  GrpcLoop& loop;
};

// Waits for a call of one method, and sees to it that another one waits then.
template <class Request, class Response>
class AwaitedStream final : public Completion {
 public:
  using Method = StreamMethod<Request, Response>;

  static void await(const Method& method) { new AwaitedStream(method); }

  void complete(bool ok) override {
    if (ok) {
      if (method_.loop.takes_calls()) await(method_);
      method_.make(std::move(call_));
    }
    delete this;
  }

 private:
  explicit AwaitedStream(const Method& method)
      : method_(method), call_(std::make_unique<StreamCall<Request, Response>>()) {
    method_.ask(call_.get(), static_cast<Completion*>(this));
  }

  const Method& method_;
  std::unique_ptr<StreamCall<Request, Response>> call_;
};

}  // namespace conclave::server
