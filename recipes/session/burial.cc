#include "conclave/session/burial.h"

#include <utility>

#include "conclave/base/bytes.h"
#include "conclave/session/planted_bugs.h"

namespace conclave::session {
namespace {

Delete deletion(std::string key, std::string range_end) {
  Delete erase;
  erase.key = std::move(key);
  erase.range_end = std::move(range_end);
  return erase;
}

Txn removal_of(const Bury& what) {
  Txn txn;
  if (CONCLAVE_PLANTED(release_by_name)) {
    const std::string name = what.key.substr(0, what.key.find('+'));
    txn.success.emplace_back(deletion(name, prefix_end(name)));
    return txn;
  }
  Compare compare = created_at(what.key, what.create_revision);
  if (what.uncertain || what.create_revision == 0) {
    compare.relation = Compare::Relation::greater;
    compare.number = 0;
  }
  txn.compares.push_back(std::move(compare));
  txn.success.emplace_back(deletion(what.key, {}));
  return txn;
}

}  // namespace

void Burial::start(Instant now) {
  remove(now);
}

void Burial::remove(Instant now) {
  retry_at_ = Instant::max();
  ++request_;
  actions_.emplace_back(SendTxn{request_, removal_of(what_), now + kRequestTimeout});
}

void Burial::on_txn(Instant now, std::uint64_t request, const Result<TxnResult>& answer) {
  if (request != request_ || done_) return;
  if (!answer) {
    if (answer.error().code != Errc::unavailable) maybe_removed_ = true;
    retry_at_ = now + backoff_.next();
    return;
  }
  backoff_.reset();
  if (!acknowledged_) {
    acknowledged_ = true;
    actions_.emplace_back(Removed{answer->succeeded || maybe_removed_});
  }
  if (!what_.uncertain || CONCLAVE_PLANTED(forget_strays)) {
    done_ = true;
    return;
  }
  Watch watch;
  watch.key = what_.key;
  watch.start_revision = answer->revision + 1;
  watch.no_delete = true;
  actions_.emplace_back(StartWatch{WatchSlot::own, std::move(watch)});
}

void Burial::on_watch(Instant now, const WatchNotice& notice) {
  switch (notice.kind) {
    case WatchNotice::Kind::created:
    case WatchNotice::Kind::progress:
      return;
    case WatchNotice::Kind::events:
      for (const Event& event : notice.events) {
        if (event.type != Event::Type::put) continue;
        actions_.emplace_back(StopWatch{WatchSlot::own});
        return remove(now);
      }
      return;
    case WatchNotice::Kind::compacted:
      actions_.emplace_back(StopWatch{WatchSlot::own});
      return remove(now);
    case WatchNotice::Kind::failed:
      actions_.emplace_back(StopWatch{WatchSlot::own});
      retry_at_ = now + backoff_.next();
      return;
  }
}

void Burial::on_timer(Instant now) {
  if (!done_ && now >= retry_at_) remove(now);
}

std::vector<BurialAction> Burial::take_actions() {
  return std::exchange(actions_, {});
}

}  // namespace conclave::session
