#include <string>

#include "tests/api/api_fixture.h"

namespace conclave::test {
namespace {

const char* const kTooLarge = "INVALID_ARGUMENT etcdserver: request is too large";
const char* const kTooMany = "INVALID_ARGUMENT etcdserver: too many operations in txn request";

std::string code_of(const std::string& answer) {
  return answer.substr(0, answer.find(' '));
}

}  // namespace

class LimitsTest : public ApiTest {
 protected:
  // The answer to a put that is a message of so many bytes.
  std::string put_of_bytes(std::size_t size) {
    etcdserverpb::PutRequest request;
    constexpr std::size_t kRest = 20;
    request.set_key("a");
    request.set_value(std::string(size - kRest, 'x'));
    request.mutable_key()->append(size - request.ByteSizeLong(), 'a');
    EXPECT_EQ(request.ByteSizeLong(), size);
    etcdserverpb::PutResponse response;
    const grpc::Status status = calls().call(request, response);
    return status.ok() ? "OK" : Renderer(base())(status);
  }
};
CONCLAVE_ON_BOTH_SERVERS(LimitsTest);

// Of what is proposed, which is little more than the request.
TEST_P(LimitsTest, ARequestHasAtMostAMegabyteAndAHalf) {
  EXPECT_EQ(put_of_bytes(1'572'864 - 100), "OK");
  EXPECT_EQ(put_of_bytes(1'572'864 + 1), kTooLarge);
}

// 512 KiB more, to the byte; the text is the gRPC library's own.
TEST_P(LimitsTest, AFrameHasAtMostTwoMebibytes) {
  EXPECT_EQ(put_of_bytes(2'097'152), kTooLarge);
  EXPECT_EQ(code_of(put_of_bytes(2'097'153)), "RESOURCE_EXHAUSTED");
  EXPECT_EQ(put_of_bytes(100), "OK");
}

TEST_P(LimitsTest, TheSizeOfRequestsIsAFlag) {
  use_fresh_server({"--max-request-bytes=1000"});
  EXPECT_EQ(put_of_bytes(900), "OK");
  EXPECT_EQ(put_of_bytes(1001), kTooLarge);
  EXPECT_EQ(put_of_bytes(1000 + 512 * 1024), kTooLarge);
  EXPECT_EQ(code_of(put_of_bytes(1001 + 512 * 1024)), "RESOURCE_EXHAUSTED");
}

TEST_P(LimitsTest, TheOperationsOfATransactionAreAFlag) {
  use_fresh_server({"--max-txn-ops=2"});
  const std::string operation = "success { request_range { key: 'a' } } ";
  EXPECT_EQ(txn(operation + operation), "@1 then [range @1~ count=0, range @1~ count=0]");
  EXPECT_EQ(txn(operation + operation + operation), kTooMany);
  EXPECT_EQ(txn("success { request_txn { " + operation + "} }"),
            "@1 then [txn @-~ then [range @1~ count=0]]");
  EXPECT_EQ(txn("success { request_txn { " + operation + operation + "} }"), kTooMany);
}

// Of a hundred nested transactions each may have 28 operations; one request could so ask for
// thousands of reads of everything.
TEST_P(LimitsTest, TheOperationsOfAllLevelsAreBoundedToo) {
  const auto of = [](int count, const std::string& what) {
    std::string all;
    for (int i = 0; i < count; ++i) all += "success { " + what + " } ";
    return all;
  };
  const std::string ranges = of(28, "request_range { key: 'a' count_only: true }");
  const std::string nested = "request_txn { " + ranges + " }";
  EXPECT_EQ(txn(of(30, nested)).substr(0, 2), "@0");
  EXPECT_EQ(txn(of(100, nested)).substr(0, 2),
            by_server("IN", "@0", "etcd bounds each level, not the sum").substr(0, 2));
}

}  // namespace conclave::test
