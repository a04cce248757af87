// Large blocks of memory, kept between calls: fresh pages cost more than many a kernel. Blocks are
// aligned to huge pages and ask for them.
#pragma once

#include <cstddef>

namespace longspan {

class Workspace {
 public:
  explicit Workspace(std::size_t bytes);
  ~Workspace();
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  char* data() const { return data_; }

 private:
  std::size_t size_;
  char* data_;
};

}  // namespace longspan
