#include "conclave/client/verdict.h"

#include <gtest/gtest.h>

#include "conclave/api/errors.h"

namespace conclave::client {
namespace {

using api::Refusal;

Verdict verdict_on(Refusal refusal) {
  const api::RefusalText text = api::text_of(refusal);
  return judge({static_cast<int>(text.code), std::string(text.text), true});
}

TEST(Verdict, KnowsWhatTheServerSays) {
  EXPECT_EQ(verdict_on(Refusal::compacted).code, Errc::compacted);
  EXPECT_EQ(verdict_on(Refusal::no_space).code, Errc::resource_exhausted);
  EXPECT_EQ(verdict_on(Refusal::lease_not_found).code, Errc::not_found);
  EXPECT_EQ(verdict_on(Refusal::lease_exists).code, Errc::refused);
  EXPECT_EQ(verdict_on(Refusal::empty_key).code, Errc::invalid_argument);
  EXPECT_EQ(verdict_on(Refusal::duplicate_key).code, Errc::invalid_argument);
  EXPECT_EQ(verdict_on(Refusal::request_too_large).code, Errc::invalid_argument);
  EXPECT_EQ(verdict_on(Refusal::corrupt).code, Errc::corrupt);
  EXPECT_EQ(verdict_on(Refusal::corrupt).fate, Fate::refused);
  EXPECT_EQ(verdict_on(Refusal::too_many_requests).fate, Fate::not_carried_out);
  EXPECT_EQ(verdict_on(Refusal::too_many_requests).code, Errc::unavailable) << "it passes";
  EXPECT_EQ(verdict_on(Refusal::no_leader).fate, Fate::not_carried_out);
  EXPECT_EQ(verdict_on(Refusal::not_enough_started).fate, Fate::refused);
  EXPECT_EQ(verdict_on(Refusal::timeout).fate, Fate::unknown);
  EXPECT_EQ(verdict_on(Refusal::leader_transfer_timeout).fate, Fate::unknown);
  EXPECT_EQ(verdict_on(Refusal::leader_changed).fate, Fate::unknown);
  EXPECT_EQ(verdict_on(Refusal::done_without_response).fate, Fate::unknown);
  EXPECT_EQ(verdict_on(Refusal::stopped).fate, Fate::unknown);
}

TEST(Verdict, NotSentIsNotCarriedOutWhateverTheCode) {
  EXPECT_EQ(judge({14, "failed to connect", false}).fate, Fate::not_carried_out);
  EXPECT_EQ(judge({4, "Deadline Exceeded", false}).fate, Fate::not_carried_out);
  EXPECT_EQ(judge({4, "Deadline Exceeded", false}).code, Errc::timed_out);
  EXPECT_EQ(judge({4, "Deadline Exceeded", true}).fate, Fate::unknown);
}

TEST(Verdict, InnerErrorsUnderTheCodeUnknown) {
  EXPECT_EQ(judge({2, "etcdserver: requested lease not found"}).code, Errc::not_found);
  EXPECT_EQ(judge({2, "etcdserver: something new"}).fate, Fate::refused);
  EXPECT_EQ(judge({2, "something new"}).fate, Fate::unknown);
}

TEST(Verdict, BareTextOfAWatch) {
  const Verdict denied =
      judge_text("rpc error: code = PermissionDenied desc = etcdserver: permission denied");
  EXPECT_EQ(denied.code, Errc::permission_denied);
  EXPECT_EQ(judge_text(api::kWatchEmptyRange).code, Errc::invalid_argument);
  EXPECT_EQ(judge_text("etcdserver: mvcc: required revision has been compacted").code,
            Errc::compacted);
}

}  // namespace
}  // namespace conclave::client
