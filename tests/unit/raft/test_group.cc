#include "tests/unit/raft/test_group.h"

namespace conclave::raft {

Options test_options(NodeId id) {
  Options options;
  options.id = id;
  options.election_ticks = kElectionTicks;
  return options;
}

InitialState first_state(std::set<NodeId> voters, std::set<NodeId> learners) {
  InitialState state;
  state.config.voters = std::move(voters);
  state.config.learners = std::move(learners);
  state.compacted = {.term = 1, .index = 1};
  state.applied = 1;
  state.hard_state = {.term = 1, .vote = 0, .commit = 1};
  return state;
}

InitialState with_log(InitialState state, const std::vector<Term>& terms) {
  for (const Term term : terms) {
    Entry entry;
    entry.term = term;
    entry.index = state.compacted.index + state.entries.size() + 1;
    entry.payload = "t" + std::to_string(term);
    state.entries.push_back(entry);
    state.hard_state.term = std::max(state.hard_state.term, term);
  }
  return state;
}

std::unique_ptr<Node> make_node(Options options, InitialState state) {
  const NodeId id = options.id;
  return std::make_unique<Node>(options, std::move(state), Random(id));
}

TestGroup::TestGroup(std::vector<std::pair<Options, InitialState>> members) {
  for (auto& [options, state] : members) add(options, std::move(state));
}

TestGroup TestGroup::of(int size, const std::function<void(Options&)>& adjust) {
  std::set<NodeId> voters;
  for (int i = 1; i <= size; ++i) voters.insert(static_cast<NodeId>(i));
  std::vector<std::pair<Options, InitialState>> members;
  for (const NodeId id : voters) {
    Options options = test_options(id);
    if (adjust) adjust(options);
    members.emplace_back(options, first_state(voters));
  }
  return TestGroup(std::move(members));
}

void TestGroup::add(Options options, InitialState state) {
  members_[options.id].node = make_node(options, std::move(state));
}

void TestGroup::isolate(NodeId id) {
  for (const auto& [other, member] : members_) cut(id, other);
}

void TestGroup::drive(Member& member, std::vector<Message>& out) {
  Node& node = *member.node;
  while (node.has_ready()) {
    Ready ready = node.take_ready();
    for (const ReadState& read : ready.read_states) member.reads.push_back(read);
    for (const Entry& entry : ready.committed) {
      if (entry.kind == EntryKind::config_change) {
        node.apply_config_change(entry.index, *decode_config_change(entry.payload));
      } else {
        member.applied.push_back(entry.payload);
      }
      node.applied(entry.index);
    }
    node.persisted(ready.number);
    for (Message& message : ready.messages) out.push_back(std::move(message));
    for (Message& message : ready.messages_after_persist) out.push_back(std::move(message));
  }
}

void TestGroup::settle() {
  std::vector<Message> messages;
  do {
    messages.clear();
    for (auto& [id, member] : members_) drive(member, messages);
    for (Message& message : messages) {
      const auto to = members_.find(message.to);
      if (to == members_.end() || message.kind == lost_) continue;
      if (cut_.contains({message.from, message.to})) continue;
      to->second.node->step(std::move(message));
    }
  } while (!messages.empty());
}

void TestGroup::tick(NodeId id, int times) {
  for (int i = 0; i < times; ++i) (*this)[id].tick();
}

void TestGroup::tick_all(int times) {
  for (int i = 0; i < times; ++i) {
    for (auto& [id, member] : members_) member.node->tick();
    settle();
  }
}

void TestGroup::elect(NodeId id) {
  settle();
  // So that nobody's lease is in the way.
  for (auto& [other, member] : members_) member.node->forget_leader();
  (*this)[id].campaign();
  settle();
  CONCLAVE_CHECK((*this)[id].role() == Role::leader, "the test's leader did not win");
}

NodeId TestGroup::leader() const {
  NodeId leader = 0;
  Term term = 0;
  for (const auto& [id, member] : members_) {
    if (member.node->role() != Role::leader || member.node->term() <= term) continue;
    term = member.node->term();
    leader = id;
  }
  return leader;
}

std::vector<Message> run_once(Node& node) {
  if (!node.has_ready()) return {};
  Ready ready = node.take_ready();
  node.persisted(ready.number);
  if (!ready.committed.empty()) node.applied(ready.committed.back().index);
  std::vector<Message> messages = std::move(ready.messages);
  for (Message& message : ready.messages_after_persist) messages.push_back(std::move(message));
  return messages;
}

std::vector<Term> terms_of(const Log& log) {
  std::vector<Term> terms;
  for (Index i = log.first_index(); i <= log.last_index(); ++i) terms.push_back(log.at(i).term);
  return terms;
}

}  // namespace conclave::raft
