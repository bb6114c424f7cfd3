#include "conclave/api/rpc.grpc.pb.h"
#include "conclave/server/grpc_call.h"
#include "conclave/server/grpc_services.h"

namespace conclave::server {
namespace {

class KvService final : public HandledService<etcdserverpb::KV> {
 public:
  KvService(RequestHandler& handler, OpenCalls& calls) : HandledService(handler, calls) {
    serve("Range", &RequestHandler::range);
    serve("Put", &RequestHandler::put);
    serve("DeleteRange", &RequestHandler::delete_range);
    serve("Txn", &RequestHandler::txn);
    serve("Compact", &RequestHandler::compact);
  }
};

}  // namespace

std::unique_ptr<grpc::Service> make_kv_service(RequestHandler& handler, OpenCalls& calls) {
  return std::make_unique<KvService>(handler, calls);
}

}  // namespace conclave::server
