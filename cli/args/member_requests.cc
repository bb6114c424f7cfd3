#include "conclave/cli/args/member_requests.h"

#include <string>

#include "conclave/client/endpoint.h"

namespace conclave::cli {
namespace {

using client::Endpoint;

template <class Request>
Result<void> add_peer_urls(const Arguments& arguments, Request& request) {
  const std::vector<std::string> urls = arguments.list("peer-urls");
  if (urls.empty()) {
    return Error{Errc::invalid_argument,
                 "--peer-urls is missing: where the others reach the member, as "
                 "http://10.0.0.4:2380"};
  }
  for (const std::string& url : urls) {
    const Result<Endpoint> parsed = client::parse_endpoint(url);
    if (!parsed || parsed->scheme == Endpoint::Scheme::none) {
      return Error{Errc::invalid_argument,
                   "--peer-urls takes URLs as http://10.0.0.4:2380, not \"" + url + "\""};
    }
    request.add_peerurls(url);
  }
  return {};
}

}  // namespace

Result<std::uint64_t> member_operand(const Arguments& arguments) {
  const std::string& text = arguments.operands.at(0);
  const auto member = parse_member(text);
  if (member) return *member;
  return Error{
      Errc::invalid_argument,
      "ID is a member's hexadecimal id, as conclave member list prints it, not \"" + text + "\""};
}

Result<etcdserverpb::MemberAddRequest> member_add_request(const Arguments& arguments) {
  const std::string& name = arguments.operands.at(0);
  if (name.empty() || name.find_first_of("=,") != std::string::npos) {
    return Error{Errc::invalid_argument,
                 "NAME is what the member will be started with as --name, without = and commas, "
                 "not \"" +
                     name + "\""};
  }
  etcdserverpb::MemberAddRequest request;
  if (auto added = add_peer_urls(arguments, request); !added) return added.error();
  request.set_islearner(arguments.is_set("learner"));
  return request;
}

Result<etcdserverpb::MemberUpdateRequest> member_update_request(const Arguments& arguments) {
  const auto member = member_operand(arguments);
  if (!member) return member.error();
  etcdserverpb::MemberUpdateRequest request;
  request.set_id(*member);
  if (auto added = add_peer_urls(arguments, request); !added) return added.error();
  return request;
}

}  // namespace conclave::cli
