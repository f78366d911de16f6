// Threads and their cores: how many are in reach, how to wait for a thread, and what to do when it has lost its core to
// somebody else's program. Then waiting costs a time slice of the system, some milliseconds, where the work that is
// waited for takes microseconds.
//
// Linux tells what a thread has had of a processor, so a thread that stands still is found within microseconds; and it
// lets the waiting thread lend its own core: the other is moved there, the waiting one sleeps until it is done, and
// both go on. Elsewhere waiting is giving way.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <thread>

#if defined(__linux__)
#include <fcntl.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#endif

#include "engine.hpp"

namespace memfold {

using Clock = std::chrono::steady_clock;

inline void relax() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

// Where threads run, as far as the system tells.
class Core {
  public:
    // The one that the calling thread runs on, -1 when unknown.
    static int here() {
#if defined(__linux__)
        return sched_getcpu();
#else
        return -1;
#endif
    }

    // How many the calling thread may use.
    static int in_reach() {
#if defined(__linux__)
        cpu_set_t cores;
        if (sched_getaffinity(0, sizeof cores, &cores) == 0) return std::max(1, CPU_COUNT(&cores));
#endif
        return std::max(1, int(std::thread::hardware_concurrency()));
    }
};

// A set of cores; empty where the system has no such thing.
class Cores {
  public:
#if defined(__linux__)
    // Those that the calling thread may use.
    static Cores of_caller() {
        Cores cores;
        if (!cores.read(0)) CPU_ZERO(&cores.set_);
        return cores;
    }

    // Those of a thread, 0 for the calling one. False, and nothing read, when there is none of this number.
    bool read(int thread) { return sched_getaffinity(thread, sizeof set_, &set_) == 0; }

    Cores without(int core) const {
        Cores rest = *this;
        if (core >= 0) CPU_CLR(core, &rest.set_);
        return rest;
    }

    bool operator==(const Cores& other) const { return CPU_EQUAL(&set_, &other.set_); }

    // Keeps the calling thread on these cores. Does nothing when there are none.
    void keep_caller() const {
        if (CPU_COUNT(&set_) > 0) sched_setaffinity(0, sizeof set_, &set_);
    }

  private:
    cpu_set_t set_{};
#else
    static Cores of_caller() { return {}; }
    Cores without(int) const { return {}; }
    bool operator==(const Cores&) const { return true; }
    void keep_caller() const {}
#endif
};

// How long the cores that the calling thread may use have been idle, all together, in seconds; -1 where the system does
// not tell. Counted in hundredths of a second.
inline double idle_seconds() {
#if defined(__linux__)
    cpu_set_t cores;
    const int file = open("/proc/stat", O_RDONLY | O_CLOEXEC);
    if (file < 0) return -1;
    char text[1 << 15];
    const ssize_t length = read(file, text, sizeof text - 1);
    close(file);
    if (length <= 0 || sched_getaffinity(0, sizeof cores, &cores) != 0) return -1;
    text[length] = 0;
    unsigned long long ticks = 0;
    bool found = false;
    // A line a core: cpu0, then the time in user, nice, system, idle, iowait and more.
    for (const char* line = text; std::strncmp(line, "cpu", 3) == 0;) {
        int core;
        unsigned long long idle, waiting;
        const int read = std::sscanf(line, "cpu%d %*u %*u %*u %llu %llu", &core, &idle, &waiting);
        if (read == 3 && core < CPU_SETSIZE && CPU_ISSET(core, &cores)) ticks += idle + waiting, found = true;
        line = std::strchr(line, '\n');
        if (!line) break;
        ++line;
    }
    return found ? double(ticks) / double(sysconf(_SC_CLK_TCK)) : -1;
#else
    return -1;
#endif
}

// A thread that others wait for. Each stands in memory of its own, because its neighbours look at theirs all the time.
class alignas(alignment) Awaited {
  public:
    // The calling thread is it, from now on. False when it has been before.
    bool is_caller() {
#if defined(__linux__)
        const int caller = int(syscall(SYS_gettid));
        return thread_.exchange(caller, std::memory_order_relaxed) != caller;
#else
        return false;
#endif
    }

    // From now on until it is known, it is waited for in patience.
    void is_unknown() { thread_.store(0, std::memory_order_relaxed); }

    // Waits until done(), which this thread brings about. False when it had lost its core: it was lent the caller's,
    // unless it is somebody else's thread, for which the caller makes way.
    template <typename Done>
    bool wait(Done done, bool is_ours = true) {
        for (int spins = 0; spins < at_once; ++spins) {
            if (done()) return true;
            relax();
        }
        bool kept_its_core = true;
        Progress before = progress();
        auto since = Clock::now();
        while (!done()) {
            for (int spins = 0; spins < between && !done(); ++spins) relax();
            const Progress now = progress();
            if (now < 0) std::this_thread::yield();
            if (now < 0 || now != before) {
                before = now;
                since = Clock::now();
                continue;
            }
            if (done() || Clock::now() - since < accident) continue;
            kept_its_core = false;
            if (is_ours) lend();
            std::unique_lock lock(mutex_);
            sleepers_.fetch_add(1);
            if (!done()) came_.wait_until(lock, std::chrono::system_clock::now() + longest_sleep);
            sleepers_.fetch_sub(1);
        }
        return kept_its_core;
    }

    // To be called by the thread itself when it has done something that is waited for: wakes those who sleep, and gives
    // a lent core back.
    void came() {
        if (sleepers_.load(std::memory_order_relaxed) > 0 || lent_.load(std::memory_order_relaxed)) wake();
    }

    using Progress = int64_t;

    // Nanoseconds that the thread has had of a processor; -1 where the system does not tell.
    Progress progress() const {
#if defined(__linux__)
        const int thread = thread_.load(std::memory_order_relaxed);
        timespec time;
        // The clock of a thread by its number, as the C library makes it for its own threads: 4 means of one thread,
        // 2 what the scheduler counts.
        if (thread > 0 && clock_gettime(clockid_t(~unsigned(thread) << 3 | 4 | 2), &time) == 0) {
            return int64_t(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
        }
#endif
        return -1;
    }

  private:
    // Spins before the first look at the thread, some ten microseconds, and between two looks.
    static constexpr int at_once = 1024, between = 512;
    // The system itself takes a core for a moment now and then, which is no reason to do anything.
    static constexpr auto accident = std::chrono::microseconds(250);
    // A thread may come without seeing that somebody went to sleep just then.
    static constexpr auto longest_sleep = std::chrono::microseconds(500);

    std::atomic<int> thread_{0}, sleepers_{0};
    std::atomic<bool> lent_{false};
    std::mutex mutex_;
    std::condition_variable came_;
    Cores own_;  // while a core is lent

    void lend() {
#if defined(__linux__)
        const int thread = thread_.load(std::memory_order_relaxed), core = Core::here();
        if (thread <= 0 || core < 0 || syscall(SYS_tgkill, getpid(), thread, 0) != 0) return;
        const std::lock_guard lock(mutex_);
        cpu_set_t this_one;
        CPU_ZERO(&this_one);
        CPU_SET(core, &this_one);
        if (!lent_.load(std::memory_order_relaxed) && !own_.read(thread)) return;
        if (sched_setaffinity(thread, sizeof this_one, &this_one) == 0) lent_.store(true, std::memory_order_relaxed);
#endif
    }

    void wake() {
        Cores own;
        {
            const std::lock_guard lock(mutex_);
            if (lent_.load(std::memory_order_relaxed)) own = own_;
            lent_.store(false, std::memory_order_relaxed);
        }
        came_.notify_all();
        // Away from the lender's core, which the system would leave to both.
        own.without(Core::here()).keep_caller();
        own.keep_caller();
    }
};

}  // namespace memfold
