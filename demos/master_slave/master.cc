#include <atomic>
#include <chrono>
#include <csignal>
#include <thread>

#include <signal.h>

#include "conclave/client/client.h"
#include "conclave/election/election.h"
#include "conclave/master_slave/lines.h"
#include "conclave/master_slave/report.h"
#include "conclave/master_slave/roles.h"
#include "conclave/session/session.h"

namespace master_slave {
namespace {

using namespace std::chrono_literals;
using conclave::Client;
using conclave::Election;
using conclave::Leadership;
using conclave::Result;
using conclave::Session;

class Master {
 public:
  Master(std::string name, Client& client, LineServer& heartbeats, std::string resource)
      : name_(std::move(name)),
        client_(client),
        address_(heartbeats.address()),
        resource_(std::move(resource)),
        answering_([this, &heartbeats](const std::stop_token& stop) {
          heartbeats.serve([this](const std::string&) { return answer_to_slave(); }, stop);
        }) {}

  // A session is one life in the eyes of the store, a campaign one term: lose the term, and you
  // stand in line again; lose the session, and you begin anew.
  void run(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      Result<Session> session = Session::open(client_, {.ttl = kSessionTtl}, stop);
      if (!session) {
        rest_after(session.error());
        continue;
      }
      Election election(*session, kElectionName);
      while (session->valid() && !stop.stop_requested()) {
        report("campaigns");
        Result<Leadership> term = election.campaign(address_, stop);
        if (!term) {
          if (!stop.stop_requested()) rest_after(term.error());
          continue;
        }
        lead(*term, stop);
      }
    }
  }

 private:
  // Returns when the term has ended. What comes after it resigns: the Leadership does so by itself.
  void lead(Leadership& term, const std::stop_token& stop) {
    const std::int64_t fence = term.fence().revision;
    report("leads", fence);
    leading_fence_ = fence;
    std::string reason = "asked to stop";
    while (!stop.stop_requested()) {
      if (!term.valid()) {
        reason = "its session is over";
        break;
      }
      // From here to the arrival of the write anything can happen: a long pause, and another one
      // leads. No check on this side can help; the fence that goes with the write does.
      report("prepares", fence, ++number_);
      std::this_thread::sleep_for(80ms);
      if (const Result<std::string> answer = write(fence); answer && *answer == "refused") {
        reason = "a newer leader has written";
        break;
      } else if (!answer) {
        report("error", answer.error().message);
      }
    }
    leading_fence_ = 0;
    report("steps_down", fence, reason);
  }

  Result<std::string> write(std::int64_t fence) {
    return resource_.ask(name_ + " " + std::to_string(fence) + " " + std::to_string(number_), 2s);
  }

  // Runs on the answering thread.
  std::string answer_to_slave() const { return "fence " + std::to_string(leading_fence_); }

  static void rest_after(const conclave::Error& error) {
    report("error", error.message);
    std::this_thread::sleep_for(200ms);
  }

  const std::string name_;
  Client& client_;
  const std::string address_;
  LineClient resource_;
  std::int64_t number_ = 0;
  std::atomic<std::int64_t> leading_fence_ = 0;  // 0: does not lead
  std::jthread answering_;                       // last: ends before what it uses
};

}  // namespace

int run_master(const std::string& name, const std::string& endpoint, const std::string& resource) {
  // Before any thread exists, so that all inherit it and only sigwait() below gets the signal.
  sigset_t leave;
  sigemptyset(&leave);
  sigaddset(&leave, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &leave, nullptr);

  Result<LineServer> heartbeats = LineServer::listen();
  Result<Client> client = Client::connect({.endpoints = {endpoint}});
  if (!heartbeats || !client) {
    report("error", (heartbeats ? client.error() : heartbeats.error()).message);
    return 1;
  }
  report("listens", heartbeats->address());

  std::stop_source stop;
  std::jthread waits_for_signal([&leave, &stop] {
    int signal = 0;
    sigwait(&leave, &signal);
    stop.request_stop();
  });
  Master(name, *client, *heartbeats, resource).run(stop.get_token());
  return 0;
}

}  // namespace master_slave
