#include "conclave/base/bindable.h"

#include <cerrno>
#include <memory>
#include <string>

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

namespace conclave {

int why_not_bindable(const Url& url) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (getaddrinfo(url.host.c_str(), std::to_string(url.port).c_str(), &hints, &found) != 0) {
    return EADDRNOTAVAIL;
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> addresses(found, &freeaddrinfo);
  int why = EADDRNOTAVAIL;
  for (const addrinfo* address = addresses.get(); address != nullptr; address = address->ai_next) {
    const int fd = socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC, 0);
    if (fd < 0) continue;
    const int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    const bool bound = bind(fd, address->ai_addr, address->ai_addrlen) == 0;
    const int bind_errno = bound ? 0 : errno;
    close(fd);
    // A name may stand for an address family that this machine has not; in use is in use.
    if (bind_errno == EADDRINUSE || bind_errno == EACCES) return bind_errno;
    if (bound) why = 0;
  }
  return why;
}

}  // namespace conclave
