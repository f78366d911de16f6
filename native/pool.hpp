// The threads that help whoever calls the engine.
//
// Nobody ever waits for a helper to come, nor for one that has lost its core: work lies there in pieces, whoever is
// awake takes them, and the caller goes on alone when nobody does. There are two kinds of work. A fold's is a *job*:
// helpers enter it, find out for themselves what there is to do, and leave; the caller leaves last. A stream's step is
// over in the time that it takes to wake a thread: its *parts* are bits in one word, and helpers stay awake between
// steps that follow each other closely.
//
// One caller at a time has the helpers; whoever comes meanwhile works alone, so that many calling threads never pile
// up. When threads lose their cores to somebody else's program again and again, callers work alone until other cores
// have been idle for a while; where the system does not tell, they try again, after a longer while each time.
//
// Beside PyTorch a job's helpers are OpenMP's threads, borrowed: they spin for a while after every parallel region of
// torch, and threads of our own would fight them for the cores.
#pragma once

#include <array>
#include <bit>
#include <exception>

#include "platform.hpp"
#include "threads.hpp"

namespace memfold {

// What a thread in a job is called with: its seat, 0 for the caller.
struct Job {
    void (*run)(void* data, int seat);
    void* data;
};

// A stream's step: what a thread that has taken a part is called with.
struct Parts {
    void (*run)(void* data, int part, int parts);
    void* data;
};

// OpenMP's threads, by the entry points that the loaded run-time library shares with every compiler's code.
struct Lender {
    void (*parallel)(void (*)(void*), void*, unsigned threads, unsigned flags);
    int (*thread_number)();
    int (*inside)();

    // False when no OpenMP library is in the process, or one without these: LLVM's has them on Linux only.
    bool find() {
        parallel = reinterpret_cast<decltype(parallel)>(loaded_function("GOMP_parallel"));
        thread_number = reinterpret_cast<decltype(thread_number)>(loaded_function("omp_get_thread_num"));
        inside = reinterpret_cast<decltype(inside)>(loaded_function("omp_in_parallel"));
        return parallel && thread_number && inside;
    }
};

class Pool {
  public:
    static constexpr int most_threads = 64;

    // The pool of this process. A forked child has a new one, because its parent's threads did not come with it, whose
    // own threads start when they are first needed; and it never borrows, because OpenMP does not survive a fork.
    static Pool& of_process() {
        static const int registered =
            (current_ = new Pool(true), in_forked_children([] { current_ = new Pool(false); }), 0);
        (void)registered;
        return *current_;
    }

    // How many threads may work on a stream's step, the caller among them; 1 until somebody says.
    static void set_step_threads(int threads) {
        step_threads_.store(std::min(threads, most_threads), std::memory_order_relaxed);
    }

    // Whether callers that want this many threads work alone, since other programs have the cores.
    bool works_alone(int threads) {
        if (taken_.exchange(true, std::memory_order_acquire)) return false;
        const bool alone = alone_until_ != Time{} && !is_free_again(threads);
        taken_.store(false, std::memory_order_release);
        return alone;
    }

    // For tests: callers ask for helpers however busy the machine is.
    static void ask_always() { asks_always_.store(true, std::memory_order_relaxed); }

    // From now on OpenMP's threads are a job's helpers, if there are any and this process may have them.
    void borrow() {
        Lender lender{};
        if (may_borrow_ && lender.find()) borrow(lender);
    }
    void borrow(const Lender& lender) {
        wait_for_turn();
        lender_ = lender;
        borrows_ = true;
        taken_.store(false, std::memory_order_release);
    }

    // Starts the helpers that a step in so many parts can have, so that no step needs to, and none allocates.
    void start(int parts) {
        const int threads = std::min(step_threads_.load(std::memory_order_relaxed), parts);
        if (threads <= 1) return;
        wait_for_turn();
        start_helpers(threads);
        taken_.store(false, std::memory_order_release);
    }

    // A caller's hold of the helpers for a fold.
    class Turn {
      public:
        // For work that this many threads are worth.
        explicit Turn(int threads) : pool_(of_process()), threads_(pool_.enter(threads)) {}
        Turn(const Turn&) = delete;
        ~Turn() {
            if (threads_ > 1) pool_.leave();
        }

        // How many may come, the caller among them; 1 when it is alone.
        int threads() const { return threads_; }

        // Enters the job together with whoever comes, and returns when all have left.
        void run(const Job& job, int threads) const {
            if (std::min(threads, threads_) > 1 && !pool_.busy()) {
                pool_.run(job, std::min(threads, threads_));
            } else {
                job.run(job.data, 0);
            }
        }

        // Whether a thread of this turn has lost its core: helpers leave then, and the caller goes on alone.
        bool busy() const { return threads_ > 1 && pool_.busy(); }

        // Waits until done(), which the thread in that seat brings about.
        template <typename Done>
        void await(int seat, Done done) const {
            if (!pool_.seats()[seat].wait(done, seat != 0)) pool_.busy_.store(true, std::memory_order_relaxed);
        }

        // To be called when the thread in this seat has done something that another one waits for.
        void came(int seat) const {
            if (threads_ > 1) pool_.seats()[seat].came();
        }

      private:
        Pool& pool_;
        const int threads_;
    };

    // A stream's hold of the helpers for one step.
    class Step {
      public:
        // For a step whose work is in `parts` parts at most.
        explicit Step(int parts) : pool_(parts > 1 && of_process().enter_step(parts) ? current_ : nullptr) {}
        Step(const Step&) = delete;
        ~Step() {
            if (pool_) pool_->leave_step();
        }

        // Runs every part of the work, which is told the part and how many there are; it is one when working alone.
        void run(const Parts& work, int parts) const {
            if (pool_ && parts > 1) {
                pool_->run(work, parts);
            } else {
                work.run(work.data, 0, 1);
            }
        }

      private:
        Pool* const pool_;
    };

  private:
    using Bits = uint64_t;  // a set of parts
    using Time = Clock::time_point;

    // How long a helper stays awake with nothing to do, and so how far apart steps may be that follow each other
    // closely.
    static constexpr Clock::duration longest_pause = std::chrono::microseconds(50);
    // How long a stream has been stepping before it wakes helpers, which take about 50 µs to come. After a call the
    // next one waits twice as long, because helpers that go back to sleep have no core; after a pause half as long.
    static constexpr Clock::duration first_call = std::chrono::microseconds(100), last_call = 64 * first_call;
    // Two losses of a core no further apart than this are no accident: callers work alone then, and look this often
    // whether other cores are free; or try for themselves, after twice as long each time.
    static constexpr Clock::duration watch = std::chrono::milliseconds(50), last_alone = 64 * watch;
    // What OpenMP takes longer for than this, to begin a region or to end it, is the loss of a core too.
    static constexpr Clock::duration slow_region = std::chrono::microseconds(500);
    // How much of a core may be taken and still count as free.
    static constexpr double free_enough = 0.3;
    // Parts of a work so long that helpers may still come in the middle of it. Shorter work is not divided for nobody.
    static constexpr int worth_a_call = 16;

    // A thread that works in jobs: one of our own, or one borrowed.
    struct Seat : Awaited {
        std::atomic<bool> inside{false};  // a job, or about to find out that it is over
        std::atomic<uint64_t> last{0};    // the job that it was in
    };
    using Seats = std::array<Seat, most_threads>;

    // How one of our own sleeps.
    struct alignas(alignment) Bed {
        std::atomic<bool> asleep{true};
        std::mutex mutex;
        std::condition_variable wake;
    };

    static inline Pool* current_ = nullptr;
    static inline std::atomic<int> step_threads_{1};
    static inline std::atomic<bool> asks_always_{false};

    const bool may_borrow_;
    bool borrows_ = false;
    Lender lender_{};

    // The job that is open to helpers, 0 for none: its number, how many threads it has and whether they are borrowed,
    // in one word. A thread that is not in a job must be able to tell without looking at anything else, because nobody
    // waits for it.
    alignas(alignment) std::atomic<uint64_t> open_{0};
    Job job_{};
    static uint64_t open_word(uint64_t number, int threads, bool borrowed) {
        return number << 8 | uint64_t(threads) << 1 | uint64_t(borrowed);
    }
    static int threads_of(uint64_t open) { return int(open >> 1 & 127); }
    static bool is_borrowed(uint64_t open) { return open & 1; }

    // The parts of a step that nobody has taken, and what they are parts of. Taking a part is clearing its bit; whoever
    // comes late finds it cleared, or takes a part of the next work.
    alignas(alignment) std::atomic<Bits> left_{0};
    Parts work_{};
    int parts_ = 0;
    // How many parts the helpers have finished.
    alignas(alignment) std::atomic<int> finished_{0};

    // Whether a thread of this turn has lost its core.
    alignas(alignment) std::atomic<bool> busy_{false};
    // Where the caller was when it woke the helpers, and the cores that it may use, which are theirs too.
    std::atomic<int> callers_core_{-1};
    std::mutex callers_mutex_;
    Cores callers_cores_{};
    // Borrowed threads whose job has nothing left for them on a busy machine sleep until it is over.
    std::mutex rest_mutex_;
    std::condition_variable over_;

    // What follows belongs to the caller whose turn it is.
    alignas(alignment) std::atomic<bool> taken_{false};
    uint64_t jobs_ = 0;
    bool borrowed_now_ = false;
    int threads_at_hand_ = 1, started_ = 0;
    Time last_step_{}, next_call_{}, next_start_{}, last_loss_{}, alone_until_{};
    Clock::duration patience_{first_call}, alone_{watch};
    // How long the cores in reach had been idle at some time, and helpers at work.
    Time watched_since_{};
    double idle_then_ = 0, helped_then_ = 0;
    // The first of each is the caller's.
    Seats own_seats_{}, lent_seats_{};
    std::array<Bed, most_threads> beds_{};

    explicit Pool(bool may_borrow) : may_borrow_(may_borrow) {}

    // Threads prefer every n-th part, so that the weights of each part stay in the cache of one core.
    static constexpr auto every = [] {
        std::array<Bits, most_threads + 1> result{};
        for (int n = 1; n <= most_threads; ++n) {
            for (int part = 0; part < most_step_parts; part += n) result[size_t(n)] |= Bits(1) << part;
        }
        return result;
    }();

    bool busy() const { return busy_.load(std::memory_order_relaxed); }
    Seats& seats() { return borrowed_now_ ? lent_seats_ : own_seats_; }

    void wait_for_turn() {
        while (taken_.exchange(true, std::memory_order_acquire)) std::this_thread::yield();
    }

    // Takes the turn for this many threads. False when another caller has it, or the machine is busy.
    bool take_turn(int threads) {
        if (taken_.exchange(true, std::memory_order_acquire)) return false;
        if (alone_until_ == Time{} || is_free_again(threads)) return true;
        taken_.store(false, std::memory_order_release);
        return false;
    }

    void end_turn() {
        if (busy_.load(std::memory_order_relaxed)) {
            busy_.store(false, std::memory_order_relaxed);
            const Time now = Clock::now();
            if (now - last_loss_ < 2 * watch && !asks_always_.load(std::memory_order_relaxed)) work_alone(now);
            last_loss_ = now;
        }
        taken_.store(false, std::memory_order_release);
    }

    // From now on until the other cores are free again.
    void work_alone(Time now) {
        watched_since_ = now;
        idle_then_ = idle_seconds();
        helped_then_ = helpers_seconds();
        alone_ = idle_then_ >= 0 ? watch : std::min(2 * alone_, last_alone);
        alone_until_ = now + alone_;
    }

    bool is_free_again(int threads) {
        const Time now = Clock::now();
        if (now < alone_until_) return false;
        const double idle = idle_seconds();
        if (idle >= 0 && idle_then_ >= 0) {
            const double passed = std::chrono::duration<double>(now - watched_since_).count();
            // Of the time that helpers took some may be torch's, who wait for work in them.
            const double free = (idle - idle_then_ + helpers_seconds() - helped_then_) / passed;
            if (free < threads - 1 - free_enough) {
                work_alone(now);
                return false;
            }
        }
        alone_until_ = {};
        return true;
    }

    // What all helpers have had of the processors.
    double helpers_seconds() const {
        int64_t sum = 0;
        for (const Seats* seats : {&own_seats_, &lent_seats_}) {
            for (size_t seat = 1; seat < seats->size(); ++seat) {
                sum += std::max<int64_t>((*seats)[seat].progress(), 0);
            }
        }
        return double(sum) * 1e-9;
    }

    // ---- Jobs

    int enter(int threads) {
        threads = std::min({threads, most_threads, threads > 1 ? Core::in_reach() : 1});
        if (threads <= 1 || !take_turn(threads)) return 1;
        borrowed_now_ = borrows_;
        if (borrowed_now_ && lender_.inside()) {
            end_turn();
            return 1;
        }
        // Each calling thread borrows others.
        if (seats()[0].is_caller() && borrowed_now_) {
            for (Seat& seat : lent_seats_) seat.is_unknown();
            seats()[0].is_caller();
        }
        return threads;
    }

    void leave() { end_turn(); }

    void run(const Job& job, int threads) {
        job_ = job;
        const uint64_t open = open_word(++jobs_, threads, borrowed_now_);
        open_.store(open, std::memory_order_seq_cst);
        if (borrowed_now_) {
            struct Region {
                Pool& pool;
                const uint64_t open;
                Clock::duration inside{};  // of the caller
            } region{*this, open};
            const auto enter = [](void* data) {
                Region& r = *static_cast<Region*>(data);
                const int seat = r.pool.lender_.thread_number();
                if (seat != 0) return r.pool.help_borrowed(seat, r.open);
                const Time begin = Clock::now();
                r.pool.work_in_job(r.open);
                r.inside = Clock::now() - begin;
            };
            const Time begin = Clock::now();
            lender_.parallel(enter, &region, unsigned(threads), 0);
            if (Clock::now() - begin - region.inside > slow_region) busy_.store(true, std::memory_order_relaxed);
        } else {
            wake_helpers(threads);
            work_in_job(open);
        }
    }

    // The caller's part of a job.
    void work_in_job(uint64_t open) {
        job_.run(job_.data, 0);
        open_.store(0, std::memory_order_seq_cst);
        if (busy()) {
            const std::lock_guard lock(rest_mutex_);
            over_.notify_all();
        }
        for (int seat = 1; seat < threads_of(open); ++seat) {
            Seat& helper = seats()[size_t(seat)];
            // OpenMP waits for every thread of its region, where nobody would notice that one has no core.
            const auto gone = [&] {
                return !helper.inside.load(std::memory_order_seq_cst) &&
                       (!is_borrowed(open) || helper.last.load(std::memory_order_relaxed) == open);
            };
            if (!helper.wait(gone)) busy_.store(true, std::memory_order_relaxed);
        }
    }

    // A helper's part of the job, if it is still open.
    void help(Seat& seat, int number, uint64_t open) {
        seat.inside.store(true, std::memory_order_seq_cst);
        seat.last.store(open, std::memory_order_relaxed);
        if (open_.load(std::memory_order_seq_cst) == open) job_.run(job_.data, number);
        seat.inside.store(false, std::memory_order_seq_cst);
        seat.came();
    }

    void help_borrowed(int number, uint64_t open) {
        if (number >= most_threads) return;
        Seat& seat = lent_seats_[size_t(number)];
        seat.is_caller();
        help(seat, number, open);
        if (!busy()) return;
        // OpenMP would let it spin until the caller comes, on a core that others need.
        std::unique_lock lock(rest_mutex_);
        over_.wait(lock, [&] { return open_.load(std::memory_order_relaxed) != open; });
    }

    // ---- Steps

    bool enter_step(int parts) {
        const int threads = std::min(step_threads_.load(std::memory_order_relaxed), parts);
        if (threads <= 1 || !take_turn(threads)) return false;
        threads_at_hand_ = threads;
        if (sleepers() > 0) {
            const auto now = Clock::now();
            if (now - last_step_ > longest_pause) {
                patience_ = std::max(patience_ / 2, first_call);
                next_call_ = now + patience_;
            }
        }
        return true;
    }

    void leave_step() {
        if (sleepers() > 0) last_step_ = Clock::now();
        end_turn();
    }

    // A part for this thread, one that it prefers if there is any; -1 when none is left.
    int take(int index) {
        const Bits preferred = every[size_t(step_threads_.load(std::memory_order_relaxed))] << index;
        for (Bits left; (left = left_.load(std::memory_order_relaxed)) != 0;) {
            const int part = std::countr_zero(left & preferred ? left & preferred : left);
            const Bits bit = Bits(1) << part;
            if (left_.fetch_and(~bit, std::memory_order_acq_rel) & bit) return part;
        }
        return -1;
    }

    void run(const Parts& work, int parts) {
        if (parts < worth_a_call && sleepers() == threads_at_hand_ - 1 && Clock::now() < next_call_) {
            return work.run(work.data, 0, 1);
        }
        work_ = work;
        parts_ = parts;
        // The caller has taken the first part already.
        left_.store(~Bits(0) >> (most_step_parts - parts) & ~Bits(1), std::memory_order_release);
        int own = 0;
        for (int part = 0; part >= 0; part = take(0)) {
            work.run(work.data, part, parts);
            ++own;
            if (sleepers() > 0 && Clock::now() > next_call_) {
                wake_helpers(threads_at_hand_);
                patience_ = std::min(2 * patience_, last_call);
                next_call_ = Clock::now() + patience_;
            }
        }
        const auto done = [&] { return finished_.load(std::memory_order_acquire) == parts - own; };
        for (int seat = 1; seat < threads_at_hand_ && !done(); ++seat) {
            Seat& helper = own_seats_[size_t(seat)];
            const auto over = [&] { return done() || !helper.inside.load(std::memory_order_acquire); };
            if (!helper.wait(over)) busy_.store(true, std::memory_order_relaxed);
        }
        while (!done()) relax();
        finished_.store(0, std::memory_order_relaxed);
    }

    // ---- Our own threads

    bool sleeps(int index) const {
        return index > started_ || beds_[size_t(index)].asleep.load(std::memory_order_relaxed);
    }

    int sleepers() const {
        int count = 0;
        for (int index = 1; index < threads_at_hand_; ++index) count += sleeps(index);
        return count;
    }

    // As many as make up this number of threads, or as the system has: where it has no more, those that are there do.
    // They start by going to sleep.
    void start_helpers(int threads) {
        if (started_ >= threads - 1 || Clock::now() < next_start_) return;
        try {
            for (; started_ < threads - 1; ++started_) {
                std::thread([this, index = started_ + 1] { serve(index); }).detach();
            }
        } catch (const std::exception&) {  // no thread, or no memory for one
            next_start_ = Clock::now() + std::chrono::seconds(1);
        }
    }

    void wake_helpers(int threads) {
        threads = std::min(threads, Core::in_reach());
        start_helpers(threads);
        for (int index = 1; index < threads; ++index) {
            if (!sleeps(index)) continue;
            callers_core_.store(Core::here(), std::memory_order_relaxed);
            {
                const std::lock_guard lock(callers_mutex_);
                callers_cores_ = Cores::of_caller();
            }
            Bed& bed = beds_[size_t(index)];
            {
                const std::lock_guard lock(bed.mutex);
                bed.asleep.store(false, std::memory_order_relaxed);
            }
            bed.wake.notify_one();
        }
    }

    // Until woken. A helper stays on the caller's cores, but for the one that the caller is on, where it would only
    // keep it from working: the system sometimes puts it there although another core is idle.
    void sleep(int index, Cores& kept) {
        Bed& bed = beds_[size_t(index)];
        {
            std::unique_lock lock(bed.mutex);
            bed.asleep.store(true, std::memory_order_relaxed);
            bed.wake.wait(lock, [&] { return !bed.asleep.load(std::memory_order_relaxed); });
        }
        Cores cores;
        {
            const std::lock_guard lock(callers_mutex_);
            cores = callers_cores_;
        }
        const int callers = callers_core_.load(std::memory_order_relaxed);
        if (callers >= 0 && Core::here() == callers) cores = cores.without(callers);
        if (!(cores == kept)) cores.keep_caller();
        kept = cores;
    }

    void serve(int index) {
        Seat& seat = own_seats_[size_t(index)];
        seat.is_caller();
        Cores kept{};
        sleep(index, kept);
        auto last_work = Clock::now();
        for (int spins = 1;; ++spins) {
            const uint64_t open = open_.load(std::memory_order_acquire);
            if (open != 0 && !is_borrowed(open) && index < threads_of(open) &&
                open != seat.last.load(std::memory_order_relaxed)) {
                help(seat, index, open);
                last_work = Clock::now();
                continue;
            }
            if (left_.load(std::memory_order_relaxed) != 0 && index < step_threads_.load(std::memory_order_relaxed)) {
                help_with_step(seat, index);
                last_work = Clock::now();
                continue;
            }
            if (!busy() && (spins % 32 != 0 || Clock::now() - last_work < longest_pause)) {
                relax();
            } else {
                seat.came();
                sleep(index, kept);
                last_work = Clock::now();
            }
        }
    }

    void help_with_step(Seat& seat, int index) {
        seat.inside.store(true, std::memory_order_seq_cst);
        for (int part; (part = take(index)) >= 0;) {
            work_.run(work_.data, part, parts_);
            finished_.fetch_add(1, std::memory_order_release);
        }
        seat.inside.store(false, std::memory_order_release);
        seat.came();
    }
};

}  // namespace memfold
