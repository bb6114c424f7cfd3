#include <algorithm>
#include <cstddef>
#include <limits>
#include <utility>

#include "conclave/mvcc/store.h"

namespace conclave::mvcc {
namespace {

using etcdserverpb::RangeRequest;
using etcdserverpb::RangeResponse;

struct Found {
  std::string_view key;  // lives in the index
  KeyVersion version;
  mvccpb::KeyValue record;  // read only where it is needed
};

bool has_filter(const RangeRequest& request) {
  return request.min_mod_revision() != 0 || request.max_mod_revision() != 0 ||
         request.min_create_revision() != 0 || request.max_create_revision() != 0;
}

bool passes(const RangeRequest& request, const KeyVersion& version) {
  const auto within = [](std::int64_t value, std::int64_t min, std::int64_t max) {
    return (min == 0 || value >= min) && (max == 0 || value <= max);
  };
  return within(version.modified.main, request.min_mod_revision(), request.max_mod_revision()) &&
         within(version.create_revision, request.min_create_revision(),
                request.max_create_revision());
}

void sort_found(const RangeRequest& request, std::vector<Found>& found) {
  const auto sort_by = [&](auto property) {
    const bool descending = request.sort_order() == RangeRequest::DESCEND;
    std::stable_sort(found.begin(), found.end(), [&](const Found& left, const Found& right) {
      return descending ? property(right) < property(left) : property(left) < property(right);
    });
  };
  switch (request.sort_target()) {
    case RangeRequest::VERSION:
      return sort_by([](const Found& f) { return f.version.version; });
    case RangeRequest::CREATE:
      return sort_by([](const Found& f) { return f.version.create_revision; });
    case RangeRequest::MOD:
      return sort_by([](const Found& f) { return f.version.modified.main; });
    case RangeRequest::VALUE:
      return sort_by([](const Found& f) { return std::string_view(f.record.value()); });
    default:
      break;  // by key, as they came
  }
  if (request.sort_order() == RangeRequest::DESCEND) std::reverse(found.begin(), found.end());
}

// How many of the keys in the range are looked at further. As in etcd, a limit cuts before an
// implied sort (a target without an order), but after an ordered one and after the filters. One
// more than the limit, to know whether there is more.
std::size_t fetch_limit(const RangeRequest& request) {
  if (request.count_only()) return 0;
  if (request.limit() <= 0 || request.sort_order() != RangeRequest::NONE || has_filter(request)) {
    return std::numeric_limits<std::size_t>::max();
  }
  return static_cast<std::size_t>(request.limit()) + 1;
}

void fill_without_value(const Found& found, mvccpb::KeyValue& record) {
  record.set_key(found.key.data(), found.key.size());
  record.set_create_revision(found.version.create_revision);
  record.set_mod_revision(found.version.modified.main);
  record.set_version(found.version.version);
}

}  // namespace

api::Reply<RangeResponse> Store::range(const RangeRequest& request) const {
  return range_at(request, current_);
}

api::Reply<RangeResponse> Store::range_at(const RangeRequest& request, std::int64_t now) const {
  const std::int64_t revision = request.revision() > 0 ? request.revision() : now;
  if (revision > now) return api::Refusal::future_revision;
  if (revision < compacted_) return api::Refusal::compacted;

  const std::size_t max_found = fetch_limit(request);
  std::vector<Found> found;
  std::int64_t count = 0;
  const auto look_at = [&](std::string_view key, const KeyIndex::Entry& entry) {
    const std::optional<KeyVersion> version = entry.at(revision);
    if (!version) return true;
    ++count;
    if (found.size() < max_found && passes(request, *version)) found.push_back({key, *version, {}});
    return true;
  };
  index_.visit(KeyRange(request.key(), request.range_end()), look_at);

  const bool sorts_by_value = request.sort_target() == RangeRequest::VALUE;
  if (sorts_by_value) {
    for (Found& each : found) {
      if (!read_record(each.version.modified, each.record)) return api::Refusal::corrupt;
    }
  }
  sort_found(request, found);

  RangeResponse response;
  response.mutable_header()->set_revision(now);
  response.set_count(count);
  if (request.limit() > 0 && found.size() > static_cast<std::size_t>(request.limit())) {
    found.resize(static_cast<std::size_t>(request.limit()));
    response.set_more(true);
  }
  response.mutable_kvs()->Reserve(static_cast<int>(found.size()));
  for (Found& each : found) {
    mvccpb::KeyValue& record = *response.add_kvs();
    if (request.keys_only()) {
      fill_without_value(each, record);
    } else if (sorts_by_value) {
      record.Swap(&each.record);
    } else if (!read_record(each.version.modified, record)) {
      return api::Refusal::corrupt;
    }
  }
  return response;
}

}  // namespace conclave::mvcc
