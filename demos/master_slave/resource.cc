#include <sstream>

#include "conclave/master_slave/fenced_resource.h"
#include "conclave/master_slave/lines.h"
#include "conclave/master_slave/report.h"
#include "conclave/master_slave/roles.h"

namespace master_slave {

int run_resource() {
  conclave::Result<LineServer> server = LineServer::listen();
  if (!server) {
    report("error", server.error().message);
    return 1;
  }
  report("listens", server->address());

  FencedResource resource;
  // A question is "MASTER FENCE NUMBER". The journal comes before the answer, so that there is no
  // answered write that it does not hold.
  server->serve(
      [&resource](const std::string& question) -> std::string {
        std::istringstream words(question);
        std::string master;
        std::int64_t fence = 0;
        std::int64_t number = 0;
        if (!(words >> master >> fence >> number)) return "malformed";
        std::string answer = resource.admit(fence) ? "accepted" : "refused";
        report("attempt", master, fence, number, answer);
        return answer;
      },
      std::stop_token());
  return 0;
}

}  // namespace master_slave
