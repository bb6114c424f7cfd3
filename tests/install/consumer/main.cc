// A program as a user would write it: a server of its own, a lock on it, a write under its guard.

#include <cstdio>

#include <conclave/election/election.h>
#include <conclave/embedded/server.h>

#include "readme_example.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  auto server = EmbeddedServer::start({.data_dir = argv[1]});
  if (!server) return std::printf("server: %s\n", server.error().message.c_str()), 1;
  auto client = Client::connect({.endpoints = server->endpoints()});
  if (!client) return std::printf("client: %s\n", client.error().message.c_str()), 1;
  auto session = Session::open(*client);
  if (!session) return std::printf("session: %s\n", session.error().message.c_str()), 1;
  Mutex mutex(*session, "deploy");
  auto lock = mutex.acquire();
  if (!lock) return std::printf("lock: %s\n", lock.error().message.c_str()), 1;
  auto written = lock->txn().then(Put{.key = "deployed", .value = "7"}).commit();
  if (!written) return std::printf("write: %s\n", written.error().message.c_str()), 1;
  if (auto released = lock->release(); !released) return 1;
  auto got = client->get("deployed");
  if (!got || got->kvs.size() != 1 || got->kvs[0].value != "7") return 1;
  // The README's function is compiled and linked; it would talk to a server of its own.
  Result<void> (*volatile example)() = &deploy;
  return example != nullptr ? 0 : 1;
}
