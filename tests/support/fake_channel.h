#pragma once

#include <algorithm>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "conclave/client/channel.h"
#include "conclave/client/executor.h"

namespace conclave::test {

// A network whose servers are the test: it takes the calls and streams that arrive and answers
// them, or does not. Answers are delivered as tasks of the executor, and never to a call or stream
// that is gone.
class FakeNetwork final : public ChannelFactory {
 public:
  explicit FakeNetwork(Executor& executor) : executor_(&executor) {}

  class Call {
   public:
    std::string endpoint;
    std::string method;
    std::string request;
    std::string token;
    Instant deadline;

    void answer(CallStatus status, std::string reply = {}) {
      executor_->post(
          [alive = alive_, done = done_, status = std::move(status), reply = std::move(reply)] {
            if (*alive) done(status, reply);
          });
    }
    template <class Message>
    void answer(const Message& message) {
      answer(CallStatus{}, message.SerializeAsString());
    }

   private:
    friend class FakeNetwork;
    Executor* executor_ = nullptr;
    std::shared_ptr<bool> alive_;  // the channel's
    Channel::UnaryDone done_;
  };

  class StreamEnd {
   public:
    std::string endpoint;
    std::string method;
    std::string token;
    std::deque<std::string> received;  // what the client has sent

    bool alive() const { return alive_; }
    // The oldest request that has not been taken yet.
    template <class Message>
    Message take() {
      Message message;
      CONCLAVE_CHECK(!received.empty(), "the client has sent nothing more on this stream");
      CONCLAVE_CHECK(message.ParseFromString(received.front()), "the client sent no such message");
      received.pop_front();
      return message;
    }
    template <class Message>
    void reply(const Message& message) {
      executor_->post([self = self_.lock(), bytes = message.SerializeAsString()] {
        if (self->alive_) self->with_sink([&](auto& sink) { sink.message(bytes); });
      });
    }
    void close(CallStatus status) {
      executor_->post([self = self_.lock(), status = std::move(status)] {
        if (!std::exchange(self->alive_, false)) return;
        self->with_sink([&](auto& sink) { sink.closed(status); });
      });
    }

   private:
    friend class FakeNetwork;
    template <class Use>
    void with_sink(Use use) {
      const std::shared_ptr<Channel::StreamSink> sink = sink_;
      use(*sink);
    }
    Executor* executor_ = nullptr;
    bool alive_ = true;
    std::shared_ptr<Channel::StreamSink> sink_;
    std::weak_ptr<StreamEnd> self_;
  };

  Result<std::unique_ptr<Channel>> open(const std::string& endpoint) override {
    if (endpoint.find(':') == std::string::npos) {
      return Error{Errc::invalid_argument, "endpoint \"" + endpoint + "\": it has no port"};
    }
    return std::unique_ptr<Channel>(std::make_unique<FakeChannel>(*this, endpoint));
  }

  bool has_call() const { return !calls_.empty(); }
  std::size_t calls() const { return calls_.size(); }
  // The oldest call that has not been taken yet.
  Call take_call() {
    CONCLAVE_CHECK(!calls_.empty(), "no call has arrived");
    Call call = std::move(calls_.front());
    calls_.pop_front();
    return call;
  }

  // Every stream that was ever opened, oldest first; and the newest, if it is alive.
  const std::vector<std::shared_ptr<StreamEnd>>& streams() const { return streams_; }
  StreamEnd& stream() {
    CONCLAVE_CHECK(has_stream(), "no stream is open");
    return *streams_.back();
  }
  bool has_stream() const { return !streams_.empty() && streams_.back()->alive(); }

 private:
  class FakeStream final : public Stream {
   public:
    explicit FakeStream(std::shared_ptr<StreamEnd> end) : end_(std::move(end)) {}
    ~FakeStream() override { end_->alive_ = false; }
    FakeStream(const FakeStream&) = delete;
    FakeStream& operator=(const FakeStream&) = delete;
    void send(std::string request) override {
      if (end_->alive_) end_->received.push_back(std::move(request));
    }

   private:
    std::shared_ptr<StreamEnd> end_;
  };

  class FakeChannel final : public Channel {
   public:
    FakeChannel(FakeNetwork& network, std::string endpoint)
        : network_(&network), endpoint_(std::move(endpoint)) {}
    ~FakeChannel() override { *alive_ = false; }
    FakeChannel(const FakeChannel&) = delete;
    FakeChannel& operator=(const FakeChannel&) = delete;

    void unary(std::string_view method, std::string request, std::string_view auth_token,
               Instant deadline, UnaryDone done) override {
      Call call;
      call.endpoint = endpoint_;
      call.method = method;
      call.request = std::move(request);
      call.token = auth_token;
      call.deadline = deadline;
      call.executor_ = network_->executor_;
      call.alive_ = alive_;
      call.done_ = std::move(done);
      network_->calls_.push_back(std::move(call));
    }

    std::unique_ptr<Stream> open(std::string_view method, std::string_view auth_token,
                                 StreamSink sink) override {
      auto end = std::make_shared<StreamEnd>();
      end->endpoint = endpoint_;
      end->method = method;
      end->token = auth_token;
      end->executor_ = network_->executor_;
      end->sink_ = std::make_shared<StreamSink>(std::move(sink));
      end->self_ = end;
      network_->streams_.push_back(end);
      return std::make_unique<FakeStream>(std::move(end));
    }

   private:
    FakeNetwork* network_;
    std::string endpoint_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  };

  Executor* executor_;
  std::deque<Call> calls_;
  std::vector<std::shared_ptr<StreamEnd>> streams_;
};

}  // namespace conclave::test
