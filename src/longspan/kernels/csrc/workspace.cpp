#include "workspace.h"

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <new>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace longspan {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;
// What is kept when nobody uses it, at most.
constexpr std::size_t kMostKept = std::size_t{1} << 30;

struct Block {
  char* data;
  std::size_t size;
};

struct Pool {
  std::mutex lock;
  std::vector<Block> free;
  std::size_t kept = 0;
};

// Never destroyed: a workspace may outlive every static object.
Pool& pool() {
  static Pool* const shared = new Pool;
  return *shared;
}

// Sizes come in steps of an eighth of a power of two, so that batches of slightly different
// lengths find each other's blocks.
std::size_t rounded(std::size_t bytes) {
  std::size_t step = 4096;
  while (step * 8 < bytes) step *= 2;
  return (std::max<std::size_t>(bytes, 1) + step - 1) / step * step;
}

char* allocate(std::size_t size) {
  const std::size_t unit = size >= kHugePage ? kHugePage : 64;
  void* data = std::aligned_alloc(unit, (size + unit - 1) / unit * unit);
  if (!data) throw std::bad_alloc();
#if defined(__linux__)
  if (size >= kHugePage) madvise(data, size, MADV_HUGEPAGE);
#endif
  return static_cast<char*>(data);
}

}  // namespace

Workspace::Workspace(std::size_t bytes) : size_(rounded(bytes)), data_(nullptr) {
  Pool& shared = pool();
  {
    const std::lock_guard<std::mutex> held(shared.lock);
    // The newest first: its pages are likeliest to be in the cache.
    for (std::size_t k = shared.free.size(); k-- > 0;) {
      if (shared.free[k].size != size_) continue;
      data_ = shared.free[k].data;
      shared.kept -= size_;
      shared.free.erase(shared.free.begin() + static_cast<std::ptrdiff_t>(k));
      return;
    }
  }
  data_ = allocate(size_);
}

Workspace::~Workspace() {
  Pool& shared = pool();
  const std::lock_guard<std::mutex> held(shared.lock);
  shared.free.push_back({data_, size_});
  shared.kept += size_;
  while (shared.kept > kMostKept) {  // the oldest goes first
    shared.kept -= shared.free.front().size;
    std::free(shared.free.front().data);
    shared.free.erase(shared.free.begin());
  }
}

}  // namespace longspan
