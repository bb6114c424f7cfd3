#include "conclave/cli/args/requests.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include "conclave/base/bytes.h"

namespace conclave::cli {
namespace {

using etcdserverpb::RangeRequest;

constexpr Flag kGetFlags[] = {
    {.name = "prefix", .help = "all keys that begin with KEY"},
    {.name = "from-key", .help = "all keys from KEY on"},
    {.name = "limit", .kind = FlagKind::number, .fallback = "0", .help = "at most so many keys"},
    {.name = "rev", .kind = FlagKind::number, .fallback = "0", .help = "as of this revision"},
    {.name = "order", .kind = FlagKind::text, .help = "ASCEND or DESCEND"},
    {.name = "sort-by", .kind = FlagKind::text, .help = "KEY, VERSION, CREATE, MODIFY or VALUE"},
    {.name = "keys-only", .help = "without the values"},
    {.name = "count-only", .help = "only how many there are"},
    {.name = "print-value-only", .help = "only the values (with -w simple)"},
    {.name = "consistency",
     .kind = FlagKind::text,
     .fallback = "l",
     .help = "l: linearizable; s: serializable, which may be stale"},
};
constexpr Flag kPutFlags[] = {
    {.name = "lease",
     .kind = FlagKind::text,
     .fallback = "0",
     .help = "lease to attach, hexadecimal"},
    {.name = "prev-kv", .help = "print what was there before"},
    {.name = "ignore-value", .help = "keep the value, change the lease"},
    {.name = "ignore-lease", .help = "keep the lease, change the value"},
};
constexpr Flag kDelFlags[] = {
    {.name = "prefix", .help = "all keys that begin with KEY"},
    {.name = "from-key", .help = "all keys from KEY on"},
    {.name = "prev-kv", .help = "print what was deleted"},
};
constexpr Verb kVerbs[] = {
    {.name = "put",
     .operands = "KEY [VALUE]",
     .operands_min = 1,
     .operands_max = 2,
     .summary = "write a key",
     .details = "Without VALUE, the value is read from standard input.",
     .example = "  conclave put config/limit 10",
     .flags = kPutFlags},
    {.name = "get",
     .operands = "KEY [RANGE_END]",
     .operands_min = 1,
     .operands_max = 2,
     .summary = "read a key, or the keys from KEY up to, not including, RANGE_END",
     .example = "  conclave get --prefix config/",
     .flags = kGetFlags},
    {.name = "del",
     .operands = "KEY [RANGE_END]",
     .operands_min = 1,
     .operands_max = 2,
     .summary = "delete a key or a range of keys",
     .example = "  conclave del --prefix config/",
     .flags = kDelFlags},
};

Error invalid(std::string message) {
  return {Errc::invalid_argument, std::move(message)};
}

std::string upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::toupper(letter)); });
  return text;
}

Result<void> set_sorting(const Arguments& arguments, RangeRequest& request) {
  const std::string order = upper(arguments.text("order"));
  const std::string target = upper(arguments.text("sort-by"));
  if (order == "ASCEND") {
    request.set_sort_order(RangeRequest::ASCEND);
  } else if (order == "DESCEND") {
    request.set_sort_order(RangeRequest::DESCEND);
  } else if (!order.empty()) {
    return invalid("--order takes ASCEND or DESCEND, not \"" + arguments.text("order") + "\"");
  } else if (!target.empty()) {
    request.set_sort_order(RangeRequest::ASCEND);
  }
  const std::pair<const char*, RangeRequest::SortTarget> targets[] = {
      {"", RangeRequest::KEY},
      {"KEY", RangeRequest::KEY},
      {"VERSION", RangeRequest::VERSION},
      {"CREATE", RangeRequest::CREATE},
      {"MODIFY", RangeRequest::MOD},
      {"VALUE", RangeRequest::VALUE}};
  for (const auto& [name, value] : targets) {
    if (target != name) continue;
    request.set_sort_target(value);
    return {};
  }
  return invalid("--sort-by takes KEY, VERSION, CREATE, MODIFY or VALUE, not \"" +
                 arguments.text("sort-by") + "\"");
}

}  // namespace

std::span<const Verb> kv_verbs() {
  return kVerbs;
}

Result<KeyRange> key_range(const Arguments& arguments) {
  const bool prefix = arguments.is_set("prefix");
  const bool from_key = arguments.verb->name != "watch" && arguments.is_set("from-key");
  if (prefix && from_key) return invalid("--prefix and --from-key exclude each other");
  KeyRange range{.key = arguments.operands.at(0)};
  if (arguments.operands.size() > 1) {
    if (prefix || from_key) {
      return invalid("RANGE_END and --prefix or --from-key exclude each other");
    }
    range.range_end = arguments.operands[1];
    return range;
  }
  const std::string everything(1, '\0');
  if (prefix) range.range_end = prefix_end(range.key);
  if (from_key) range.range_end = everything;
  if ((prefix || from_key) && range.key.empty())
    range = {.key = everything, .range_end = everything};
  return range;
}

Result<RangeRequest> range_request(const Arguments& arguments) {
  auto range = key_range(arguments);
  if (!range) return range.error();
  RangeRequest request;
  request.set_key(range->key);
  request.set_range_end(range->range_end);
  request.set_limit(arguments.number("limit"));
  request.set_revision(arguments.number("rev"));
  request.set_keys_only(arguments.is_set("keys-only"));
  request.set_count_only(arguments.is_set("count-only"));
  const std::string consistency = arguments.text("consistency");
  if (consistency != "l" && consistency != "s") {
    return invalid("--consistency takes l or s, not \"" + consistency + "\"");
  }
  request.set_serializable(consistency == "s");
  if (auto sorted = set_sorting(arguments, request); !sorted) return sorted.error();
  return request;
}

Result<etcdserverpb::PutRequest> put_request(const Arguments& arguments,
                                             const std::function<std::string()>& read_value) {
  etcdserverpb::PutRequest request;
  request.set_key(arguments.operands.at(0));
  const auto lease = parse_lease(arguments.text("lease"));
  if (!lease) {
    return invalid("--lease takes a hexadecimal lease id, not \"" + arguments.text("lease") + "\"");
  }
  request.set_lease(*lease);
  request.set_prev_kv(arguments.is_set("prev-kv"));
  request.set_ignore_value(arguments.is_set("ignore-value"));
  request.set_ignore_lease(arguments.is_set("ignore-lease"));
  if (request.ignore_lease() && *lease != 0) {
    return invalid("--lease and --ignore-lease exclude each other");
  }
  if (request.ignore_value()) {
    if (arguments.operands.size() > 1)
      return invalid("VALUE and --ignore-value exclude each other");
  } else {
    request.set_value(arguments.operands.size() > 1 ? arguments.operands[1] : read_value());
  }
  return request;
}

Result<etcdserverpb::DeleteRangeRequest> delete_request(const Arguments& arguments) {
  auto range = key_range(arguments);
  if (!range) return range.error();
  etcdserverpb::DeleteRangeRequest request;
  request.set_key(range->key);
  request.set_range_end(range->range_end);
  request.set_prev_kv(arguments.is_set("prev-kv"));
  return request;
}

}  // namespace conclave::cli
