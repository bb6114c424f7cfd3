#pragma once

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "conclave/api/errors.h"
#include "conclave/api/rpc.pb.h"

namespace conclave::replica {

using RequestId = std::uint64_t;

// A decoded request and the place for its answer. Both belong to the caller and stay alive and
// untouched until the answer with the request's id is out.
template <class Request, class Response>
struct Call {
  const Request* request;
  Response* response;
};

using RangeCall = Call<etcdserverpb::RangeRequest, etcdserverpb::RangeResponse>;
using PutCall = Call<etcdserverpb::PutRequest, etcdserverpb::PutResponse>;
using DeleteRangeCall = Call<etcdserverpb::DeleteRangeRequest, etcdserverpb::DeleteRangeResponse>;
using TxnCall = Call<etcdserverpb::TxnRequest, etcdserverpb::TxnResponse>;
using CompactCall = Call<etcdserverpb::CompactionRequest, etcdserverpb::CompactionResponse>;
using LeaseGrantCall = Call<etcdserverpb::LeaseGrantRequest, etcdserverpb::LeaseGrantResponse>;
using LeaseRevokeCall = Call<etcdserverpb::LeaseRevokeRequest, etcdserverpb::LeaseRevokeResponse>;
using LeaseKeepAliveCall =
    Call<etcdserverpb::LeaseKeepAliveRequest, etcdserverpb::LeaseKeepAliveResponse>;
using LeaseTimeToLiveCall =
    Call<etcdserverpb::LeaseTimeToLiveRequest, etcdserverpb::LeaseTimeToLiveResponse>;
using LeaseLeasesCall = Call<etcdserverpb::LeaseLeasesRequest, etcdserverpb::LeaseLeasesResponse>;
using StatusCall = Call<etcdserverpb::StatusRequest, etcdserverpb::StatusResponse>;
using HashKvCall = Call<etcdserverpb::HashKVRequest, etcdserverpb::HashKVResponse>;
using DefragmentCall = Call<etcdserverpb::DefragmentRequest, etcdserverpb::DefragmentResponse>;
using MemberListCall = Call<etcdserverpb::MemberListRequest, etcdserverpb::MemberListResponse>;

using MemberAddCall = Call<etcdserverpb::MemberAddRequest, etcdserverpb::MemberAddResponse>;
using MemberRemoveCall =
    Call<etcdserverpb::MemberRemoveRequest, etcdserverpb::MemberRemoveResponse>;
using MemberUpdateCall =
    Call<etcdserverpb::MemberUpdateRequest, etcdserverpb::MemberUpdateResponse>;
using MemberPromoteCall =
    Call<etcdserverpb::MemberPromoteRequest, etcdserverpb::MemberPromoteResponse>;
using MoveLeaderCall = Call<etcdserverpb::MoveLeaderRequest, etcdserverpb::MoveLeaderResponse>;

using AlarmCall = Call<etcdserverpb::AlarmRequest, etcdserverpb::AlarmResponse>;

using AnyCall =
    std::variant<RangeCall, PutCall, DeleteRangeCall, TxnCall, CompactCall, LeaseGrantCall,
                 LeaseRevokeCall, LeaseKeepAliveCall, LeaseTimeToLiveCall, LeaseLeasesCall,
                 StatusCall, HashKvCall, DefragmentCall, MemberListCall, AlarmCall, MemberAddCall,
                 MemberRemoveCall, MemberUpdateCall, MemberPromoteCall, MoveLeaderCall>;

// The response is complete, unless there is a refusal.
//
// Long responses are bounded as long as they are in memory: whoever carries out the answer calls
// Replica::response_sent(held_bytes) once `held` is gone, if there is one.
struct Answer {
  RequestId id;
  std::optional<api::Refusal> refusal;
  google::protobuf::Message* held = nullptr;
  std::uint64_t held_bytes = 0;
};

}  // namespace conclave::replica
