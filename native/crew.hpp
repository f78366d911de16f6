// The threads that help with a step of a stream. A step is over in the time that it takes to wake a thread, so nobody
// ever waits for a helper to come: the work lies there in parts, whoever is awake takes one after the other, and so
// does the caller, who then waits only for parts that are being worked on.
//
// Helpers stay awake for a moment after a step. They are woken when the caller has been stepping for a while without a
// pause: a stream that takes a short step now and then runs alone and keeps no core busy. Where the other cores are
// taken by somebody else, the caller soon stops calling.
#pragma once

#if defined(__linux__)
#include <sched.h>
#include <unistd.h>
#endif

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>

#include "team.hpp"

namespace memfold {

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

    // Keeps the calling thread from this core, and from no other that the process may use. Does nothing when that is
    // its only one.
    static void avoid([[maybe_unused]] int core) {
#if defined(__linux__)
        cpu_set_t cores;
        if (sched_getaffinity(getpid(), sizeof cores, &cores) != 0) return;
        CPU_CLR(core, &cores);
        sched_setaffinity(0, sizeof cores, &cores);  // refuses an empty set
#endif
    }
};

class Crew {
  public:
    static constexpr int most_threads = 16;

    // The crew of this process. A forked child has a new one, whose threads start when they are first woken.
    static Crew& of_process() {
        static const int registered =
            (current_ = new Crew, pthread_atfork(nullptr, nullptr, [] { current_ = new Crew; }));
        (void)registered;
        return *current_;
    }

    // How many threads may work on a step, the caller among them; 1 until somebody says.
    static void set_threads(int threads) { threads_.store(std::min(threads, most_threads), std::memory_order_relaxed); }

    // Starts the helpers that a step in so many parts can have, so that no step needs to, and none allocates. Waits
    // for a step that is under way.
    static void start(int parts) {
        const int threads = std::min(threads_.load(std::memory_order_relaxed), parts);
        if (threads <= 1) return;
        Crew& crew = of_process();
        wait_until([&] { return !crew.taken_.exchange(true, std::memory_order_acquire); });
        crew.start_helpers(threads);
        crew.taken_.store(false, std::memory_order_release);
    }

    // A step's hold of the crew. Whoever finds it taken works alone.
    class Turn {
      public:
        // For a step whose work is in `parts` parts at most.
        explicit Turn(int parts) : crew_(parts > 1 && of_process().enter(parts) ? current_ : nullptr) {}
        Turn(const Turn&) = delete;
        ~Turn() {
            if (crew_) crew_->leave();
        }

        // Runs every part of the work, which is told the part and how many there are; it is one when working alone.
        void run(const Work& work, int parts) const {
            if (crew_ && parts > 1) {
                crew_->run(work, parts);
            } else {
                work.run(work.data, 0, 1);
            }
        }

      private:
        Crew* const crew_;
    };

  private:
    using Clock = std::chrono::steady_clock;
    using Parts = uint64_t;  // a set of them, one bit each

    // How long a helper stays awake with nothing to do, and so how far apart steps may be that follow each other
    // closely.
    static constexpr Clock::duration longest_pause = std::chrono::microseconds(50);
    // How long the caller has been stepping before it wakes helpers, which take about 50 µs to come. After a call the
    // next one waits twice as long, because helpers that go back to sleep have no core; after a pause half as long.
    static constexpr Clock::duration first_call = std::chrono::microseconds(100), last_call = 64 * first_call;

    // Parts of a work so long that helpers may still come in the middle of it. Shorter work is not divided for nobody.
    static constexpr int worth_a_call = 16;

    struct alignas(alignment) Helper {
        std::atomic<bool> asleep{true};
        std::mutex mutex;
        std::condition_variable wake;
    };

    static inline Crew* current_ = nullptr;
    static inline std::atomic<int> threads_{1};

    // The parts that nobody has taken, and what they are parts of. Taking a part is clearing its bit; whoever comes
    // late finds it cleared, or takes a part of the next work.
    alignas(alignment) std::atomic<Parts> left_{0};
    Work work_{};
    int parts_ = 0;
    // How many parts the helpers have finished.
    alignas(alignment) std::atomic<int> finished_{0};

    // Where the caller was when it woke the helpers.
    std::atomic<int> callers_core_{-1};

    // What follows belongs to the caller whose turn it is.
    alignas(alignment) std::atomic<bool> taken_{false};
    int threads_at_hand_ = 1, started_ = 0;
    Clock::time_point last_step_{}, next_call_{}, alone_until_{};
    Clock::duration patience_{first_call};
    Helper helpers_[most_threads];  // the first is the caller and stays unused

    // Threads prefer every n-th part, so that the weights of each part stay in the cache of one core.
    static constexpr auto every = [] {
        std::array<Parts, most_threads + 1> result{};
        for (int n = 1; n <= most_threads; ++n) {
            for (int part = 0; part < most_step_parts; part += n) result[size_t(n)] |= Parts(1) << part;
        }
        return result;
    }();

    bool enter(int parts) {
        const int threads = std::min(threads_.load(std::memory_order_relaxed), parts);
        if (threads <= 1 || taken_.exchange(true, std::memory_order_acquire)) return false;
        threads_at_hand_ = threads;
        if (alone_until_ != Clock::time_point{}) {
            if (Clock::now() < alone_until_) {
                taken_.store(false, std::memory_order_release);
                return false;
            }
            alone_until_ = {};
        }
        if (sleepers() > 0) {
            const auto now = Clock::now();
            if (now - last_step_ > longest_pause) {
                patience_ = std::max(patience_ / 2, first_call);
                next_call_ = now + patience_;
            }
        }
        return true;
    }

    void leave() {
        if (sleepers() > 0) last_step_ = Clock::now();
        taken_.store(false, std::memory_order_release);
    }

    bool sleeps(int index) const { return index > started_ || helpers_[index].asleep.load(std::memory_order_relaxed); }

    int sleepers() const {
        int count = 0;
        for (int index = 1; index < threads_at_hand_; ++index) count += sleeps(index);
        return count;
    }

    // As many as make up this number of threads. They start by going to sleep.
    void start_helpers(int threads) {
        for (; started_ < threads - 1; ++started_) {
            std::thread([this, index = started_ + 1] { serve(index); }).detach();
        }
    }

    void wake_helpers() {
        start_helpers(threads_at_hand_);
        callers_core_.store(Core::here(), std::memory_order_relaxed);
        for (int index = 1; index < threads_at_hand_; ++index) {
            if (!sleeps(index)) continue;
            Helper& helper = helpers_[index];
            {
                const std::lock_guard lock(helper.mutex);
                helper.asleep.store(false, std::memory_order_relaxed);
            }
            helper.wake.notify_one();
        }
        patience_ = std::min(2 * patience_, last_call);
        next_call_ = Clock::now() + patience_;
    }

    // A part for this thread, one that it prefers if there is any; -1 when none is left.
    int take(int index) {
        const Parts preferred = every[size_t(threads_.load(std::memory_order_relaxed))] << index;
        for (Parts left; (left = left_.load(std::memory_order_relaxed)) != 0;) {
            const int part = std::countr_zero(left & preferred ? left & preferred : left);
            const Parts bit = Parts(1) << part;
            if (left_.fetch_and(~bit, std::memory_order_acq_rel) & bit) return part;
        }
        return -1;
    }

    void run(const Work& work, int parts) {
        const auto begin = Clock::now();
        if (parts < worth_a_call && begin < next_call_ && sleepers() == threads_at_hand_ - 1) {
            return work.run(work.data, 0, 1);
        }
        work_ = work;
        parts_ = parts;
        // The caller has taken the first part already.
        left_.store(~Parts(0) >> (most_step_parts - parts) & ~Parts(1), std::memory_order_release);
        int own = 0;
        for (int part = 0; part >= 0; part = take(0)) {
            work.run(work.data, part, parts);
            ++own;
            if (sleepers() > 0 && Clock::now() > next_call_) wake_helpers();
        }
        const auto done = [&] { return finished_.load(std::memory_order_acquire) == parts - own; };
        for (int spins = 0; spins < 128 && !done(); ++spins) relax();
        if (!done()) {
            const auto end = Clock::now();
            wait_until(done);
            // Somebody else needs a helper's core. Ten times what it cost passes until the next attempt.
            const auto waited = Clock::now() - end;
            if (waited > end - begin) alone_until_ = end + 10 * waited;
        }
        finished_.store(0, std::memory_order_relaxed);
    }

    // Until woken on another core than the caller's, which the helper would only keep from working. The system
    // sometimes puts it there although another core is idle.
    void sleep(int index) {
        Helper& self = helpers_[index];
        for (;;) {
            std::unique_lock lock(self.mutex);
            self.asleep.store(true, std::memory_order_relaxed);
            self.wake.wait(lock, [&] { return !self.asleep.load(std::memory_order_relaxed); });
            lock.unlock();
            const int callers = callers_core_.load(std::memory_order_relaxed);
            if (callers < 0 || Core::here() != callers) return;
            Core::avoid(callers);
            if (Core::here() != callers) return;
        }
    }

    void serve(int index) {
        sleep(index);
        auto last_part = Clock::now();
        for (int spins = 1;; ++spins) {
            const int part = index < threads_.load(std::memory_order_relaxed) ? take(index) : -1;
            if (part >= 0) {
                work_.run(work_.data, part, parts_);
                finished_.fetch_add(1, std::memory_order_release);
                last_part = Clock::now();
            } else if (spins % 32 != 0 || Clock::now() - last_part < longest_pause) {
                relax();
            } else {
                sleep(index);
                last_part = Clock::now();
            }
        }
    }
};

}  // namespace memfold
