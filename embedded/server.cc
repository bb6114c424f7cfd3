#include "conclave/embedded/server.h"

#include <mutex>
#include <utility>

#include "conclave/server/grpc_front.h"
#include "conclave/server/node.h"

namespace conclave {

struct EmbeddedServer::Impl {
  mutable std::mutex mutex;
  std::optional<Error> failure;  // under mutex
  std::vector<std::string> endpoints;
  // In this order: the front is destroyed before the node that it calls.
  std::unique_ptr<server::Node> node;
  std::unique_ptr<server::GrpcFront> front;

  void stop() {
    if (front != nullptr) front->shutdown(std::chrono::seconds(5));
    if (node != nullptr) node->stop();
  }
};

Result<EmbeddedServer> EmbeddedServer::start(EmbeddedOptions options) {
  server::FrontOptions front_options;
  for (const std::string& text : options.listen_urls) {
    Result<Url> url = parse_url(text);
    if (!url) return Error{url.error().code, "listen_urls: " + url.error().message};
    front_options.listen_urls.push_back(*std::move(url));
  }
  server::NodeOptions node_options;
  node_options.name = std::move(options.name);
  node_options.data_dir = std::move(options.data_dir);
  node_options.history_retention = options.history_retention;
  node_options.quota_bytes = options.quota_bytes;

  auto impl = std::make_unique<Impl>();
  // Before the node, which tells others of the ports that were taken.
  auto front = server::GrpcFront::open(front_options);
  if (!front) return front.error();
  for (const Url& url : (*front)->urls()) {
    impl->endpoints.push_back(url.text());
    node_options.client_urls.push_back(advertised(url).text());
  }
  auto node = server::Node::start(std::move(node_options), [impl = impl.get()](const Error& error) {
    const std::lock_guard guard(impl->mutex);
    impl->failure = error;
  });
  if (!node) return node.error();
  impl->node = *std::move(node);
  impl->front = *std::move(front);
  if (Result<void> serving = impl->front->serve(*impl->node, impl->node.get()); !serving) {
    return serving.error();
  }
  return EmbeddedServer(std::move(impl));
}

EmbeddedServer::EmbeddedServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
EmbeddedServer::EmbeddedServer(EmbeddedServer&&) noexcept = default;

EmbeddedServer& EmbeddedServer::operator=(EmbeddedServer&& other) noexcept {
  if (impl_ != nullptr) impl_->stop();
  impl_ = std::move(other.impl_);
  return *this;
}

EmbeddedServer::~EmbeddedServer() {
  if (impl_ != nullptr) impl_->stop();
}

const std::vector<std::string>& EmbeddedServer::endpoints() const {
  return impl_->endpoints;
}

std::optional<Error> EmbeddedServer::failure() const {
  const std::lock_guard guard(impl_->mutex);
  return impl_->failure;
}

void EmbeddedServer::stop() {
  impl_->stop();
}

}  // namespace conclave
