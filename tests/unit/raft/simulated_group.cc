#include "tests/unit/raft/simulated_group.h"

#include <algorithm>
#include <limits>
#include <sstream>
#include <utility>

namespace conclave::raft {

SimulatedGroup::SimulatedGroup(Setup setup) : setup_(setup), random_(setup.seed) {
  ConfigState first;
  for (int i = 1; i <= setup_.voters; ++i) first.voters.insert(static_cast<NodeId>(i));
  // The group begins with a snapshot, so that a node that joins with nothing gets the
  // configuration.
  const SnapshotMetadata beginning{.index = 1, .term = 1, .config = first};
  configs_[1] = first;
  members_.resize(static_cast<std::size_t>(setup_.nodes));
  for (std::size_t i = 0; i < members_.size(); ++i) {
    Member& member = members_[i];
    member.id = i + 1;
    if (first.contains(member.id)) member.disk.base = beginning;
    start(member, member.disk.base.index);
  }
}

void SimulatedGroup::start(Member& member, Index applied) {
  Options options;
  options.id = member.id;
  options.election_ticks = 5;
  options.max_bytes_per_append = 30;
  options.max_bytes_per_apply = 40;
  options.max_inflight_messages = 3;
  options.max_uncommitted_bytes = 200;
  InitialState initial;
  initial.hard_state = member.disk.hard_state;
  initial.compacted = {.term = member.disk.base.term, .index = member.disk.base.index};
  initial.entries = member.disk.entries;
  initial.applied = applied;
  initial.config = applied == member.disk.base.index ? member.disk.base.config : config_at(applied);
  member.applied = applied;
  member.node = std::make_unique<Node>(options, std::move(initial), Random(random_.next()));
}

void SimulatedGroup::step() {
  if (!failure_.empty()) return;
  if (!network_.empty() && random_.chance(1, 2)) {
    deliver_one();
    return;
  }
  Member& member = members_[random_.below(members_.size())];
  if (member.node == nullptr) {
    if (random_.chance(1, 20)) {
      // The state machine may be ahead of the log's beginning, never of its synced end.
      const Index most =
          std::max(member.disk.base.index, std::min(member.applied, member.disk.last()));
      start(member, member.disk.base.index + random_.below(most - member.disk.base.index + 1));
    }
    return;
  }
  random_event(member);
  if (member.node != nullptr) check_leader(member);
  check_logs_match(members_[random_.below(members_.size())],
                   members_[random_.below(members_.size())]);
}

void SimulatedGroup::random_event(Member& member) {
  if (setup_.turbulent && random_.chance(1, 30)) {
    for (Member& other : members_) {
      if (other.node != nullptr) other.node->forget_leader();
    }
    member.node->campaign();
    return;
  }
  const std::uint64_t dice = random_.below(1000);
  if (dice < 300) {
    drive(member);
  } else if (dice < 500) {
    sync_one(member);
  } else if (dice < 700) {
    apply_some(member, 1 + random_.below(3));
  } else if (dice < 850) {
    member.node->tick();
  } else if (dice < 920) {
    propose(member);
  } else if (dice < 950) {
    const std::string context = "read" + std::to_string(reads_.size());
    if (member.node->read_index(context)) reads_[context] = applied_anywhere();
  } else if (dice < 965) {
    compact(member);
  } else if (dice < 975) {
    if (setup_.change_members) propose_change(member);
  } else if (dice < 980) {
    (void)member.node->transfer_leadership(1 + random_.below(members_.size()));
  } else if (dice < 985) {
    member.node->report_unreachable(1 + random_.below(members_.size()));
  } else if (dice < 990) {
    member.node->forget_leader();
  } else if (setup_.crashes) {
    crash(member);
  }
}

void SimulatedGroup::crash(Member& member) {
  // Some of what was not synced may be on disk all the same, cut anywhere.
  std::size_t whole = random_.below(member.writes.size() + 1);
  for (Write& pending : member.writes) {
    const std::size_t all = pending.entries.size() + 2;
    write(member, pending, whole > 0 ? all : random_.below(all));
    if (whole == 0) break;
    --whole;
  }
  member.writes.clear();
  member.to_apply.clear();
  member.node.reset();
}

// The first `parts` of: the snapshot, each entry, the hard state.
void SimulatedGroup::write(Member& member, Write& write, std::size_t parts) {
  if (parts-- == 0) return;
  if (write.snapshot) {
    member.disk.base = *write.snapshot;
    member.disk.entries.clear();
  }
  for (const Entry& entry : write.entries) {
    if (parts-- == 0) return;
    put(member.disk, entry);
  }
  if (parts > 0 && write.hard_state) member.disk.hard_state = *write.hard_state;
}

void SimulatedGroup::put(Disk& disk, const Entry& entry) {
  if (entry.index <= disk.base.index || entry.index > disk.last() + 1) {
    fail("a write that leaves a gap in the log on disk");
    return;
  }
  disk.entries.resize(entry.index - disk.base.index - 1);
  disk.entries.push_back(entry);
}

void SimulatedGroup::sync_one(Member& member) {
  if (member.writes.empty()) return;
  std::size_t count = 1 + random_.below(member.writes.size());
  std::uint64_t number = 0;
  std::vector<Message> messages;
  for (; count > 0; --count) {
    Write done = std::move(member.writes.front());
    member.writes.pop_front();
    write(member, done, std::numeric_limits<std::size_t>::max());
    if (done.snapshot) {
      member.applied = std::max(member.applied, done.snapshot->index);
      ++snapshots_installed_;
    }
    number = done.number;
    for (Message& message : done.messages_after) messages.push_back(std::move(message));
  }
  send(member, std::move(messages));
  member.node->persisted(number);
}

void SimulatedGroup::drive(Member& member) {
  if (!member.node->has_ready()) return;
  Ready ready = member.node->take_ready();
  check_committed(member, ready);
  for (const ReadState& read : ready.read_states) {
    ++reads_answered_;
    if (read.index < reads_.at(read.context)) fail("a stale read: " + read.context);
  }
  for (Entry& entry : ready.committed) member.to_apply.push_back(std::move(entry));
  send(member, std::move(ready.messages));
  member.writes.push_back({ready.number, std::move(ready.snapshot), std::move(ready.entries),
                           ready.hard_state, std::move(ready.messages_after_persist)});
}

void SimulatedGroup::check_committed(const Member& member, const Ready& ready) {
  for (const Entry& entry : ready.committed) {
    const Disk& disk = member.disk;
    if (entry.index <= disk.base.index) continue;
    if (entry.index > disk.last() || disk.entries[entry.index - disk.base.index - 1] != entry) {
      fail("handed out to apply before it was on the own disk: " + std::to_string(entry.index));
    }
  }
}

void SimulatedGroup::apply_some(Member& member, std::size_t count) {
  for (; count > 0 && !member.to_apply.empty(); --count) {
    const Entry entry = std::move(member.to_apply.front());
    member.to_apply.pop_front();
    if (entry.index <= member.applied) continue;
    if (entry.index != member.applied + 1) fail("an entry is missing in what is applied");
    if (history_.emplace(entry.index, entry).first->second != entry) {
      fail("two nodes apply different entries at " + std::to_string(entry.index));
    }
    if (entry.kind == EntryKind::config_change) {
      const auto change = decode_config_change(entry.payload);
      const auto config = member.node->apply_config_change(entry.index, *change);
      if (!config) {
        member.to_apply.clear();
        return;
      }
      if (configs_.emplace(entry.index, *config).first->second != *config) {
        fail("two nodes have different configurations after " + std::to_string(entry.index));
      }
    }
    member.applied = entry.index;
    member.node->applied(entry.index);
  }
}

void SimulatedGroup::compact(Member& member) {
  const Index index = std::min(member.applied, member.node->log().applied());
  if (index <= member.disk.base.index || index > member.disk.last()) return;
  // Not while the disk is about to be rewritten below it.
  if (std::ranges::any_of(member.writes, [](const Write& w) { return w.snapshot.has_value(); }))
    return;
  auto& entries = member.disk.entries;
  const auto end = entries.begin() + static_cast<std::ptrdiff_t>(index - member.disk.base.index);
  member.disk.base = {index, std::prev(end)->term, config_at(index)};
  entries.erase(entries.begin(), end);
  member.node->compact(index);
}

void SimulatedGroup::send(Member& from, std::vector<Message> messages) {
  for (Message& message : messages) {
    if (message.kind == MessageKind::snapshot) {
      // What the state machine has by now, which may be more than was asked for.
      const Index index = from.applied;
      const std::optional<Term> term = from.node->log().term_at(index);
      if (!term || index < message.snapshot->index) {
        from.node->report_snapshot(message.to, false);
        continue;
      }
      message.snapshot = SnapshotMetadata{index, *term, config_at(index)};
    }
    network_.push_back(std::move(message));
  }
}

void SimulatedGroup::deliver_one() {
  // Mostly in order, as a stream would; sometimes anything.
  const std::size_t at = calm_ || random_.chance(3, 4) ? 0 : random_.below(network_.size());
  Message message = network_[at];
  const bool again = !calm_ && random_.chance(1, 15);
  if (!again) network_.erase(network_.begin() + static_cast<std::ptrdiff_t>(at));
  Member& to = members_[message.to - 1];
  const bool lost = to.node == nullptr || (!calm_ && random_.chance(1, 12));
  const NodeId from = message.from;
  const bool snapshot = message.kind == MessageKind::snapshot;
  if (!lost) {
    to.node->step(std::move(message));
    check_leader(to);
  }
  // Who streams a snapshot learns how that ended; the other may still crash before it is installed.
  Node* sender = members_[from - 1].node.get();
  if (snapshot && sender != nullptr && !again) sender->report_snapshot(to.id, !lost);
}

void SimulatedGroup::propose(Member& member) {
  const std::string payload = "value " + std::to_string(++proposals_);
  const auto position = member.node->propose({payload, payload + "b"});
  if (!position && member.node->role() == Role::leader &&
      position.error() == Refusal::too_many_uncommitted &&
      member.node->uncommitted_bytes() + 2 * payload.size() + 1 <= 200) {
    fail("a proposal refused for uncommitted bytes that are not there");
  }
}

void SimulatedGroup::propose_change(Member& member) {
  ConfigChange change;
  change.transition = static_cast<ConfigTransition>(random_.below(3));
  constexpr ConfigStepKind kinds[] = {ConfigStepKind::add_voter, ConfigStepKind::add_voter,
                                      ConfigStepKind::add_learner, ConfigStepKind::remove_node};
  for (std::uint64_t i = random_.below(3); i > 0; --i) {
    change.steps.push_back({kinds[random_.below(4)], 1 + random_.below(members_.size())});
  }
  if (member.node->config().joint() && random_.chance(1, 2)) change = {};
  (void)member.node->propose_config_change(change);
}

void SimulatedGroup::check_leader(const Member& member) {
  const Node& node = *member.node;
  if (node.role() != Role::leader) return;
  const auto [known, first] = leaders_.emplace(node.term(), member.id);
  if (known->second != member.id) fail("two leaders in term " + std::to_string(node.term()));
  if (!first) return;
  for (const auto& [index, entry] : history_) {
    if (index <= node.log().compacted().index) continue;
    if (node.log().term_at(index) != entry.term) {
      fail("the leader of term " + std::to_string(node.term()) + " lacks a committed entry");
    }
  }
}

void SimulatedGroup::check_logs_match(const Member& one, const Member& other) {
  if (one.node == nullptr || other.node == nullptr || one.id == other.id) return;
  const Log& a = one.node->log();
  const Log& b = other.node->log();
  const Index lowest = std::max(a.first_index(), b.first_index());
  bool matching = false;
  for (Index index = std::min(a.last_index(), b.last_index()); index >= lowest; --index) {
    if (a.at(index).term == b.at(index).term) matching = true;
    if (matching && a.at(index) != b.at(index)) {
      fail("logs agree above " + std::to_string(index) + " and differ there");
    }
  }
}

bool SimulatedGroup::settled(const std::string& payload) const {
  for (const Member& member : members_) {
    const Node& node = *member.node;
    if (node.role() != Role::leader) continue;
    for (const auto& [index, entry] : history_) {
      if (entry.payload != payload) continue;
      return std::ranges::all_of(members_, [&](const Member& other) {
        return !node.config().contains(other.id) || other.applied >= index;
      });
    }
  }
  return false;
}

std::string SimulatedGroup::picture() const {
  std::ostringstream out;
  for (const Member& member : members_) {
    out << "node " << member.id;
    if (member.node == nullptr) {
      out << " is down\n";
      continue;
    }
    const Node& node = *member.node;
    out << ": role " << static_cast<int>(node.role()) << " term " << node.term() << " leader "
        << node.leader() << " log " << node.log().compacted().index << ".."
        << node.log().last_index() << " of term " << node.log().last_term() << " committed "
        << node.log().committed() << " applied " << node.log().applied() << ' '
        << describe(node.config()) << '\n';
    for (const auto& [id, view] : node.progress()) {
      out << "  " << id << ": state " << static_cast<int>(view.state) << " match " << view.match
          << " next " << view.next << (view.paused ? " paused" : "") << '\n';
    }
  }
  return out.str();
}

bool SimulatedGroup::recovers() {
  calm_ = true;
  for (Member& member : members_) {
    if (member.node == nullptr) start(member, member.disk.base.index);
  }
  const std::string payload = "the last";
  // An election takes a few timeouts, and so does a joint configuration that wants to be left.
  for (int round = 0; round < 400 && failure_.empty(); ++round) {
    for (Member& member : members_) {
      member.node->tick();
      if (round % 20 == 19) (void)member.node->propose({payload});
    }
    for (bool busy = true; busy && failure_.empty();) {
      busy = !network_.empty();
      while (!network_.empty()) deliver_one();
      for (Member& member : members_) {
        busy =
            busy || member.node->has_ready() || !member.writes.empty() || !member.to_apply.empty();
        while (member.node->has_ready()) drive(member);
        while (!member.writes.empty()) sync_one(member);
        apply_some(member, member.to_apply.size());
        check_leader(member);
      }
    }
    if (settled(payload)) return true;
  }
  return false;
}

}  // namespace conclave::raft
