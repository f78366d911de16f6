// The worker threads. One fold at a time has the team; whoever comes meanwhile works alone.
//
// Beside PyTorch the team is OpenMP's, borrowed: its workers spin for a while after every parallel region, and a team
// of our own would fight them for the cores.
#pragma once

#include <dlfcn.h>
#include <pthread.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "engine.hpp"

namespace memfold {

inline void relax() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

// Spins for a moment, which is all that a step's end takes when every thread has a core, then gives way.
template <typename Done>
void wait_until(Done done) {
    for (int spins = 0; !done(); ++spins) spins < 128 ? relax() : std::this_thread::yield();
}

// A barrier for a fixed number of threads that come again and again.
class Barrier {
  public:
    void open_for(int threads) {
        threads_ = threads;
        waiting_.store(0, std::memory_order_relaxed);
    }

    void wait() {
        const unsigned round = round_.load(std::memory_order_acquire);
        if (waiting_.fetch_add(1, std::memory_order_acq_rel) + 1 == threads_) {
            waiting_.store(0, std::memory_order_relaxed);
            round_.store(round + 1, std::memory_order_release);
        } else {
            wait_until([&] { return round_.load(std::memory_order_acquire) != round; });
        }
    }

  private:
    int threads_ = 1;
    alignas(alignment) std::atomic<int> waiting_{0};
    alignas(alignment) std::atomic<unsigned> round_{0};
};

// A piece of work for `threads` threads, each of which is told which one it is.
struct Work {
    void (*run)(void* data, int thread, int threads);
    void* data;
};

// The library's own threads. They sleep between folds, after a short spin in case the next one comes at once, and live
// as long as the process.
class OwnThreads {
  public:
    void run(const Work& work, int threads) {
        const uint64_t round = (signal_.load(std::memory_order_relaxed) >> 16) + 1;
        for (; started_ < threads - 1; ++started_) {
            std::thread([this, index = started_ + 1, seen = signal_.load()] { serve(index, seen); }).detach();
        }
        work_ = work;
        left_.store(threads - 1, std::memory_order_relaxed);
        {
            const std::lock_guard lock(mutex_);
            signal_.store(round << 16 | uint64_t(threads), std::memory_order_release);
        }
        wake_.notify_all();
        work.run(work.data, 0, threads);
        wait_until([&] { return left_.load(std::memory_order_acquire) == 0; });
    }

  private:
    int started_ = 0;
    std::mutex mutex_;
    std::condition_variable wake_;
    // The round and how many threads it has, in one word: a thread that is not in a round must be able to tell without
    // looking at anything else, because nobody waits for it.
    std::atomic<uint64_t> signal_{0};
    std::atomic<int> left_{0};
    Work work_{};

    void serve(int index, uint64_t seen) {
        for (;;) {
            for (int spins = 0; spins < 5000 && signal_.load(std::memory_order_acquire) == seen; ++spins) relax();
            if (signal_.load(std::memory_order_acquire) == seen) {
                std::unique_lock lock(mutex_);
                wake_.wait(lock, [&] { return signal_.load(std::memory_order_acquire) != seen; });
            }
            seen = signal_.load(std::memory_order_acquire);
            const int threads = int(seen & 0xffff);
            if (index >= threads) continue;
            work_.run(work_.data, index, threads);
            left_.fetch_sub(1, std::memory_order_release);
        }
    }
};

// OpenMP's threads, by the entry points that the loaded run-time library shares with every compiler's code.
struct BorrowedThreads {
    void (*parallel)(void (*)(void*), void*, unsigned threads, unsigned flags);
    int (*thread_number)();
    int (*thread_count)();
    int (*inside)();

    // False when no OpenMP library is in the process.
    bool find() {
        const auto symbol = [](const char* name) { return dlsym(RTLD_DEFAULT, name); };
        parallel = reinterpret_cast<decltype(parallel)>(symbol("GOMP_parallel"));
        thread_number = reinterpret_cast<decltype(thread_number)>(symbol("omp_get_thread_num"));
        thread_count = reinterpret_cast<decltype(thread_count)>(symbol("omp_get_num_threads"));
        inside = reinterpret_cast<decltype(inside)>(symbol("omp_in_parallel"));
        return parallel && thread_number && thread_count && inside;
    }

    void run(Work work, int threads) const {
        struct Call {
            Work work;
            const BorrowedThreads* lender;
        } call{work, this};
        const auto enter = [](void* data) {
            const Call& c = *static_cast<Call*>(data);
            c.work.run(c.work.data, c.lender->thread_number(), c.lender->thread_count());
        };
        parallel(enter, &call, unsigned(threads), 0);
    }
};

class Team {
  public:
    // The team of this process. A forked child has a new one, because its parent's threads did not come with it; and it
    // never borrows, because OpenMP does not survive a fork.
    static Team& of_process() {
        static const int registered =
            (current_ = new Team(true), pthread_atfork(nullptr, nullptr, [] { current_ = new Team(false); }));
        (void)registered;
        return *current_;
    }

    // From now on OpenMP's threads do the work, if there are any and this process may have them.
    void borrow() {
        const std::lock_guard lock(mutex_);
        borrows_ = borrows_ || (may_borrow_ && lender_.find());
    }

    // Runs the work on at most `threads` threads. The work is told how many there are; it may be alone.
    void run(const Work& work, int threads) {
        std::unique_lock lock(mutex_, std::defer_lock);
        if (threads <= 1 || !lock.try_lock() || (borrows_ && lender_.inside())) {
            work.run(work.data, 0, 1);
        } else if (borrows_) {
            lender_.run(work, threads);
        } else {
            own_->run(work, threads);
        }
    }

  private:
    static inline Team* current_ = nullptr;
    const bool may_borrow_;
    std::mutex mutex_;
    OwnThreads* const own_ = new OwnThreads;  // never deleted: its threads may still be waking when the process ends
    BorrowedThreads lender_{};
    bool borrows_ = false;

    explicit Team(bool may_borrow) : may_borrow_(may_borrow) {}
};

}  // namespace memfold
