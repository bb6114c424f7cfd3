#pragma once

#include <string>

#include "conclave/base/result.h"

namespace conclave::lmdb {

// Whether the pages of an LMDB data file make up sound trees. LMDB has no checksums of its own and
// trusts what it reads: a damaged page, followed, aborts the process or takes it outside the file.
//
// Caveats: what a record's value is must be checked by whoever reads it. Knows the format of LMDB
// 0.9 on 64-bit little-endian machines (lmdb's mdb.c: MDB_page, MDB_node, MDB_db, MDB_meta).
//
// Checks, of the newest state that the file holds: every page is what its place in a tree says,
// every node lies within its page, keys are in order, no page is used twice or is also free, and
// the counts are right. Blocks while all pages are looked at, some 0.1 s for 100 MB in the page
// cache. Nothing may write to the file meanwhile.
//
// Errc::corrupt, naming the page; Errc::refused: of another version; Errc::io.
Result<void> check_pages(const std::string& file);

}  // namespace conclave::lmdb
