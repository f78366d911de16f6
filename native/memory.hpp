// Memory for weights and for the work of a call.
//
// What a call gives back is kept for the next one: the system would take back memory of this size, and hand it out anew
// a small page at a time, which can take as long as the call.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "engine.hpp"

namespace memfold {

// Blocks that were given back, of some megabytes in all.
class Kept {
  public:
    struct Block {
        void* memory = nullptr;
        size_t bytes = 0;
    };

    static Kept& of_process() {
        static Kept* const kept = new Kept;  // never deleted: a thread may give back when the process ends
        return *kept;
    }

    // One of at least this size and not much more, the smallest that there is; none when there is none.
    Block take(size_t bytes) {
        const std::lock_guard lock(mutex_);
        Block* found = nullptr;
        for (Block& block : blocks_) {
            const bool fits = block.bytes >= bytes && block.bytes / 2 <= bytes;
            if (fits && (!found || block.bytes < found->bytes)) found = &block;
        }
        if (!found) return {};
        const Block taken = *found;
        *found = {};
        total_ -= taken.bytes;
        return taken;
    }

    // Keeps the block, in place of the one that was given back longest ago when there are too many; returns what is to
    // be freed.
    Block give_back(Block block) {
        if (block.bytes > most_bytes / 2) return block;
        const std::lock_guard lock(mutex_);
        Block& place = blocks_[next_];
        const Block old = place;
        if (total_ - old.bytes + block.bytes > most_bytes) return block;
        place = block;
        total_ += block.bytes - old.bytes;
        next_ = (next_ + 1) % most_blocks;
        return old;
    }

  private:
    static constexpr size_t most_blocks = 8, most_bytes = size_t(64) << 20;

    std::mutex mutex_;
    Block blocks_[most_blocks];
    size_t next_ = 0, total_ = 0;
};

inline constexpr size_t large_page = size_t(2) << 20;

inline std::align_val_t boundary_of(size_t bytes) {
    return std::align_val_t(bytes < large_page ? alignment : large_page);
}

struct GiveBack {
    size_t bytes = 0;

    void operator()(void* memory) const {
        Kept::Block freed{memory, bytes};
        if (bytes >= worth_keeping) freed = Kept::of_process().give_back(freed);
        if (freed.memory) ::operator delete(freed.memory, boundary_of(freed.bytes));
    }

    static constexpr size_t worth_keeping = size_t(64) << 10;  // what is smaller the system keeps too
};

using Memory = std::unique_ptr<void, GiveBack>;

// Memory with any content. From two megabytes on it is asked for in pages of that size: small ones cost a fault each,
// and a miss whenever the processor has forgotten where one is.
inline Memory allocate(size_t bytes) {
    if (bytes >= GiveBack::worth_keeping) {
        if (const auto kept = Kept::of_process().take(bytes); kept.memory) return {kept.memory, GiveBack{kept.bytes}};
    }
    const auto boundary = boundary_of(bytes);
    Memory memory(::operator new(bytes, boundary), GiveBack{bytes});
#if defined(__linux__)
    if (bytes >= large_page) madvise(memory.get(), bytes, MADV_HUGEPAGE);
#endif
    return memory;
}

}  // namespace memfold
