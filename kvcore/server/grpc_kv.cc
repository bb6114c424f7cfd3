#include "conclave/api/rpc.pb.h"
#include "conclave/server/grpc_services.h"

namespace conclave::server {
namespace {

class KvService final : public HandledService {
 public:
  KvService(RequestHandler& handler, OpenCalls& calls, GrpcLoop& loop)
      : HandledService("etcdserverpb.KV", handler, calls, loop) {
    serve("Range", &RequestHandler::range);
    serve("Put", &RequestHandler::put);
    serve("DeleteRange", &RequestHandler::delete_range);
    serve("Txn", &RequestHandler::txn);
    serve("Compact", &RequestHandler::compact);
  }
};

}  // namespace

std::unique_ptr<HandledService> make_kv_service(RequestHandler& handler, OpenCalls& calls,
                                                GrpcLoop& loop) {
  return std::make_unique<KvService>(handler, calls, loop);
}

}  // namespace conclave::server
