#pragma once

#include <memory>

#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/service_type.h>

#include "conclave/server/open_calls.h"
#include "conclave/server/request_handler.h"

namespace conclave::server {

// The gRPC services in front of a handler, one function a group. Handler and `calls` must outlive
// the server that the services are registered with. What a service does not carry out is left to
// gRPC, which answers UNIMPLEMENTED.
std::unique_ptr<grpc::Service> make_kv_service(RequestHandler& handler, OpenCalls& calls);
std::unique_ptr<grpc::Service> make_lease_service(RequestHandler& handler, OpenCalls& calls);
std::unique_ptr<grpc::Service> make_watch_service(RequestHandler& handler, OpenCalls& calls);
std::unique_ptr<grpc::Service> make_maintenance_service(RequestHandler& handler, OpenCalls& calls);
std::unique_ptr<grpc::Service> make_cluster_service(RequestHandler& handler, OpenCalls& calls);

}  // namespace conclave::server
