#include "conclave/client/client.h"
#include "conclave/session/session.h"

namespace conclave {

Result<Session> Session::open(Client& client, SessionOptions options, std::stop_token stop) {
  return open(client.store(), options, std::move(stop));
}

}  // namespace conclave
