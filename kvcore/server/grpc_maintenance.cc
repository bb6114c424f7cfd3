#include "conclave/api/rpc.grpc.pb.h"
#include "conclave/server/grpc_call.h"
#include "conclave/server/grpc_services.h"

namespace conclave::server {
namespace {

class MaintenanceService final : public HandledService<etcdserverpb::Maintenance> {
 public:
  MaintenanceService(RequestHandler& handler, OpenCalls& calls) : HandledService(handler, calls) {
    serve("Status", &RequestHandler::status);
    serve("HashKV", &RequestHandler::hash_kv);
    serve("Alarm", &RequestHandler::alarm);
  }
};

class ClusterService final : public HandledService<etcdserverpb::Cluster> {
 public:
  ClusterService(RequestHandler& handler, OpenCalls& calls) : HandledService(handler, calls) {
    serve("MemberList", &RequestHandler::member_list);
  }
};

}  // namespace

std::unique_ptr<grpc::Service> make_maintenance_service(RequestHandler& handler, OpenCalls& calls) {
  return std::make_unique<MaintenanceService>(handler, calls);
}

std::unique_ptr<grpc::Service> make_cluster_service(RequestHandler& handler, OpenCalls& calls) {
  return std::make_unique<ClusterService>(handler, calls);
}

}  // namespace conclave::server
