#include "conclave/client/verdict.h"

#include <array>
#include <optional>

#include "conclave/api/errors.h"

namespace conclave::client {

namespace {

struct KnownText {
  std::string_view text;
  Verdict verdict;
};

// Matched as the end of what arrives, without "etcdserver: ", which not every release puts before
// it.
constexpr std::array kKnownTexts{
    // Given before anything is proposed.
    KnownText{"too many requests", {Fate::not_carried_out, Errc::unavailable}},
    KnownText{"etcdserver: no leader", {Fate::not_carried_out, Errc::unavailable}},
    KnownText{"raft proposal dropped", {Fate::not_carried_out, Errc::unavailable}},
    KnownText{"rpc not supported for learner", {Fate::not_carried_out, Errc::unavailable}},
    // Given to a proposal that may yet commit.
    KnownText{"leader changed", {Fate::unknown, Errc::unavailable}},
    KnownText{"server stopped", {Fate::unknown, Errc::unavailable}},
    KnownText{"etcdserver: stopped", {Fate::unknown, Errc::unavailable}},
    KnownText{"context canceled", {Fate::unknown, Errc::unavailable}},
    KnownText{"request cancelled", {Fate::unknown, Errc::unavailable}},
    KnownText{"context deadline exceeded", {Fate::unknown, Errc::timed_out}},
    KnownText{"was carried out, but its response is too large",
              {Fate::unknown, Errc::resource_exhausted}},
    // Who is asking.
    KnownText{"invalid auth token", {Fate::token_rejected, Errc::permission_denied}},
    KnownText{"revision of auth store is old", {Fate::token_rejected, Errc::permission_denied}},
    KnownText{"user name is empty", {Fate::token_rejected, Errc::permission_denied}},
    KnownText{"permission denied", {Fate::refused, Errc::permission_denied}},
    KnownText{"authentication failed, invalid user ID or password",
              {Fate::refused, Errc::permission_denied}},
    KnownText{"password was given for no password user", {Fate::refused, Errc::permission_denied}},
    // What is asked for.
    KnownText{"required revision has been compacted", {Fate::refused, Errc::compacted}},
    KnownText{"required revision is a future revision", {Fate::refused, Errc::refused}},
    KnownText{"database space exceeded", {Fate::refused, Errc::resource_exhausted}},
    KnownText{"requested lease not found", {Fate::refused, Errc::not_found}},
    KnownText{"lease already exists", {Fate::refused, Errc::refused}},
    KnownText{"too large lease TTL", {Fate::refused, Errc::invalid_argument}},
    KnownText{"key not found", {Fate::refused, Errc::not_found}},
    KnownText{"member not found", {Fate::refused, Errc::not_found}},
    KnownText{"request is too large", {Fate::refused, Errc::invalid_argument}},
    KnownText{"unhealthy cluster", {Fate::refused, Errc::unavailable}},
    KnownText{"corrupt cluster", {Fate::refused, Errc::corrupt}},
    KnownText{"watcher range is empty", {Fate::refused, Errc::invalid_argument}},
};

std::optional<Verdict> judge_known(std::string_view text) {
  // Comes with several endings ("…, possibly due to connection lost").
  if (text.starts_with("etcdserver: request timed out")) {
    return Verdict{Fate::unknown, Errc::timed_out};
  }
  // gRPC's own answer to a frame above the server's limit, given before any handler runs.
  if (text.find("received message larger than max") != std::string_view::npos ||
      text.find("Received message larger than max") != std::string_view::npos) {
    return Verdict{Fate::refused, Errc::invalid_argument};
  }
  for (const KnownText& known : kKnownTexts) {
    if (text.ends_with(known.text)) return known.verdict;
  }
  return std::nullopt;
}

bool is_etcd_text(std::string_view text) {
  return text.starts_with("etcdserver: ") || text.starts_with("auth: ") ||
         text.starts_with("mvcc: ") || text.starts_with("lease ") || text.starts_with("election: ");
}

Verdict judge_code(const CallStatus& status) {
  using enum api::StatusCode;
  switch (static_cast<api::StatusCode>(status.code)) {
    case ok:
      return {Fate::succeeded, Errc::unavailable};
    case invalid_argument:
      return {Fate::refused, Errc::invalid_argument};
    case not_found:
      return {Fate::refused, Errc::not_found};
    case permission_denied:
    case unauthenticated:
      return {Fate::refused, Errc::permission_denied};
    case resource_exhausted:
      return {Fate::refused, Errc::resource_exhausted};
    case already_exists:
    case failed_precondition:
    case out_of_range:
    case unimplemented:
      return {Fate::refused, Errc::refused};
    case deadline_exceeded:
      return {Fate::unknown, Errc::timed_out};
    case unknown:
      // etcd hands out inner errors under this code; anything else under it proves nothing.
      if (is_etcd_text(status.message)) return {Fate::refused, Errc::refused};
      break;
    case cancelled:
    case aborted:
    case internal:
    case unavailable:
    case data_loss:
      break;
  }
  return {Fate::unknown, Errc::unavailable};
}

}  // namespace

Verdict judge(const CallStatus& status) {
  if (status.code == 0) return {};
  if (status.sent) {
    if (const std::optional<Verdict> known = judge_known(status.message)) return *known;
  }
  const Verdict verdict = judge_code(status);
  if (!status.sent && verdict.fate == Fate::unknown) return {Fate::not_carried_out, verdict.code};
  return verdict;
}

Verdict judge_text(std::string_view text) {
  return judge_known(text).value_or(Verdict{Fate::refused, Errc::refused});
}

}  // namespace conclave::client
