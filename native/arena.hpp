// Arrays side by side in one piece of memory.
#pragma once

#include "engine.hpp"
#include "simd.hpp"

namespace memfold::MEMFOLD_ISA {

// Hands a piece of memory out from its start on, each array on a boundary of its own. Without memory it counts: whoever
// lays something out asks for the bytes first, and lays it out again where they are.
class Arena {
  public:
    explicit Arena(void* memory) : base_(reinterpret_cast<uintptr_t>(memory)) {}

    template <typename T>
    T* take(int64_t count) {
        const size_t here = bytes_;
        bytes_ += aligned(size_t(count) * sizeof(T));
        return reinterpret_cast<T*>(base_ + here);
    }

    size_t bytes() const { return bytes_; }

  private:
    const uintptr_t base_;
    size_t bytes_ = 0;
};

}  // namespace memfold::MEMFOLD_ISA
