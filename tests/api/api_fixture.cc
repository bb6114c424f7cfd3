#include "tests/api/api_fixture.h"

#include <cctype>
#include <map>
#include <utility>

#include <google/protobuf/text_format.h>

namespace conclave::test {
namespace {

namespace pb = etcdserverpb;

// The servers that the cases share, until the program ends.
class SharedServers : public ::testing::Environment {
 public:
  ServerProcess& get(ServerKind kind) {
    std::unique_ptr<ServerProcess>& server = servers_[kind];
    if (!server) server = std::make_unique<ServerProcess>(kind);
    return *server;
  }
  void TearDown() override { servers_.clear(); }

 private:
  std::map<ServerKind, std::unique_ptr<ServerProcess>> servers_;
};

SharedServers& shared_servers() {
  static auto* const servers = static_cast<SharedServers*>(
      ::testing::AddGlobalTestEnvironment(std::make_unique<SharedServers>().release()));
  return *servers;
}

}  // namespace

void ApiTest::SetUp() {
  if (program_of(GetParam()).empty()) GTEST_SKIP() << "no etcd in " CONCLAVE_PEERS_DIR;
  shared_ = &shared_servers().get(GetParam());
  calls_ = std::make_unique<Calls>(shared_->channel());
  base_ = calls_->wipe();
}

void ApiTest::use_fresh_server(std::vector<std::string> flags) {
  own_ = std::make_unique<ServerProcess>(GetParam(), std::move(flags));
  calls_ = std::make_unique<Calls>(own_->channel());
  base_ = 0;
}

void ApiTest::parse_into(std::string_view text, google::protobuf::Message& request) const {
  std::string absolute;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '$') {
      absolute += text[i];
      continue;
    }
    std::size_t end = i + 1;
    while (end < text.size() && std::isdigit(static_cast<unsigned char>(text[end])) != 0) ++end;
    absolute += std::to_string(base_ + std::stoll(std::string(text.substr(i + 1, end - i - 1))));
    i = end - 1;
  }
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(absolute, &request)) << absolute;
}

template <class Request, class Response>
std::string ApiTest::answer(std::string_view text) {
  Response response;
  const grpc::Status status = calls_->call(parse<Request>(text), response);
  const Renderer render(base_);
  return status.ok() ? render(response) : render(status);
}

std::string ApiTest::range(std::string_view request) {
  return answer<pb::RangeRequest, pb::RangeResponse>(request);
}
std::string ApiTest::put(std::string_view request) {
  return answer<pb::PutRequest, pb::PutResponse>(request);
}
std::string ApiTest::del(std::string_view request) {
  return answer<pb::DeleteRangeRequest, pb::DeleteRangeResponse>(request);
}
std::string ApiTest::txn(std::string_view request) {
  return answer<pb::TxnRequest, pb::TxnResponse>(request);
}
std::string ApiTest::compact(std::string_view request) {
  return answer<pb::CompactionRequest, pb::CompactionResponse>(request);
}
std::string ApiTest::grant(std::string_view request) {
  return answer<pb::LeaseGrantRequest, pb::LeaseGrantResponse>(request);
}
std::string ApiTest::revoke(std::string_view request) {
  return answer<pb::LeaseRevokeRequest, pb::LeaseRevokeResponse>(request);
}
std::string ApiTest::keep_alive(std::string_view request) {
  return answer<pb::LeaseKeepAliveRequest, pb::LeaseKeepAliveResponse>(request);
}
std::string ApiTest::time_to_live(std::string_view request) {
  return answer<pb::LeaseTimeToLiveRequest, pb::LeaseTimeToLiveResponse>(request);
}
std::string ApiTest::leases() {
  return answer<pb::LeaseLeasesRequest, pb::LeaseLeasesResponse>("");
}
std::string ApiTest::alarm(std::string_view request) {
  return answer<pb::AlarmRequest, pb::AlarmResponse>(request);
}
std::string ApiTest::hash_kv(std::string_view request) {
  return answer<pb::HashKVRequest, pb::HashKVResponse>(request);
}
std::string ApiTest::by_server(std::string_view conclaved, std::string_view etcd_3_4,
                               std::string_view) {
  return std::string(GetParam() == ServerKind::conclaved ? conclaved : etcd_3_4);
}

std::unique_ptr<ApiTest::Watch> ApiTest::watch() {
  return std::make_unique<Watch>(*this, server().channel());
}

void ApiTest::Watch::send(std::string_view request) {
  call_.send(test_.parse<pb::WatchRequest>(request));
}

std::string ApiTest::Watch::create(std::string_view request) {
  send("create_request { " + std::string(request) + " }");
  return next();
}

std::string ApiTest::Watch::progress() {
  send("progress_request {}");
  return next();
}

std::string ApiTest::Watch::next() {
  const auto response = call_.next();
  return response ? Renderer(test_.base())(*response) : "nothing came";
}

}  // namespace conclave::test
