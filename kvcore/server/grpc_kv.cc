#include "conclave/api/rpc.grpc.pb.h"
#include "conclave/server/grpc_call.h"
#include "conclave/server/grpc_services.h"

namespace conclave::server {
namespace {

namespace pb = etcdserverpb;

class KvService final : public pb::KV::CallbackService {
 public:
  KvService(RequestHandler& handler, OpenCalls& calls) : handler_(handler), calls_(calls) {
    SetMessageAllocatorFor_Range(&ranges_);
    SetMessageAllocatorFor_Put(&puts_);
    SetMessageAllocatorFor_DeleteRange(&deletes_);
    SetMessageAllocatorFor_Txn(&txns_);
    SetMessageAllocatorFor_Compact(&compactions_);
  }

  grpc::ServerUnaryReactor* Range(grpc::CallbackServerContext* context, const pb::RangeRequest*,
                                  pb::RangeResponse*) override {
    return start_call<pb::RangeRequest, pb::RangeResponse>(context, handler_, calls_,
                                                           &RequestHandler::range);
  }
  grpc::ServerUnaryReactor* Put(grpc::CallbackServerContext* context, const pb::PutRequest*,
                                pb::PutResponse*) override {
    return start_call<pb::PutRequest, pb::PutResponse>(context, handler_, calls_,
                                                       &RequestHandler::put);
  }
  grpc::ServerUnaryReactor* DeleteRange(grpc::CallbackServerContext* context,
                                        const pb::DeleteRangeRequest*,
                                        pb::DeleteRangeResponse*) override {
    return start_call<pb::DeleteRangeRequest, pb::DeleteRangeResponse>(
        context, handler_, calls_, &RequestHandler::delete_range);
  }
  grpc::ServerUnaryReactor* Txn(grpc::CallbackServerContext* context, const pb::TxnRequest*,
                                pb::TxnResponse*) override {
    return start_call<pb::TxnRequest, pb::TxnResponse>(context, handler_, calls_,
                                                       &RequestHandler::txn);
  }
  grpc::ServerUnaryReactor* Compact(grpc::CallbackServerContext* context,
                                    const pb::CompactionRequest*,
                                    pb::CompactionResponse*) override {
    return start_call<pb::CompactionRequest, pb::CompactionResponse>(context, handler_, calls_,
                                                                     &RequestHandler::compact);
  }

 private:
  RequestHandler& handler_;
  OpenCalls& calls_;
  CallAllocator<pb::RangeRequest, pb::RangeResponse> ranges_;
  CallAllocator<pb::PutRequest, pb::PutResponse> puts_;
  CallAllocator<pb::DeleteRangeRequest, pb::DeleteRangeResponse> deletes_;
  CallAllocator<pb::TxnRequest, pb::TxnResponse> txns_;
  CallAllocator<pb::CompactionRequest, pb::CompactionResponse> compactions_;
};

}  // namespace

std::unique_ptr<grpc::Service> make_kv_service(RequestHandler& handler, OpenCalls& calls) {
  return std::make_unique<KvService>(handler, calls);
}

}  // namespace conclave::server
