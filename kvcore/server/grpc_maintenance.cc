#include "conclave/api/rpc.grpc.pb.h"
#include "conclave/server/grpc_call.h"
#include "conclave/server/grpc_services.h"

namespace conclave::server {
namespace {

namespace pb = etcdserverpb;

class MaintenanceService final : public pb::Maintenance::CallbackService {
 public:
  MaintenanceService(RequestHandler& handler, OpenCalls& calls) : handler_(handler), calls_(calls) {
    SetMessageAllocatorFor_Status(&statuses_);
    SetMessageAllocatorFor_HashKV(&hashes_);
    SetMessageAllocatorFor_Defragment(&defragmentations_);
  }

  grpc::ServerUnaryReactor* Status(grpc::CallbackServerContext* context, const pb::StatusRequest*,
                                   pb::StatusResponse*) override {
    return start_call<pb::StatusRequest, pb::StatusResponse>(context, handler_, calls_,
                                                             &RequestHandler::status);
  }
  grpc::ServerUnaryReactor* HashKV(grpc::CallbackServerContext* context, const pb::HashKVRequest*,
                                   pb::HashKVResponse*) override {
    return start_call<pb::HashKVRequest, pb::HashKVResponse>(context, handler_, calls_,
                                                             &RequestHandler::hash_kv);
  }
  grpc::ServerUnaryReactor* Defragment(grpc::CallbackServerContext* context,
                                       const pb::DefragmentRequest*,
                                       pb::DefragmentResponse*) override {
    return start_call<pb::DefragmentRequest, pb::DefragmentResponse>(context, handler_, calls_,
                                                                     &RequestHandler::defragment);
  }

 private:
  RequestHandler& handler_;
  OpenCalls& calls_;
  CallAllocator<pb::StatusRequest, pb::StatusResponse> statuses_;
  CallAllocator<pb::HashKVRequest, pb::HashKVResponse> hashes_;
  CallAllocator<pb::DefragmentRequest, pb::DefragmentResponse> defragmentations_;
};

class ClusterService final : public pb::Cluster::CallbackService {
 public:
  ClusterService(RequestHandler& handler, OpenCalls& calls) : handler_(handler), calls_(calls) {
    SetMessageAllocatorFor_MemberList(&member_lists_);
  }

  grpc::ServerUnaryReactor* MemberList(grpc::CallbackServerContext* context,
                                       const pb::MemberListRequest*,
                                       pb::MemberListResponse*) override {
    return start_call<pb::MemberListRequest, pb::MemberListResponse>(context, handler_, calls_,
                                                                     &RequestHandler::member_list);
  }

 private:
  RequestHandler& handler_;
  OpenCalls& calls_;
  CallAllocator<pb::MemberListRequest, pb::MemberListResponse> member_lists_;
};

}  // namespace

std::unique_ptr<grpc::Service> make_maintenance_service(RequestHandler& handler, OpenCalls& calls) {
  return std::make_unique<MaintenanceService>(handler, calls);
}

std::unique_ptr<grpc::Service> make_cluster_service(RequestHandler& handler, OpenCalls& calls) {
  return std::make_unique<ClusterService>(handler, calls);
}

}  // namespace conclave::server
