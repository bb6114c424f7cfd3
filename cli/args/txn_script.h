#pragma once

#include <istream>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "conclave/api/rpc.pb.h"
#include "conclave/base/result.h"

namespace conclave::cli {

// One line cut into words as etcdctl does: blanks separate, quotes keep together. Within double
// quotes the escapes \n \t \r \\ \" \xNN hold. Errc::invalid_argument: a quote is not closed, or an
// unknown escape.
Result<std::vector<std::string>> split_words(std::string_view line);

// `value("key") = "text"`, `version("key") > "0"`; targets value (val), version (ver), create (c),
// mod (m) and lease; relations = != < >.
Result<etcdserverpb::Compare> parse_compare(std::string_view line);

// `put KEY VALUE`, `get KEY [END]`, `del KEY [END]`, each with the flags of the command of that
// name.
Result<etcdserverpb::RequestOp> parse_operation(std::string_view line);

// Compares, an empty line, operations if they hold, an empty line, operations if not, an empty
// line. With `prompts`, says on it what is to come next. Errc::invalid_argument names the line that
// is wrong, or says that the input ends before the last empty line.
Result<etcdserverpb::TxnRequest> read_txn(std::istream& input, std::ostream* prompts);

}  // namespace conclave::cli
