#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <poll.h>

#include "conclave/base/random.h"

#include "tests/api/api_fixture.h"

namespace conclave::test {
namespace {

const char* const kUnaryMethods[] = {
    "/etcdserverpb.KV/Range",          "/etcdserverpb.KV/Put",
    "/etcdserverpb.KV/DeleteRange",    "/etcdserverpb.KV/Txn",
    "/etcdserverpb.KV/Compact",        "/etcdserverpb.Lease/LeaseGrant",
    "/etcdserverpb.Lease/LeaseRevoke", "/etcdserverpb.Lease/LeaseTimeToLive",
    "/etcdserverpb.Maintenance/Alarm", "/etcdserverpb.Maintenance/HashKV",
};

// A field of length 100 that ends after 3 bytes; and no field at all.
const std::string kCutOff = "\x0a\x64\x61\x61\x61";
const std::string kNoMessage = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff";

std::string random_bytes(Random& random, std::size_t size) {
  std::string bytes;
  while (bytes.size() < size) bytes.push_back(static_cast<char>(random.below(256)));
  return bytes;
}

// A connection to the port that speaks no gRPC.
class PlainConnection {
 public:
  explicit PlainConnection(std::uint16_t port)
      : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  }
  ~PlainConnection() { close(fd_); }
  PlainConnection(const PlainConnection&) = delete;
  PlainConnection& operator=(const PlainConnection&) = delete;

  bool connected() const { return connected_; }
  void send(const std::string& bytes) const {
    (void)::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }
  // Reads until the server closes; false if it does not within `limit_ms`.
  bool closed_within(int limit_ms) const {
    char bytes[4096];
    pollfd ready{fd_, POLLIN, 0};
    while (poll(&ready, 1, limit_ms) > 0) {
      if (recv(fd_, bytes, sizeof(bytes), 0) <= 0) return true;
    }
    return false;
  }

 private:
  const int fd_;
  bool connected_ = false;
};

}  // namespace

class BadInputTest : public ApiTest {
 protected:
  void expect_serving() { EXPECT_EQ(range("key: 'absent'").substr(0, 1), "@"); }
};
CONCLAVE_ON_BOTH_SERVERS(BadInputTest);

TEST_P(BadInputTest, AnUnknownMethodIsUnimplemented) {
  // By RangeStream's answer newer clients find out that they must do without.
  for (const char* method :
       {"/etcdserverpb.KV/Nothing", "/etcdserverpb.KV/RangeStream", "/nobody.Nothing/Put",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"}) {
    EXPECT_EQ(call_raw(server().channel(), method, "").error_code(), grpc::UNIMPLEMENTED) << method;
  }
  expect_serving();
}

// The text is the gRPC library's own.
TEST_P(BadInputTest, BytesThatAreNoMessageAreAnInternalError) {
  for (const char* method : kUnaryMethods) {
    for (const std::string& bytes : {kCutOff, kNoMessage}) {
      // Read as another message, the first one is a number too long; that is no message either.
      EXPECT_EQ(call_raw(server().channel(), method, bytes).error_code(), grpc::INTERNAL) << method;
    }
  }
  expect_serving();
}

TEST_P(BadInputTest, BytesThatAreNoMessageEndAStream) {
  for (const char* method : {"/etcdserverpb.Watch/Watch", "/etcdserverpb.Lease/LeaseKeepAlive"}) {
    EXPECT_EQ(stream_raw(server().channel(), method, kNoMessage).error_code(), grpc::INTERNAL)
        << method;
  }
  expect_serving();
}

// Random bytes may by chance be a message. Not sent to Alarm, where they might raise one.
TEST_P(BadInputTest, RandomBytesAreAnsweredSomehow) {
  Random random(20);
  const ::testing::Matcher<int> expected =
      ::testing::AnyOf(grpc::OK, grpc::INTERNAL, grpc::INVALID_ARGUMENT, grpc::NOT_FOUND,
                       grpc::OUT_OF_RANGE, grpc::FAILED_PRECONDITION);
  for (const char* method : kUnaryMethods) {
    if (std::string_view(method).ends_with("Alarm")) continue;
    for (int i = 0; i < 40; ++i) {
      const std::string bytes = random_bytes(random, random.below(40));
      const grpc::Status status = call_raw(server().channel(), method, bytes);
      EXPECT_THAT(static_cast<int>(status.error_code()), expected)
          << method << " " << printable(bytes) << ": " << status.error_message();
    }
  }
  expect_serving();
}

TEST_P(BadInputTest, AnUnknownFieldIsPassedOver) {
  etcdserverpb::PutRequest request;
  request.set_key("a");
  request.set_value("1");
  // Field 100 is not defined.
  const std::string bytes = request.SerializeAsString() + "\xa2\x06\x03xyz";
  EXPECT_TRUE(call_raw(server().channel(), "/etcdserverpb.KV/Put", bytes).ok());
  EXPECT_EQ(range("key: 'a'"), "@1 count=1 [a=1{c1 m1 v1}]");
}

TEST_P(BadInputTest, GarbageOnThePortDisturbsNobody) {
  Random random(21);
  for (const std::string& bytes :
       {std::string("GET / HTTP/0.9\r\n\r\n"), std::string("\x16\x03\x01\x02\x00\x01\x00\x01", 8),
        std::string("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") + random_bytes(random, 5000),
        random_bytes(random, 100'000)}) {
    const PlainConnection connection(server().port());
    ASSERT_TRUE(connection.connected());
    connection.send(bytes);
    expect_serving();
  }
}

TEST_P(BadInputTest, AFrameOfNoHttp2EndsTheConnection) {
  const PlainConnection connection(server().port());
  ASSERT_TRUE(connection.connected());
  // A frame that says to be of 16 MiB, after the preface.
  connection.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" +
                  std::string("\xff\xff\xff\x00\x00\x00\x00\x00\x01", 9) +
                  std::string(20'000, 'x'));
  EXPECT_TRUE(connection.closed_within(20'000));
  expect_serving();
}

// A transaction nested as deep as its operations allow, and deeper.
TEST_P(BadInputTest, NestingIsBoundedByTheOperations) {
  const auto nested = [this](int depth) {
    etcdserverpb::TxnRequest request;
    etcdserverpb::TxnRequest* innermost = &request;
    for (int i = 0; i < depth; ++i) innermost = innermost->add_success()->mutable_request_txn();
    return call_raw(server().channel(), "/etcdserverpb.KV/Txn", request.SerializeAsString());
  };
  EXPECT_TRUE(nested(128).ok());
  EXPECT_EQ(nested(129).error_message(), "etcdserver: too many operations in txn request");
  EXPECT_FALSE(nested(3000).ok());
  expect_serving();
}

}  // namespace conclave::test
