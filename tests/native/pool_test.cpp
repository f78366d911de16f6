// The pool and its chains without the engine: who does what, and how often, while threads come and go. Run
// under the sanitizers (.ci/run, make sanitize).
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <system_error>
#include <vector>

#include "chains.hpp"

#if defined(__unix__)
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#endif

namespace {

using namespace memfold;

constexpr int most = 20, enough = 100;
std::atomic<int> failures{0};

void check(bool good, const char* what) {
    if (good) return;
    ++failures;
    std::printf("FAILED: %s\n", what);
}

void spin(std::chrono::microseconds time) {
    for (const auto end = Clock::now() + time; Clock::now() < end;) relax();
}

// A lender such as OpenMP's: as many threads as asked for run the same, and the caller waits for all of them.
namespace lender {

thread_local int number = 0;

void parallel(void (*run)(void*), void* data, unsigned threads, unsigned) {
    std::vector<std::thread> others;
    for (unsigned k = 1; k < threads; ++k) {
        others.emplace_back([=] {
            number = int(k);
            run(data);
        });
    }
    run(data);
    for (auto& other : others) other.join();
}

int thread_number() { return number; }
int inside() { return number != 0; }

}  // namespace lender

// ---- Steps of a stream

// How often each twentieth of the work was run, and how often by another thread than the caller's.
struct Seen {
    std::atomic<int> times[most] = {};
    std::atomic<int> by_helpers{0};
    const std::thread::id caller = std::this_thread::get_id();

    // One step, each of whose parts takes some microseconds.
    void step(int parts) {
        const Pool::Step together(parts);
        const auto run = [](void* data, int part, int parts) {
            Seen& seen = *static_cast<Seen*>(data);
            for (int p = part * most / parts; p < (part + 1) * most / parts; ++p) ++seen.times[p];
            spin(std::chrono::microseconds(5));
            seen.by_helpers += std::this_thread::get_id() != seen.caller;
        };
        together.run({run, this}, parts);
    }

    bool each(int steps) const {
        return std::all_of(std::begin(times), std::end(times), [&](int count) { return count == steps; });
    }
};

void test_one_thread() {
    Pool::set_step_threads(1);
    Seen seen;
    for (int step = 0; step < 200; ++step) seen.step(most);
    check(seen.each(200) && seen.by_helpers == 0, "one thread is the caller's");
}

// Helpers come when a core is free for them: on a busy machine that is not sure, so it is printed and not required.
void test_steps() {
    Pool::set_step_threads(3);
    Pool::of_process().start(most);
    Seen seen;
    int steps = 0;
    for (const auto give_up = Clock::now() + std::chrono::seconds(5);
         steps < enough || (seen.by_helpers < enough && Clock::now() < give_up); ++steps) {
        seen.step(1 + steps % most);
    }
    check(seen.each(steps), "every part is run once");
    std::printf("helpers ran %d parts in %d steps\n", seen.by_helpers.load(), steps);
}

// ---- Chains

// A step of a block adds up what all shares of the step before left, as a cell's hidden product does: a step begun too
// early, or taken twice, shows in every later one.
struct Blocks {
    static constexpr int units = 12;

    struct Block {
        int64_t steps = 0;
        uint64_t state[2][units] = {};
        std::atomic<int> ended[units] = {};
    };

    std::vector<Block> blocks;
    std::chrono::microseconds work{0};
    std::atomic<int> by_helpers{0};
    std::thread::id caller = std::this_thread::get_id();

    Blocks(int count, int64_t steps) : blocks(size_t(count)) {
        for (size_t b = 0; b < blocks.size(); ++b) {
            blocks[b].steps = steps + int64_t(b);
            for (int u = 0; u < units; ++u) blocks[b].state[0][u] = b * 7 + uint64_t(u);
        }
    }

    static int64_t stretch(const void* data, const Span& span, const Meeting& meeting) {
        Blocks& own = *static_cast<Blocks*>(const_cast<void*>(data));
        Block& block = own.blocks[size_t(span.block)];
        const int first = units * span.share / span.shares, end = units * (span.share + 1) / span.shares;
        own.by_helpers += std::this_thread::get_id() != own.caller;
        if (span.from == 0 && span.shares > 1) meeting.meet(meeting.place);
        int64_t s = span.from;
        while (s < span.to) {
            const uint64_t* const before = block.state[s % 2];
            uint64_t* const after = block.state[(s + 1) % 2];
            for (int u = first; u < end; ++u) {
                uint64_t sum = uint64_t(s);
                for (int k = 0; k < units; ++k) sum = sum * 31 + before[k];
                after[u] = sum + uint64_t(u);
            }
            if (own.work.count() > 0) spin(own.work * (end - first) / units);
            if (++s < block.steps && meeting.meet && !meeting.meet(meeting.place)) return s;
        }
        for (int u = first; s == block.steps && u < end; ++u) ++block.ended[u];
        return s;
    }

    // Everything that was computed, and whether every unit came to its end once.
    std::vector<uint64_t> result(bool& once) const {
        std::vector<uint64_t> values;
        for (const Block& block : blocks) {
            const uint64_t* const last = block.state[block.steps % 2];
            values.insert(values.end(), last, last + units);
            for (const auto& count : block.ended) once = once && count == 1;
        }
        return values;
    }
};

std::vector<uint64_t> chained(int count, int shares, int64_t steps, int threads, bool& once,
                              std::chrono::microseconds work = std::chrono::microseconds(0),
                              int* by_helpers = nullptr) {
    Blocks blocks(count, steps);
    blocks.work = work;
    {
        const Pool::Turn turn(threads);
        const Plan plan{count, turn.threads() > 1 ? shares : 1, 0, 3};
        const auto length = [&](int block) { return blocks.blocks[size_t(block)].steps; };
        Chains(turn, plan, 1, length, Blocks::stretch, &blocks).run();
    }
    if (by_helpers) *by_helpers += blocks.by_helpers;
    return blocks.result(once);
}

// All plans, with as many helpers as come, who are made to come late and to lose their cores.
void test_chains(const char* whose) {
    bool once = true, same = true;
    int by_helpers = 0;
    for (int round = 0; round < 12; ++round) {
        for (const int count : {1, 2, 3}) {
            for (const int shares : {1, 2, 3}) {
                for (const int64_t steps : {0, 1, 2, 50}) {
                    const auto alone = chained(count, shares, steps, 1, once);
                    const auto work = std::chrono::microseconds(round % 3 * 10);
                    same = same && chained(count, shares, steps, 4, once, work, &by_helpers) == alone;
                }
            }
        }
    }
    check(once, "every unit of every block ends once");
    check(same, "what is computed does not depend on who is there");
    std::printf("%s helpers ran %d stretches\n", whose, by_helpers);
}

// More threads that spin than there are cores: helpers and callers lose theirs all the time.
void test_busy(const char* whose) {
    std::atomic<bool> over{false};
    std::vector<std::thread> spinners;
    for (int k = 0; k < Core::in_reach(); ++k) {
        spinners.emplace_back([&] {
            while (!over) relax();
        });
    }
    bool once = true, same = true;
    for (const int shares : {1, 3}) {
        const auto alone = chained(2, shares, 300, 1, once);
        for (int round = 0; round < 20; ++round) {
            same = same && chained(2, shares, 300, 4, once, std::chrono::microseconds(20)) == alone;
        }
    }
    over = true;
    for (auto& spinner : spinners) spinner.join();
    check(once && same, whose);
}

void test_many_callers() {
    std::vector<std::thread> callers;
    std::atomic<int> wrong{0};
    for (int caller = 0; caller < 4; ++caller) {
        callers.emplace_back([&, caller] {
            Seen seen;
            bool once = true;
            const auto alone = chained(2, 2, 40, 1, once);
            for (int step = 0; step < 300; ++step) {
                seen.step(most);
                if (step % 10 == caller) wrong += chained(2, 2, 40, 3, once) != alone;
            }
            wrong += !seen.each(300) || !once;
        });
    }
    for (auto& caller : callers) caller.join();
    check(wrong == 0, "every caller gets what it gets alone");
}

// A system that gives no thread: nobody waits for one, and nobody keeps the turn.
void test_no_threads() {
#if defined(__GLIBC__)
    pthread_attr_t usual, huge;
    pthread_getattr_default_np(&usual);
    pthread_attr_init(&huge);
    pthread_attr_setstacksize(&huge, size_t(1) << 46);  // for which there is no room
    pthread_setattr_default_np(&huge);
    bool fails = false;
    try {
        std::thread([] {}).join();
    } catch (const std::system_error&) {
        fails = true;
    }
    check(fails, "threads cannot be started");
    Pool::set_step_threads(3);
    Pool::of_process().start(most);
    Seen seen;
    for (int step = 0; step < enough; ++step) seen.step(most);
    check(seen.each(enough) && seen.by_helpers == 0, "without a thread to help the caller runs every part");
    bool once = true;
    const auto alone = chained(2, 2, 40, 1, once);
    check(chained(2, 2, 40, 3, once) == alone && once, "and every stretch");
    pthread_setattr_default_np(&usual);
    std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // after which it is tried again
#endif
}

#if defined(__unix__)
// Signals that come all the time, to whichever thread.
void test_signals() {
    struct sigaction action{};
    action.sa_handler = [](int) {};
    sigaction(SIGALRM, &action, nullptr);
    std::atomic<bool> over{false};
    std::thread sender([&] {
        while (!over) {
            kill(getpid(), SIGALRM);
            std::this_thread::sleep_for(std::chrono::microseconds(200));
        }
    });
    test_chains("interrupted");
    over = true;
    sender.join();
}

// A child made in the middle of its parent's work has a pool of its own; a process that ends in the middle of a job
// ends.
void test_fork_and_end() {
    std::fflush(stdout);
    for (const bool in_the_middle : {false, true}) {
        std::atomic<bool> over{false};
        std::thread busy([&] {
            bool once = true;
            while (!over) chained(2, 2, 50, 3, once);
        });
        const pid_t child = fork();
        if (child == 0) {
            bool once = true;
            const auto alone = chained(2, 2, 50, 1, once);
            const bool right = chained(2, 2, 50, 3, once) == alone && once;
            if (!in_the_middle) _exit(right ? 0 : 1);
            std::thread([] {
                bool once = true;
                for (;;) chained(2, 2, 50, 3, once);
            }).detach();
            spin(std::chrono::milliseconds(20));
            std::exit(right ? 0 : 1);
        }
        over = true;
        busy.join();
        int status = 1;
        waitpid(child, &status, 0);
        check(status == 0, "a forked child has a pool of its own, and ends in the middle of a job");
    }
}
#endif

}  // namespace

// With any argument the test of fork is left out, as qemu's user mode and the thread sanitizer require. With two that
// of a thread's stack without end is, too: qemu gives one, and takes all memory to keep account of it.
int main([[maybe_unused]] int count, char**) {
    test_one_thread();
    if (count < 3) test_no_threads();
    test_steps();
    Pool::ask_always();
    test_chains("own");
    test_busy("own helpers that lose their cores change nothing");
    test_many_callers();
#if defined(__unix__)
    test_signals();
    if (count == 1) test_fork_and_end();
#endif
    Pool::of_process().borrow({lender::parallel, lender::thread_number, lender::inside});
    test_chains("borrowed");
    test_busy("borrowed helpers that lose their cores change nothing");
    test_many_callers();
    std::printf("pool: %s\n", failures == 0 ? "right" : "wrong");
    return failures == 0 ? 0 : 1;
}
