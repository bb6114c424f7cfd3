#pragma once

#include <filesystem>
#include <vector>

#include "conclave/base/result.h"

#include "tests/support/register_models.h"

namespace conclave::linearizability {

// Histories as files of others have them. Times are line numbers.

// Lines `INFO jepsen.util - PROCESS :TYPE :F VALUE`. A compare-and-set that fails has found another
// value; a read that fails did not happen; :info, or no end at all, is an unknown outcome.
Result<std::vector<test::Operation<test::RegisterModel>>> read_register_history(
    const std::filesystem::path& file);

// Lines `{:process N, :type :T, :f :F, :key "K", :value "V"}` with T invoke or ok.
Result<std::vector<test::Operation<test::TextModel>>> read_text_history(
    const std::filesystem::path& file);

}  // namespace conclave::linearizability
