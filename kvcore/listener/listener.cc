#include "conclave/listener/listener.h"

#include <future>
#include <string>
#include <thread>
#include <utility>

namespace conclave::listener {
namespace {

constexpr std::chrono::milliseconds kCloseTime{500};

Result<std::shared_ptr<grpc::ServerCredentials>> credentials_for(const Url& url,
                                                                 const TlsFiles& files) {
  if (!url.is_tls()) return grpc::InsecureServerCredentials();
  Result<Pem> pem = read_pem(files);
  if (!pem) return std::move(pem).error();
  grpc::SslServerCredentialsOptions options(
      files.ask_for_client_certificate ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                                       : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
  options.pem_key_cert_pairs.push_back({std::move(pem->private_key), std::move(pem->certificate)});
  options.pem_root_certs = std::move(pem->trusted_ca);
  return grpc::SslServerCredentials(options);
}

}  // namespace

Result<std::unique_ptr<Listener>> Listener::open(const std::vector<Url>& urls, const TlsFiles& tls,
                                                 grpc::ServerBuilder& builder,
                                                 int descriptors_left) {
  using Type = grpc::ServerBuilder::experimental_type::ExternalConnectionType;
  auto listener = std::make_unique<Listener>();
  for (const Url& url : urls) {
    auto credentials = credentials_for(url, tls);
    if (!credentials) return std::move(credentials).error();
    auto acceptor = Acceptor::bind(url, descriptors_left);
    if (!acceptor) return std::move(acceptor).error();
    listener->ports_.push_back(
        {*std::move(acceptor), builder.experimental().AddExternalConnectionAcceptor(
                                   Type::FROM_FD, *std::move(credentials))});
  }
  return listener;
}

std::vector<Url> Listener::urls() const {
  std::vector<Url> urls;
  for (const Port& port : ports_) urls.push_back(port.acceptor->url());
  return urls;
}

Error Listener::why_not_built() const {
  std::string urls;
  for (const Port& port : ports_) urls += " " + port.acceptor->url().text();
  return {Errc::io, "gRPC cannot serve on" + urls};
}

Result<void> Listener::start() {
  for (const Port& port : ports_) {
    const Result<void> started =
        port.acceptor->start([this, server = port.server.get()](int listener, int connection) {
          corks_.add(connection);
          grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters taken;
          taken.listener_fd = listener;
          taken.fd = connection;
          server->HandleNewConnection(&taken);
        });
    if (!started) return started;
  }
  return {};
}

void Listener::stop() {
  for (const Port& port : ports_) port.acceptor->stop();
}

void Listener::shut_down(grpc::Server& server, std::chrono::milliseconds grace) {
  stop();
  std::promise<void> closed;
  std::thread cutter([this, grace, all_closed = closed.get_future()] {
    if (all_closed.wait_for(grace + kCloseTime) == std::future_status::timeout) corks_.cut_all();
  });
  server.Shutdown(std::chrono::system_clock::now() + grace);
  closed.set_value();
  cutter.join();
}

}  // namespace conclave::listener
