#include "conclave/replica/state_machine.h"

#include <gtest/gtest.h>

#include "tests/support/memory_storage.h"

namespace conclave::replica {
namespace {

// The change stands, here and on every other member; only its answer cannot be given.
TEST(StateMachine, AnAnswerThatIsTooLargeIsRefusedButNotTheChange) {
  Proposal proposal;
  proposal.set_version(kProposalVersion);
  auto* put = proposal.mutable_txn()->add_success()->mutable_request_put();
  put->set_key("k");
  put->set_value(std::string(1000, 'x'));
  proposal.mutable_txn()->add_success()->mutable_request_range()->set_key("k");

  test::MemoryStorage storage;
  StateMachine state(storage);
  ASSERT_TRUE(state.load());
  state.store().set_response_bytes_max(500);
  etcdserverpb::TxnResponse response;
  const auto asked = state.apply({.term = 1, .index = 1, .payload = {}}, proposal, &response);
  ASSERT_TRUE(asked);
  EXPECT_EQ(asked->refusal, api::Refusal::done_without_response);
  EXPECT_EQ(asked->events.size(), 1U);
  const auto unasked = state.apply({.term = 1, .index = 2, .payload = {}}, proposal, nullptr);
  ASSERT_TRUE(unasked);
  EXPECT_EQ(unasked->refusal, std::nullopt);
  EXPECT_EQ(state.store().current_revision(), 3);
}

}  // namespace
}  // namespace conclave::replica
