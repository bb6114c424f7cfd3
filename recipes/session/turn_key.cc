#include "conclave/session/turn_key.h"

#include <algorithm>

namespace conclave::session {
namespace {

bool is_hex(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
  });
}

}  // namespace

bool has_our_tag(std::string_view prefix, std::string_view key) {
  if (!is_contender(prefix, key)) return false;
  const std::string_view rest = key.substr(prefix.size());
  const std::size_t plus = rest.find('+');
  if (plus == std::string_view::npos) return false;
  const std::string_view tag = rest.substr(plus + 1);
  const std::size_t dash = tag.find('-');
  if (dash == std::string_view::npos) return false;
  const std::string_view kind = tag.substr(0, dash);
  return is_hex(rest.substr(0, plus)) && is_hex(tag.substr(dash + 1)) &&
         (kind == "lock" || kind == "elect");
}

Get read_queue(std::string_view name, SortOrder order, std::int64_t limit) {
  Get get;
  get.key = queue_prefix(name);
  get.range_end = prefix_end(get.key);
  get.limit = limit;
  get.sort_order = order;
  get.sort_target = SortTarget::create_revision;
  return get;
}

}  // namespace conclave::session
