#pragma once

#include "conclave/api/rpc.pb.h"
#include "conclave/base/result.h"
#include "conclave/client/types.h"

// Between the plain values of types.h and the wire's messages.
namespace conclave::client {

etcdserverpb::RangeRequest to_wire(const Get& get);
etcdserverpb::PutRequest to_wire(const Put& put);
etcdserverpb::DeleteRangeRequest to_wire(const Delete& erase);
etcdserverpb::TxnRequest to_wire(const Txn& txn);
// The create request of a watch; id and revision are the caller's to set.
etcdserverpb::WatchCreateRequest to_wire(const Watch& watch);

// They take the bytes out of the message.
GetResult from_wire(etcdserverpb::RangeResponse& reply);
PutResult from_wire(etcdserverpb::PutResponse& reply);
DeleteResult from_wire(etcdserverpb::DeleteRangeResponse& reply);
TxnResult from_wire(etcdserverpb::TxnResponse& reply);
Event from_wire(mvccpb::Event& event);

// A transaction without a put or a delete in either branch, nested ones included, is a read.
bool is_read_only(const Txn& txn);

}  // namespace conclave::client
