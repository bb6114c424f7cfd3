#include "tests/scenarios/group.h"

#include <algorithm>
#include <regex>
#include <stdexcept>

#include "tests/scenarios/format.h"
#include "tests/scenarios/pure_cases.h"

namespace conclave::scenarios {
namespace {

constexpr int kElectionTicks = 3;

std::string trimmed(const std::string& line) {
  const std::size_t begin = line.find_first_not_of(' ');
  return begin == std::string::npos ? ""
                                    : line.substr(begin, line.find_last_not_of(' ') - begin + 1);
}

raft::NodeId recipient(const auto& delivery) {
  return std::visit([](const auto& item) { return item.to; }, delivery);
}

raft::ConfigChange parse_change(const Step& step) {
  raft::ConfigChange change;
  const std::string transition = step.value("transition", "auto");
  if (transition == "implicit") change.transition = raft::ConfigTransition::joint_implicit;
  if (transition == "explicit") change.transition = raft::ConfigTransition::joint_explicit;
  change.steps = parse_config_steps(step.input);
  return change;
}

}  // namespace

void Group::say(const std::string& text) {
  if (silent_) return;
  for (std::string& line : split_lines(text)) output_.push_back(std::move(line));
}

std::vector<std::string> Group::run(const Step& step) {
  output_.clear();
  const bool was_silent = silent_;
  if (step.value("log-level") == "none") silent_ = true;
  dispatch(step);
  if (step.command != "log-level") silent_ = was_silent;
  if (output_.empty()) output_.emplace_back("ok");
  return output_;
}

void Group::dispatch(const Step& step) {
  const std::string& command = step.command;
  if (command == "log-level") {
    silent_ = step.positional.at(0) == "none";
  } else if (command == "add-nodes") {
    add_nodes(step);
  } else if (command == "campaign") {
    node(step.ids().at(0)).campaign();
  } else if (command == "propose") {
    const raft::NodeId id = std::stoull(step.positional.at(0));
    if (!node(id).propose({step.positional.at(1)})) say("raft proposal dropped");
  } else if (command == "propose-conf-change") {
    propose_config_change(step);
  } else if (command == "process-ready") {
    each(step, "handling Ready", &Group::process_ready);
  } else if (command == "process-append-thread") {
    each(step, "processing append thread", &Group::process_disk);
  } else if (command == "process-apply-thread") {
    each(step, "processing apply thread", &Group::process_apply);
  } else if (command == "deliver-msgs") {
    deliver(step);
  } else if (command == "stabilize") {
    stabilize(step);
  } else if (command == "tick-heartbeat") {
    node(step.ids().at(0)).tick();
  } else if (command == "tick-election") {
    for (int i = 0; i < kElectionTicks; ++i) node(step.ids().at(0)).tick();
  } else if (command == "forget-leader") {
    node(step.ids().at(0)).forget_leader();
  } else if (command == "report-unreachable") {
    node(step.ids().at(0)).report_unreachable(step.ids().at(1));
  } else if (command == "transfer-leadership") {
    if (!node(step.number("from", 0)).transfer_leadership(step.number("to", 0))) say("refused");
  } else if (command == "read-index") {
    const raft::NodeId id = std::stoull(step.positional.at(0));
    if (!node(id).read_index(step.positional.at(1))) say("refused");
  } else if (command == "compact") {
    node(step.ids().at(0)).compact(step.ids().at(1));
  } else if (command == "set-randomized-election-timeout") {
    node(step.ids().at(0))
        .set_randomized_election_ticks(static_cast<int>(step.number("timeout", 0)));
  } else {
    dispatch_observation(step);
  }
}

void Group::dispatch_observation(const Step& step) {
  if (step.command == "status") {
    Member& observed = member(step.ids().at(0));
    const auto window = static_cast<std::size_t>(observed.options.max_inflight_messages);
    for (const auto& [id, view] : observed.node->progress()) say(format(id, view, window));
  } else if (step.command == "raft-state") {
    for (const Member& observed : members_) {
      const raft::Node& node = *observed.node;
      say(std::to_string(node.id()) + ": " + format(node.role()) +
          (node.config().is_voter(node.id()) ? " (Voter)" : " (Non-Voter)") +
          " Term:" + std::to_string(node.term()) + " Lead:" + std::to_string(node.leader()));
    }
  } else if (step.command == "raft-log") {
    const raft::Log& log = node(step.ids().at(0)).log();
    for (raft::Index i = log.first_index(); i <= log.last_index(); ++i) say(format(log.at(i)));
  } else {
    throw std::invalid_argument("unknown command " + step.command);
  }
}

void Group::add_nodes(const Step& step) {
  const raft::Index index = step.number("index", 0);
  for (std::uint64_t i = 0; i < step.ids().at(0); ++i) {
    Member member;
    member.options.id = members_.size() + 1;
    member.options.election_ticks = kElectionTicks;
    member.options.pre_vote = step.value("prevote") == "true";
    member.options.check_quorum = step.value("checkquorum") == "true";
    member.options.step_down_on_removal = false;
    member.options.synchronous_storage = step.value("async-storage-writes") != "true";
    member.options.max_inflight_messages = static_cast<int>(step.number("inflight", 1'000'000));
    member.options.max_bytes_per_apply =
        step.number("max-committed-size-per-ready", member.options.max_bytes_per_apply);
    raft::InitialState initial;
    for (const raft::NodeId id : step.numbers("voters")) initial.config.voters.insert(id);
    for (const raft::NodeId id : step.numbers("learners")) initial.config.learners.insert(id);
    if (index != 0) initial.compacted = {.term = 1, .index = index};
    initial.hard_state.commit = index;
    initial.applied = index;
    member.node =
        std::make_unique<raft::Node>(member.options, std::move(initial), Random(member.options.id));
    members_.push_back(std::move(member));
  }
}

void Group::propose_config_change(const Step& step) {
  raft::Node& proposer = node(step.ids().at(0));
  const auto proposed = proposer.propose_config_change(parse_change(step));
  if (proposed) return;
  // The files' implementation appends an empty entry in place of a change that it turns down.
  const bool turned_down = proposed.error() == raft::Refusal::change_in_progress ||
                           proposed.error() == raft::Refusal::impossible_change;
  if (!turned_down || !proposer.propose({""})) say("raft proposal dropped");
}

void Group::each(const Step& step, const std::string& header, void (Group::*work)(raft::NodeId)) {
  for (const raft::NodeId id : step.ids()) {
    if (step.ids().size() > 1) say("> " + std::to_string(id) + " " + header);
    (this->*work)(id);
  }
}

void Group::deliver(const Step& step) {
  for (const raft::NodeId id : step.ids()) deliver_to(id, /*drop=*/false);
  for (const raft::NodeId id : step.numbers("drop")) deliver_to(id, /*drop=*/true);
}

bool Group::waiting_for(raft::NodeId id) const {
  return std::ranges::any_of(network_, [&](const Delivery& d) { return recipient(d) == id; });
}

bool Group::deliver_to(raft::NodeId id, bool drop) {
  std::deque<Delivery> mine;
  std::deque<Delivery> others;
  for (Delivery& delivery : network_) {
    (recipient(delivery) == id ? mine : others).push_back(std::move(delivery));
  }
  network_ = std::move(others);
  for (const Delivery& delivery : mine) {
    if (const auto* message = std::get_if<raft::Message>(&delivery)) {
      say((drop ? "dropped: " : "") + format(*message));
    }
    if (!drop) hand_over(delivery);
  }
  return !mine.empty();
}

void Group::hand_over(const Delivery& delivery) {
  raft::Node& to = node(recipient(delivery));
  if (const auto* message = std::get_if<raft::Message>(&delivery)) {
    to.step(*message);
  } else if (const auto* persisted = std::get_if<Persisted>(&delivery)) {
    to.persisted(persisted->number);
  } else {
    to.applied(std::get<Applied>(delivery).index);
  }
}

void Group::apply(Member& member, const std::vector<raft::Entry>& entries) {
  for (const raft::Entry& entry : entries) {
    if (entry.kind != raft::EntryKind::config_change) continue;
    const auto change = raft::decode_config_change(entry.payload);
    member.node->apply_config_change(entry.index, *change);
  }
}

void Group::process_ready(raft::NodeId id) {
  Member& member = this->member(id);
  if (!member.node->has_ready()) {
    say("<empty Ready>");
    return;
  }
  raft::Ready ready = member.node->take_ready();
  std::vector<raft::Message> messages = ready.messages;
  const bool synchronous = member.options.synchronous_storage;
  if (synchronous) {
    messages.insert(messages.end(), ready.messages_after_persist.begin(),
                    ready.messages_after_persist.end());
  }
  say(format(ready, messages));
  for (const raft::ReadState& read : ready.read_states) {
    say("Read " + read.context + " at " + std::to_string(read.index));
  }
  for (raft::Message& message : messages) network_.emplace_back(std::move(message));
  if (!synchronous) {
    if (ready.hard_state || !ready.entries.empty() || !ready.messages_after_persist.empty()) {
      member.disk.push_back({ready.number, std::move(ready.messages_after_persist)});
    }
    if (!ready.committed.empty()) member.apply.push_back(std::move(ready.committed));
    return;
  }
  apply(member, ready.committed);
  member.node->persisted(ready.number);
  if (!ready.committed.empty()) member.node->applied(ready.committed.back().index);
}

void Group::process_disk(raft::NodeId id) {
  Member& member = this->member(id);
  if (member.disk.empty()) return;
  DiskWork work = std::move(member.disk.front());
  member.disk.pop_front();
  network_.emplace_back(Persisted{id, work.number});
  for (raft::Message& message : work.responses) {
    say(format(message));
    network_.emplace_back(std::move(message));
  }
}

void Group::process_apply(raft::NodeId id) {
  Member& member = this->member(id);
  if (member.apply.empty()) return;
  apply(member, member.apply.front());
  network_.emplace_back(Applied{id, member.apply.front().back().index});
  member.apply.pop_front();
}

void Group::stabilize(const Step& step) {
  std::vector<raft::NodeId> ids = step.ids();
  if (ids.empty()) {
    for (raft::NodeId id = 1; id <= members_.size(); ++id) ids.push_back(id);
  }
  for (bool busy = true; busy;) {
    busy = false;
    const auto pass = [&](const std::string& header, auto wanted, auto work) {
      for (const raft::NodeId id : ids) {
        if (!wanted(id)) continue;
        busy = true;
        say("> " + std::to_string(id) + " " + header);
        work(id);
      }
    };
    pass(
        "handling Ready", [&](auto id) { return node(id).has_ready(); },
        [&](auto id) { process_ready(id); });
    pass(
        "receiving messages", [&](auto id) { return waiting_for(id); },
        [&](auto id) { deliver_to(id, false); });
    pass(
        "processing append thread", [&](auto id) { return !member(id).disk.empty(); },
        [&](auto id) {
          while (!member(id).disk.empty()) process_disk(id);
        });
    pass(
        "processing apply thread", [&](auto id) { return !member(id).apply.empty(); },
        [&](auto id) {
          while (!member(id).apply.empty()) process_apply(id);
        });
  }
}

std::vector<std::string> normalized(const std::vector<std::string>& lines) {
  static const std::regex noise(
      "(INFO|DEBUG|WARN|ERROR) .*|raft: .*|Processing:|Responses:|A[a-z]+Thread->.*");
  static const std::regex own_thread("[0-9]+->A[a-z]+Thread .*");
  static const std::regex to_itself("([0-9]+)->\\1 .*");
  static const std::regex header("> [0-9]+ (receiving messages|processing .*)|Messages:");
  std::vector<std::string> kept;
  bool skipping = false;
  for (const std::string& raw : lines) {
    std::string line = trimmed(raw);
    if (skipping) {
      skipping = line != "]";
      continue;
    }
    if (std::regex_match(line, own_thread)) {
      skipping = line.ends_with("Responses:[");
      continue;
    }
    if (std::regex_match(line, noise) || std::regex_match(line, to_itself)) continue;
    if (const std::size_t at = line.find("EntryConfChangeV2"); at != std::string::npos) {
      line.erase(at + std::string("EntryConfChange").size(), 2);
    }
    kept.push_back(std::move(line));
  }
  // A header under which nothing is left says nothing.
  for (std::size_t i = kept.size(); i-- > 0;) {
    const bool nothing_below = i + 1 == kept.size() || kept[i + 1].starts_with("> ");
    if (nothing_below && std::regex_match(kept[i], header)) {
      kept.erase(kept.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }
  if (kept.empty()) kept.emplace_back("ok");
  return kept;
}

}  // namespace conclave::scenarios
