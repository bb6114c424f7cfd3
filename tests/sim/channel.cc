#include "tests/sim/channel.h"

#include <algorithm>
#include <map>
#include <optional>

#include "conclave/api/errors.h"

namespace conclave::sim {
namespace {

CallStatus connection_lost(bool sent) {
  return {static_cast<int>(api::StatusCode::unavailable), "the connection is gone", sent};
}

CallStatus status_of(api::Refusal refusal) {
  const api::RefusalText text = api::text_of(refusal);
  return {static_cast<int>(text.code), std::string(text.text), true};
}

}  // namespace

// The place for the answer of one unary call. If it goes without an answer, so has the process that
// was to give it.
struct SimChannels::Answer {
  SimChannels& channels;
  std::shared_ptr<bool> alive;
  std::shared_ptr<Channel::UnaryDone> done;
  bool given = false;

  ~Answer() {
    if (!given) give(connection_lost(true), "");
  }
  void give(CallStatus status, std::string reply) {
    given = true;
    if (channels.is_cut()) return;
    channels.world().after(channels.delay(),
                           [channels = &channels, alive = alive, done = done,
                            status = std::move(status), reply = std::move(reply)] {
                             channels->executor_.post([alive, done, status, reply] {
                               if (!*alive) return;
                               if (const auto call = std::exchange(*done, nullptr))
                                 call(status, reply);
                             });
                           });
  }
};

class SimChannels::MemberChannel final : public Channel {
 public:
  MemberChannel(SimChannels& channels, raft::NodeId member)
      : channels_(channels), member_(member) {}
  ~MemberChannel() override { *alive_ = false; }
  MemberChannel(const MemberChannel&) = delete;
  MemberChannel& operator=(const MemberChannel&) = delete;

  void unary(std::string_view method, std::string request, std::string_view, Instant deadline,
             UnaryDone done) override {
    const auto shared = std::make_shared<UnaryDone>(std::move(done));
    channels_.executor_.run_at(deadline, [alive = alive_, shared] {
      if (!*alive) return;
      if (const auto call = std::exchange(*shared, nullptr)) {
        call({static_cast<int>(api::StatusCode::deadline_exceeded), "Deadline Exceeded", true}, "");
      }
    });
    if (channels_.is_cut()) return;
    channels_.world().after(
        channels_.delay(),
        [this, alive = alive_, shared, method = std::string(method), request = std::move(request)] {
          if (*alive)
            arrive(method, request, {std::make_shared<Answer>(channels_, alive_, shared)});
        });
  }

  std::unique_ptr<Stream> open(std::string_view method, std::string_view, StreamSink sink) override;

 private:
  void arrive(const std::string& method, const std::string& request,
              const std::shared_ptr<Answer>& answer) {
    SimNode* node = channels_.cluster_.find(channels_.resolve(member_));
    if (node == nullptr || node->state() == SimNode::State::stopped) {
      return answer->give(connection_lost(false), "");
    }
    using namespace etcdserverpb;
    const std::string_view name = std::string_view(method).substr(method.rfind('/') + 1);
    if (name == "Range") return carry<RangeRequest, RangeResponse>(*node, request, answer);
    if (name == "Put") return carry<PutRequest, PutResponse>(*node, request, answer);
    if (name == "DeleteRange") {
      return carry<DeleteRangeRequest, DeleteRangeResponse>(*node, request, answer);
    }
    if (name == "Txn") return carry<TxnRequest, TxnResponse>(*node, request, answer);
    if (name == "LeaseGrant") {
      return carry<LeaseGrantRequest, LeaseGrantResponse>(*node, request, answer);
    }
    if (name == "LeaseRevoke") {
      return carry<LeaseRevokeRequest, LeaseRevokeResponse>(*node, request, answer);
    }
    CONCLAVE_CHECK(name == "LeaseTimeToLive", "a method that no recipe uses");
    carry<LeaseTimeToLiveRequest, LeaseTimeToLiveResponse>(*node, request, answer);
  }

  template <class Request, class Response>
  static void carry(SimNode& node, const std::string& bytes,
                    const std::shared_ptr<Answer>& answer) {
    Request request;
    CONCLAVE_CHECK(request.ParseFromString(bytes), "the client sent no such request");
    node.call<Request, Response>(std::move(request), [answer](std::optional<api::Refusal> refusal,
                                                              const Response& response) {
      if (refusal) return answer->give(status_of(*refusal), "");
      answer->give({}, response.SerializeAsString());
    });
  }

  SimChannels& channels_;
  const raft::NodeId member_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// What both kinds of stream share: a way back to the client that keeps its order.
class SimChannels::MemberStream : public Stream,
                                  public std::enable_shared_from_this<SimChannels::MemberStream> {
 public:
  MemberStream(SimChannels& channels, raft::NodeId member, Channel::StreamSink sink)
      : channels_(channels),
        member_(member),
        sink_(std::make_shared<Channel::StreamSink>(std::move(sink))) {}

  void send(std::string request) override {
    if (channels_.is_cut()) return close(connection_lost(true));
    in_order([self = shared_from_this(), request = std::move(request)] { self->arrive(request); },
             last_sent_);
  }
  virtual void end() { ended_ = true; }

 protected:
  virtual void arrive(const std::string& request) = 0;

  SimNode* node() {
    SimNode* node = channels_.cluster_.find(member_);
    return node == nullptr || node->state() == SimNode::State::stopped ? nullptr : node;
  }
  void reply(std::string bytes) {
    if (channels_.is_cut()) return close(connection_lost(true));
    to_client([sink = sink_, bytes = std::move(bytes)] { sink->message(bytes); });
  }
  void close(CallStatus status) {
    if (std::exchange(closing_, true)) return;
    to_client([this, self = shared_from_this(), status = std::move(status)] {
      ended_ = true;
      sink_->closed(status);
    });
  }
  void to_client(std::function<void()> task) {
    in_order(
        [self = shared_from_this(), task = std::move(task)] {
          self->channels_.executor_.post([self, task] {
            if (!self->ended_) task();
          });
        },
        last_reply_);
  }
  void in_order(std::function<void()> event, Instant& last) {
    last = std::max(last, channels_.world().now() + channels_.delay());
    channels_.world().at(last, [self = shared_from_this(), event = std::move(event)] {
      if (!self->ended_) event();
    });
  }

  SimChannels& channels_;
  const raft::NodeId member_;
  const std::shared_ptr<Channel::StreamSink> sink_;
  bool closing_ = false;
  bool ended_ = false;
  Instant last_sent_{};
  Instant last_reply_{};
};

class SimChannels::WatchOnMember final : public SimChannels::MemberStream {
 public:
  using MemberStream::MemberStream;

  void end() override {
    MemberStream::end();
    if (SimNode* member = node(); member != nullptr && stream_ != 0 && life_ == member->lives()) {
      member->close_stream(stream_);
    }
  }

 private:
  void arrive(const std::string& bytes) override {
    SimNode* member = node();
    if (member == nullptr || (stream_ != 0 && life_ != member->lives())) {
      return close(connection_lost(stream_ != 0));
    }
    if (stream_ == 0) {
      life_ = member->lives();
      const std::weak_ptr<MemberStream> weak = shared_from_this();
      const auto with = [weak](auto use) {
        if (const auto self = std::static_pointer_cast<WatchOnMember>(weak.lock())) use(*self);
      };
      stream_ = member->open_stream(
          {[with](const etcdserverpb::WatchResponse& response) {
             with([&](auto& self) { self.reply(response.SerializeAsString()); });
           },
           [with] { with([](auto& self) { self.close(connection_lost(true)); }); }});
    }
    etcdserverpb::WatchRequest request;
    CONCLAVE_CHECK(request.ParseFromString(bytes), "the client sent no watch request");
    if (request.has_create_request()) {
      member->create_watch(stream_, request.create_request());
    } else if (request.has_cancel_request()) {
      member->cancel_watch(stream_, request.cancel_request().watch_id());
    } else {
      member->request_progress(stream_);
    }
  }

  replica::StreamId stream_ = 0;
  std::uint64_t life_ = 0;
};

class SimChannels::KeepAliveOnMember final : public SimChannels::MemberStream {
 public:
  using MemberStream::MemberStream;

 private:
  void arrive(const std::string& bytes) override {
    SimNode* member = node();
    if (member == nullptr) return close(connection_lost(false));
    etcdserverpb::LeaseKeepAliveRequest request;
    CONCLAVE_CHECK(request.ParseFromString(bytes), "the client sent no renewal");
    using etcdserverpb::LeaseKeepAliveRequest;
    using etcdserverpb::LeaseKeepAliveResponse;
    member->call<LeaseKeepAliveRequest, LeaseKeepAliveResponse>(
        request, [weak = weak_from_this()](std::optional<api::Refusal> refusal,
                                           const LeaseKeepAliveResponse& response) {
          const auto self = std::static_pointer_cast<KeepAliveOnMember>(weak.lock());
          if (self == nullptr) return;
          if (refusal) return self->close(status_of(*refusal));
          self->reply(response.SerializeAsString());
        });
  }
};

namespace {

// What the client holds: to let go of it ends the stream.
class Held final : public Stream {
 public:
  Held(std::shared_ptr<Stream> stream, std::function<void()> end)
      : stream_(std::move(stream)), end_(std::move(end)) {}
  ~Held() override { end_(); }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  void send(std::string request) override { stream_->send(std::move(request)); }

 private:
  const std::shared_ptr<Stream> stream_;
  const std::function<void()> end_;
};

}  // namespace

std::unique_ptr<Stream> SimChannels::MemberChannel::open(std::string_view method, std::string_view,
                                                         StreamSink sink) {
  const raft::NodeId member = channels_.resolve(member_);
  std::shared_ptr<MemberStream> stream;
  if (method.ends_with("/Watch")) {
    stream = std::make_shared<WatchOnMember>(channels_, member, std::move(sink));
  } else {
    stream = std::make_shared<KeepAliveOnMember>(channels_, member, std::move(sink));
  }
  return std::make_unique<Held>(stream, [stream] { stream->end(); });
}

raft::NodeId SimChannels::resolve(raft::NodeId member) {
  const SimNode* node = cluster_.find(member);
  if (node != nullptr && !node->removed()) return member;
  const std::vector<SimNode*> others = cluster_.nodes();
  return others.empty() ? member : others[member % others.size()]->id();
}

Result<std::unique_ptr<Channel>> SimChannels::open(const std::string& endpoint) {
  const raft::NodeId id = std::stoull(endpoint);
  return std::unique_ptr<Channel>(std::make_unique<MemberChannel>(*this, id));
}

}  // namespace conclave::sim
