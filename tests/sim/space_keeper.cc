#include "tests/sim/space_keeper.h"

#include <algorithm>
#include <utility>

namespace conclave::sim {

using namespace std::chrono_literals;
using etcdserverpb::AlarmRequest;
using etcdserverpb::AlarmResponse;

void SpaceKeeper::start() {
  if (cluster_.plan().has(Fault::little_space)) look_again();
}

void SpaceKeeper::look_again() {
  const Duration longest = cluster_.healthy() ? 500ms : 2500ms;
  cluster_.world().after(cluster_.world().between(100ms, longest), [this] { look(); });
}

std::vector<raft::NodeId> SpaceKeeper::alarmed() const {
  AlarmResponse raised;
  cluster_.ledger().witness().alarms().list(etcdserverpb::NOSPACE, raised);
  std::vector<raft::NodeId> members;
  for (const auto& alarm : raised.alarms()) members.push_back(alarm.memberid());
  return members;
}

void SpaceKeeper::look() {
  if (cluster_.healthy()) {
    set_right();
  } else {
    strike();
  }
  look_again();
}

void SpaceKeeper::strike() {
  World& world = cluster_.world();
  const std::vector<raft::NodeId> members = alarmed();
  switch (world.random().below(6)) {
    case 0:
      return change(AlarmRequest::ACTIVATE, cluster_.any_node().id());
    case 1:
      if (!members.empty()) change(AlarmRequest::DEACTIVATE, members.front());
      return;
    case 2:
    case 3:
      if (!members.empty()) make_room();
      return;
    default:
      return list();
  }
}

void SpaceKeeper::set_right() {
  const std::vector<raft::NodeId> members = alarmed();
  if (!members.empty()) make_room();
  for (const raft::NodeId member : members) {
    if (cluster_.ledger().witness().alarms().raised_by_quota(member)) continue;
    change(AlarmRequest::DEACTIVATE, member);
  }
}

void SpaceKeeper::make_room() {
  etcdserverpb::CompactionRequest request;
  request.set_revision(cluster_.ledger().revision());
  request.set_physical(cluster_.world().chance(1, 2));
  network_.call<etcdserverpb::CompactionRequest, etcdserverpb::CompactionResponse>(
      cluster_.any_node(), std::move(request), 5s, [](const auto&) {});
}

void SpaceKeeper::change(AlarmRequest::AlarmAction action, raft::NodeId member) {
  AlarmRequest request;
  request.set_action(action);
  request.set_memberid(member);
  request.set_alarm(etcdserverpb::NOSPACE);
  network_.call<AlarmRequest, AlarmResponse>(cluster_.any_node(), std::move(request), 5s,
                                             [](const auto&) {});
}

void SpaceKeeper::list() {
  AlarmRequest request;
  request.set_action(AlarmRequest::GET);
  const raft::Index first = cluster_.ledger().last_index();
  network_.call<AlarmRequest, AlarmResponse>(
      cluster_.any_node(), std::move(request), 5s,
      [this, first](const Reply<AlarmResponse>& reply) {
        if (!reply.ok) return;
        ++list_count_;
        const Ledger& ledger = cluster_.ledger();
        if (ledger.had_alarms(reply.response, first, ledger.last_index())) return;
        cluster_.trace().violation("a list of alarms shows ", reply.response.alarms_size(),
                                   " that were not so raised since entry ", first);
      });
}

}  // namespace conclave::sim
