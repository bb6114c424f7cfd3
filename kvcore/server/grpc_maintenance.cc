#include "conclave/api/rpc.pb.h"
#include "conclave/server/grpc_services.h"
#include "conclave/server/grpc_snapshot.h"

namespace conclave::server {
namespace {

class MaintenanceService final : public HandledService {
 public:
  MaintenanceService(RequestHandler& handler, OpenCalls& calls, GrpcLoop& loop)
      : HandledService("etcdserverpb.Maintenance", handler, calls, loop) {
    serve("Status", &RequestHandler::status);
    // etcd hashes the whole of its store's file, which no two servers have in common. Here it is
    // the hash of what HashKV covers; the messages' common fields have the same numbers.
    serve("Hash", &RequestHandler::hash_kv);
    serve("HashKV", &RequestHandler::hash_kv);
    serve("Defragment", &RequestHandler::defragment);
    serve("Alarm", &RequestHandler::alarm);
    serve("MoveLeader", &RequestHandler::move_leader);
    serve_stream<SnapshotRequest, etcdserverpb::SnapshotResponse>("Snapshot", [this](auto call) {
      new SnapshotCall(std::move(call), this->handler(), this->calls());
    });
  }
};

class ClusterService final : public HandledService {
 public:
  ClusterService(RequestHandler& handler, OpenCalls& calls, GrpcLoop& loop)
      : HandledService("etcdserverpb.Cluster", handler, calls, loop) {
    serve("MemberList", &RequestHandler::member_list);
    serve("MemberAdd", &RequestHandler::member_add);
    serve("MemberRemove", &RequestHandler::member_remove);
    serve("MemberUpdate", &RequestHandler::member_update);
    serve("MemberPromote", &RequestHandler::member_promote);
  }
};

class AuthService final : public HandledService {
 public:
  AuthService(RequestHandler& handler, OpenCalls& calls, GrpcLoop& loop)
      : HandledService("etcdserverpb.Auth", handler, calls, loop) {
    serve("Authenticate", &RequestHandler::authenticate);
  }
};

}  // namespace

std::unique_ptr<HandledService> make_maintenance_service(RequestHandler& handler, OpenCalls& calls,
                                                         GrpcLoop& loop) {
  return std::make_unique<MaintenanceService>(handler, calls, loop);
}

std::unique_ptr<HandledService> make_auth_service(RequestHandler& handler, OpenCalls& calls,
                                                  GrpcLoop& loop) {
  return std::make_unique<AuthService>(handler, calls, loop);
}

std::unique_ptr<HandledService> make_cluster_service(RequestHandler& handler, OpenCalls& calls,
                                                     GrpcLoop& loop) {
  return std::make_unique<ClusterService>(handler, calls, loop);
}

}  // namespace conclave::server
