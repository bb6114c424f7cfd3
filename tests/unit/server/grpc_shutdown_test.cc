// Listening and its errors, and the end: calls in hand are answered, streams are ended, and nothing
// waits longer than it may.

#include <future>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/server/front_fixture.h"

namespace conclave::server {
namespace {

namespace pb = etcdserverpb;

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

// Opens a watch, allows the server to send without bounds (RFC 9113, section 6.9), and reads
// nothing.
class DeafWatcher {
 public:
  explicit DeafWatcher(std::uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    EXPECT_EQ(connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    pb::WatchRequest create;
    create.mutable_create_request()->set_key("k");
    const std::string message = create.SerializeAsString();
    send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    send_frame(4, 0, 0, std::string("\0\4\x7f\xff\xff\xff", 6));  // SETTINGS: window of a stream
    send_frame(8, 0, 0, std::string("\x7f\x00\0\0", 4));          // WINDOW_UPDATE: connection
    // POST, http, and literals: authority, path, content type, te (RFC 7541, appendix A).
    send_frame(1, 4, 1,
               "\x83\x86" + literal("\x01", "localhost") +
                   literal("\x04", "/etcdserverpb.Watch/Watch") +
                   literal("\x0f\x10", "application/grpc") +
                   literal(std::string("\0\2te", 4), "trailers"));
    send_frame(0, 0, 1, std::string("\0\0\0\0", 4) + static_cast<char>(message.size()) + message);
  }
  ~DeafWatcher() { close(fd_); }
  DeafWatcher(const DeafWatcher&) = delete;
  DeafWatcher& operator=(const DeafWatcher&) = delete;

 private:
  static std::string literal(const std::string& name, const std::string& value) {
    return name + static_cast<char>(value.size()) + value;
  }
  void send_frame(char type, char flags, char stream, const std::string& payload) {
    std::string head(9, '\0');
    head[2] = static_cast<char>(payload.size());
    head[3] = type;
    head[4] = flags;
    head[8] = stream;
    send(head + payload);
  }
  void send(const std::string& bytes) {
    EXPECT_EQ(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }

  const int fd_;
};

class ShutdownTest : public FrontTest {
 protected:
  // 64 MiB, which no socket holds.
  static void deliver_much(WatchSink& sink) {
    pb::WatchResponse response;
    response.add_events()->mutable_kv()->set_value(std::string(1 << 20, 'v'));
    const auto body = std::make_shared<const std::string>(response.SerializeAsString());
    for (int i = 0; i < 64; ++i) sink.deliver({{{i, body}}});
  }
  std::future<grpc::Status> put() {
    return std::async(std::launch::async, [this] {
      pb::PutResponse response;
      return pb::KV::NewStub(channel_)->Put(context().get(), {}, &response);
    });
  }
};

TEST_F(ShutdownTest, CallsInHandAreAnswered) {
  handler_.hold();
  auto call = put();
  ASSERT_TRUE(handler_.wait_for_held(1));
  auto ended = std::async(std::launch::async, [this] { front_->shutdown(seconds(20)); });
  grpc::Status refused;
  do {
    pb::RangeResponse response;
    // Before the shutdown begins the call is held like the first, hence the short deadline.
    grpc::ClientContext hurried;
    hurried.set_deadline(std::chrono::system_clock::now() + milliseconds(200));
    refused = pb::KV::NewStub(channel_)->Range(&hurried, {}, &response);
  } while (refused.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(refused.error_message(), "etcdserver: no leader");
  EXPECT_EQ(ended.wait_for(milliseconds(0)), std::future_status::timeout);
  while (handler_.held() > 0) handler_.answer(0);
  EXPECT_TRUE(call.get().ok());
  ended.get();
}

TEST_F(ShutdownTest, ACallThatIsNeverAnsweredIsCancelledWhenPatienceEnds) {
  handler_.hold();
  auto call = put();
  ASSERT_TRUE(handler_.wait_for_held(1));
  const auto begun = steady_clock::now();
  front_->shutdown(milliseconds(100));
  EXPECT_LT(steady_clock::now() - begun, seconds(20));
  EXPECT_FALSE(call.get().ok());
  front_.reset();
  handler_.answer(0);  // late, and harmless
}

TEST_F(ShutdownTest, StreamsAreEndedWithServerStopped) {
  const auto watch_context = context();
  const auto watch = pb::Watch::NewStub(channel_)->Watch(watch_context.get());
  pb::WatchRequest create;
  create.mutable_create_request()->set_key("k");
  watch->Write(create);
  const auto opened = handler_.wait_for_watch();
  ASSERT_TRUE(opened);
  const auto lease_context = context();
  const auto keep_alive = pb::Lease::NewStub(channel_)->LeaseKeepAlive(lease_context.get());
  handler_.hold();
  keep_alive->Write({});
  ASSERT_TRUE(handler_.wait_for_held(1));

  const auto begun = steady_clock::now();
  auto ended = std::async(std::launch::async, [this] { front_->shutdown(seconds(60)); });
  ASSERT_TRUE(opened->notes->wait([&] { return opened->notes->destroyed; }));
  handler_.answer(0);

  pb::WatchResponse event;
  EXPECT_FALSE(watch->Read(&event));
  const grpc::Status watch_status = watch->Finish();
  EXPECT_EQ(watch_status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(watch_status.error_message(), "etcdserver: server stopped");
  pb::LeaseKeepAliveResponse renewed;
  EXPECT_TRUE(keep_alive->Read(&renewed)) << "what was in hand is answered";
  EXPECT_FALSE(keep_alive->Read(&renewed));
  EXPECT_EQ(keep_alive->Finish().error_message(), "etcdserver: server stopped");
  ended.get();
  EXPECT_LT(steady_clock::now() - begun, seconds(30)) << "no stream is waited for";
}

TEST_F(ShutdownTest, AWatcherThatDoesNotReadIsCutOff) {
  const auto watch_context = context();
  const auto watch = pb::Watch::NewStub(channel_)->Watch(watch_context.get());
  pb::WatchRequest create;
  create.mutable_create_request()->set_key("k");
  watch->Write(create);
  const auto opened = handler_.wait_for_watch();
  ASSERT_TRUE(opened);
  deliver_much(*opened->sink);
  const auto begun = steady_clock::now();
  front_->shutdown(milliseconds(100));
  EXPECT_LT(steady_clock::now() - begun, seconds(20));
}

// Its socket stays full, so that what gRPC is writing to it never ends.
TEST_F(ShutdownTest, AClientThatDoesNotReadItsSocketIsCutOff) {
  const DeafWatcher client(front_->urls().front().port);
  const auto opened = handler_.wait_for_watch();
  ASSERT_TRUE(opened);
  deliver_much(*opened->sink);
  auto ended = std::async(std::launch::async, [this] { front_->shutdown(milliseconds(100)); });
  EXPECT_EQ(ended.wait_for(seconds(20)), std::future_status::ready);
}

TEST_F(ShutdownTest, AnIdleConnectionIsNotWaitedFor) {
  ASSERT_TRUE(put().get().ok());
  const auto begun = steady_clock::now();
  front_->shutdown(seconds(60));
  EXPECT_LT(steady_clock::now() - begun, seconds(30));
}

TEST_F(ShutdownTest, ASecondShutdownDoesNothing) {
  front_->shutdown(seconds(1));
  front_->shutdown(seconds(1));
}

TEST_F(ShutdownTest, APortInUseIsNamed) {
  FrontOptions options;
  options.listen_urls = front_->urls();
  const auto second = GrpcFront::listen(options, handler_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error(), (Error{Errc::io, "cannot listen on " + front_->urls().front().text() +
                                                 ": Address already in use"}));
}

TEST_F(ShutdownTest, APortTakenByAnotherProgramIsNamed) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(fd, 1), 0);
  ASSERT_EQ(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
  FrontOptions options;
  options.listen_urls = {{"http", "127.0.0.1", ntohs(address.sin_port)}};
  const auto front = GrpcFront::listen(options, handler_);
  ASSERT_FALSE(front);
  EXPECT_TRUE(front.error().message.ends_with(": Address already in use"));
  close(fd);
}

TEST_F(ShutdownTest, AnAddressOfAnotherMachineIsNamed) {
  FrontOptions options;
  options.listen_urls = {{"http", "192.0.2.1", 2379}};
  const auto front = GrpcFront::listen(options, handler_);
  ASSERT_FALSE(front);
  EXPECT_EQ(front.error().message,
            "cannot listen on http://192.0.2.1:2379: Cannot assign requested address");
}

TEST_F(ShutdownTest, AMissingCertificateFileIsNamed) {
  FrontOptions options;
  options.listen_urls = {{"https", "127.0.0.1", 0}};
  options.tls.certificate = "/nonexistent/server.crt";
  const auto front = GrpcFront::listen(options, handler_);
  ASSERT_FALSE(front);
  EXPECT_EQ(front.error().message, "cannot read the TLS file /nonexistent/server.crt");
}

TEST_F(ShutdownTest, SeveralAddressesAreServed) {
  FrontOptions options;
  options.listen_urls = {{"http", "127.0.0.1", 0}, {"http", "127.0.0.2", 0}};
  listen(options);
  for (const Url& url : front_->urls()) {
    const auto channel = grpc::CreateChannel(url.address(), grpc::InsecureChannelCredentials());
    pb::PutResponse response;
    EXPECT_TRUE(pb::KV::NewStub(channel)->Put(context().get(), {}, &response).ok()) << url.text();
  }
}

}  // namespace
}  // namespace conclave::server
