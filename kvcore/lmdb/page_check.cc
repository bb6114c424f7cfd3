#include "conclave/lmdb/page_check.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "conclave/lmdb/handles.h"

namespace conclave::lmdb {
namespace {

constexpr std::uint32_t kMagic = 0xBEEFC0DE;
constexpr std::uint32_t kVersion = 1;
constexpr std::uint32_t kPageBytesMin = 512;
constexpr std::uint32_t kPageBytesMax = 65536;
constexpr std::size_t kPageHeaderBytes = 16;
constexpr std::size_t kNodeHeaderBytes = 8;
constexpr std::uint64_t kNoPage = ~std::uint64_t{0};  // the root of an empty tree
constexpr std::size_t kDepthMax = 32;
constexpr std::uint64_t kFirstPage = 2;  // behind the two metas

enum PageFlags : std::uint16_t { kBranch = 1, kLeaf = 2, kOverflow = 4, kMeta = 8 };
enum NodeFlags : std::uint16_t { kBigData = 1, kSubTree = 2 };
// Of trees: how they are ordered and what lies in them. The free list's flags hold others beside.
enum TreeFlags : std::uint16_t { kIntegerKey = 8, kAllOrders = 0x7e };

struct PageHeader {
  std::uint64_t number;
  std::uint16_t pad;
  std::uint16_t flags;
  std::uint16_t lower;  // end of the nodes' offsets
  std::uint16_t upper;  // begin of the nodes
};
// Of overflow pages: how many they are, a number of 32 bits, instead of the bounds.
constexpr std::size_t kOverflowCountAt = offsetof(PageHeader, lower);

struct Tree {
  std::uint32_t pad;  // of the first one in a meta: the size of a page
  std::uint16_t flags;
  std::uint16_t depth;
  std::uint64_t branch_pages;
  std::uint64_t leaf_pages;
  std::uint64_t overflow_pages;
  std::uint64_t entries;
  std::uint64_t root;
};

struct Meta {
  std::uint32_t magic;
  std::uint32_t version;
  std::uint64_t address;
  std::uint64_t map_bytes;
  Tree free;
  Tree main;
  std::uint64_t last_page;
  std::uint64_t transaction;
};

struct Node {
  std::uint16_t low;
  std::uint16_t high;
  std::uint16_t flags;
  std::uint16_t key_bytes;

  std::uint64_t data_bytes() const { return low | std::uint64_t{high} << 16; }
  std::uint64_t child() const { return data_bytes() | std::uint64_t{flags} << 32; }
};

static_assert(sizeof(PageHeader) == kPageHeaderBytes && sizeof(Node) == kNodeHeaderBytes);
static_assert(sizeof(Tree) == 48 && sizeof(Meta) == 136);

template <class T>
T read_at(std::string_view bytes, std::uint64_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

class Checker {
 public:
  explicit Checker(std::string_view file) : file_(file) {}

  // A store, but in a format that is not known here; of a single meta that would be damage.
  bool is_of_another_version() const {
    const std::optional<Meta> first = meta_at(0);
    if (!first || first->version == kVersion) return false;
    const std::optional<Meta> second = meta_at(first->free.pad);
    return second && second->version == first->version;
  }

  // What is wrong, if anything is.
  std::optional<std::string> check() {
    const std::optional<Meta> meta = newest_meta();
    if (!meta) return "its first pages are no beginning of a store";
    page_bytes_ = meta->free.pad;
    last_page_ = meta->last_page;
    used_.resize(file_.size() / page_bytes_);
    walk(meta->main, Kind::main);
    walk(meta->free, Kind::free);
    // Of pages that were left before they were written the file may lack the last ones.
    std::uint64_t pages = used_.size();
    for (const std::uint64_t page : free_) {
      if (page >= used_.size() && page <= last_page_) {
        ++pages;
      } else {
        claim(page, "free page");
      }
    }
    if (last_page_ >= pages) fail(last_page_, "it is said to be the last one, and there are fewer");
    return wrong_;
  }

 private:
  enum class Kind : std::uint8_t { main, table, free };

  // A tree on the way through it.
  struct Walk {
    Kind kind;
    std::uint64_t branch_pages = 0;
    std::uint64_t leaf_pages = 0;
    std::uint64_t overflow_pages = 0;
    std::uint64_t entries = 0;
    std::string_view previous{};  // the last key seen
    std::string_view bound{};     // no later key is below
    bool any = false;
  };

  std::optional<Meta> meta_at(std::uint64_t offset) const {
    if (file_.size() < offset + kPageHeaderBytes + sizeof(Meta)) return std::nullopt;
    const auto meta = read_at<Meta>(file_, offset + kPageHeaderBytes);
    const bool is_meta = (read_at<PageHeader>(file_, offset).flags & kMeta) != 0;
    if (!is_meta || meta.magic != kMagic) return std::nullopt;
    return meta;
  }

  std::optional<Meta> newest_meta() const {
    const std::optional<Meta> first = meta_at(0);
    if (!first || first->free.pad < kPageBytesMin || first->free.pad > kPageBytesMax) return {};
    const std::optional<Meta> second = meta_at(first->free.pad);
    if (!second || second->free.pad != first->free.pad) return {};
    if (first->version != kVersion || second->version != kVersion) return {};
    return first->transaction < second->transaction ? second : first;
  }

  bool fail(std::uint64_t page, const std::string& what) {
    if (!wrong_) wrong_ = "page " + std::to_string(page) + ": " + what;
    return false;
  }

  // Each page has one place.
  bool claim(std::uint64_t page, const char* as) {
    if (page < kFirstPage || page > last_page_ || page >= used_.size()) {
      return fail(page, std::string("no such ") + as);
    }
    if (used_[page]) return fail(page, std::string("used twice, as a ") + as);
    used_[page] = true;
    return true;
  }

  std::optional<std::string_view> claim_content(std::uint64_t page, std::uint64_t pages,
                                                std::uint16_t flags) {
    for (std::uint64_t i = 0; i < pages; ++i) {
      if (!claim(page + i, flags == kOverflow ? "value's page" : "tree's page")) return {};
    }
    const std::string_view bytes = file_.substr(page * page_bytes_, pages * page_bytes_);
    const auto header = read_at<PageHeader>(bytes, 0);
    if (header.number != page || header.flags != flags) {
      fail(page, "another kind of page than its place says");
      return {};
    }
    return bytes;
  }

  bool walk(const Tree& tree, Kind kind) {
    if (tree.root == kNoPage) return tree.entries == 0 || fail(tree.root, "entries without a tree");
    if (tree.depth == 0 || tree.depth > kDepthMax) return fail(tree.root, "a tree of no depth");
    const bool is_ordered =
        kind == Kind::free ? (tree.flags & kAllOrders) == kIntegerKey : tree.flags == 0;
    if (!is_ordered) return fail(tree.root, "a tree in another order");
    Walk walk{.kind = kind};
    if (!walk_page(walk, tree.root, tree.depth)) return false;
    const bool is_counted = walk.entries == tree.entries && walk.leaf_pages == tree.leaf_pages &&
                            walk.branch_pages == tree.branch_pages &&
                            walk.overflow_pages == tree.overflow_pages;
    return is_counted || fail(tree.root, "its tree has other counts than it says");
  }

  bool walk_page(Walk& walk, std::uint64_t page, std::size_t depth) {
    const bool is_leaf = depth == 1;
    const auto bytes = claim_content(page, 1, is_leaf ? kLeaf : kBranch);
    if (!bytes) return false;
    ++(is_leaf ? walk.leaf_pages : walk.branch_pages);
    const auto header = read_at<PageHeader>(*bytes, 0);
    const bool is_sound = header.lower >= kPageHeaderBytes && header.lower % 2 == 0 &&
                          header.lower <= header.upper && header.upper <= page_bytes_;
    if (!is_sound) return fail(page, "bounds that cannot be");
    const std::size_t nodes = (header.lower - kPageHeaderBytes) / 2;
    if (!is_leaf && nodes < (walk.kind == Kind::free ? 1U : 2U)) return fail(page, "no branches");
    for (std::size_t i = 0; i < nodes; ++i) {
      const auto at = read_at<std::uint16_t>(*bytes, kPageHeaderBytes + 2 * i);
      if (at < header.upper || at + kNodeHeaderBytes > page_bytes_) {
        return fail(page, "a node outside of it");
      }
      const auto node = read_at<Node>(*bytes, at);
      if (at + kNodeHeaderBytes + node.key_bytes > page_bytes_) {
        return fail(page, "a key that is too long");
      }
      const std::string_view rest = bytes->substr(at + kNodeHeaderBytes);
      const std::string_view key = rest.substr(0, node.key_bytes);
      const bool is_good = is_leaf ? leaf_node(walk, page, node, key, rest.substr(node.key_bytes))
                                   : branch_node(walk, page, depth, node, key, i == 0);
      if (!is_good) return false;
    }
    return true;
  }

  static bool is_before(const Walk& walk, std::string_view left, std::string_view right) {
    if (walk.kind != Kind::free) return left < right;
    if (left.size() != 8 || right.size() != 8) return false;
    return read_at<std::uint64_t>(left, 0) < read_at<std::uint64_t>(right, 0);
  }

  // The first branch has no key: everything that is lower goes there.
  bool branch_node(Walk& walk, std::uint64_t page, std::size_t depth, const Node& node,
                   std::string_view key, bool is_first) {
    if (!is_first) {
      if (walk.any && !is_before(walk, walk.previous, key)) return fail(page, "keys out of order");
      walk.bound = key;
    }
    return walk_page(walk, node.child(), depth - 1);
  }

  bool leaf_node(Walk& walk, std::uint64_t page, const Node& node, std::string_view key,
                 std::string_view rest) {
    const bool is_low = !walk.bound.empty() && is_before(walk, key, walk.bound);
    if (is_low || (walk.any && !is_before(walk, walk.previous, key))) {
      return fail(page, "keys out of order");
    }
    if (walk.kind == Kind::free && key.size() != 8) return fail(page, "no transaction's number");
    walk.previous = key;
    walk.any = true;
    ++walk.entries;
    const std::optional<std::string_view> data = data_of(walk, page, node, rest);
    if (!data) return false;
    if (walk.kind == Kind::free) return note_free(page, *data);
    const bool is_table = (node.flags & kSubTree) != 0;
    if (is_table != (walk.kind == Kind::main)) return fail(page, "a table out of its place");
    if (!is_table) return true;
    if (data->size() != sizeof(Tree)) return fail(page, "no tree");
    return this->walk(read_at<Tree>(*data, 0), Kind::table);
  }

  std::optional<std::string_view> data_of(Walk& walk, std::uint64_t page, const Node& node,
                                          std::string_view rest) {
    const std::uint64_t size = node.data_bytes();
    const bool is_known = (node.flags & ~(kBigData | kSubTree)) == 0;
    const bool is_big = (node.flags & kBigData) != 0;
    if (!is_known || rest.size() < (is_big ? sizeof(std::uint64_t) : size)) {
      fail(page, "a value that cannot be");
      return {};
    }
    if (!is_big) return rest.substr(0, size);
    const auto first = read_at<std::uint64_t>(rest, 0);
    const std::uint64_t pages = overflow_pages_at(first);
    // A value that is replaced by a shorter one in the same transaction keeps its pages.
    if (pages < (kPageHeaderBytes - 1 + size) / page_bytes_ + 1) {
      fail(first, "a value beyond its pages");
      return {};
    }
    const auto content = claim_content(first, pages, kOverflow);
    if (!content) return {};
    walk.overflow_pages += pages;
    return content->substr(kPageHeaderBytes, size);
  }

  std::uint64_t overflow_pages_at(std::uint64_t page) const {
    if (page >= used_.size()) return 0;
    return read_at<std::uint32_t>(file_, page * page_bytes_ + kOverflowCountAt);
  }

  // A count, and the numbers of as many pages.
  bool note_free(std::uint64_t page, std::string_view list) {
    if (list.size() < 8) return fail(page, "a list that is cut short");
    const auto count = read_at<std::uint64_t>(list, 0);
    if (count > list.size() / 8 - 1) return fail(page, "a list that is cut short");
    for (std::uint64_t i = 1; i <= count; ++i) free_.push_back(read_at<std::uint64_t>(list, 8 * i));
    return true;
  }

  const std::string_view file_;
  std::uint64_t page_bytes_ = 0;
  std::uint64_t last_page_ = 0;
  std::vector<bool> used_;
  std::vector<std::uint64_t> free_;
  std::optional<std::string> wrong_;
};

struct Unmap {
  std::size_t size;
  void operator()(void* bytes) const { ::munmap(bytes, size); }
};

}  // namespace

Result<void> check_pages(const std::string& file) {
  const Descriptor descriptor(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status {};
  if (descriptor.get() < 0 || ::fstat(descriptor.get(), &status) != 0) {
    return system_error("cannot open", file);
  }
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size == 0) return {};
  void* bytes = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor.get(), 0);
  if (bytes == MAP_FAILED) return system_error("cannot map", file);
  const std::unique_ptr<void, Unmap> mapped(bytes, Unmap{size});
  Checker checker({static_cast<const char*>(bytes), size});
  if (checker.is_of_another_version()) {
    return Error{Errc::refused, file + " was written by another version of LMDB"};
  }
  const std::optional<std::string> wrong = checker.check();
  if (wrong) return Error{Errc::corrupt, file + " is damaged, " + *wrong};
  return {};
}

}  // namespace conclave::lmdb
