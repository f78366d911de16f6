// The crew without the engine: who runs a step's parts, and how often. Run by hand under the sanitizers (make
// sanitize).
#include "crew.hpp"

#include <cstdio>
#include <iterator>
#include <vector>

namespace {

using namespace memfold;
using Clock = std::chrono::steady_clock;

constexpr int most = 20, enough = 100;
int failures = 0;

void check(bool good, const char* what) {
    if (good) return;
    ++failures;
    std::printf("FAILED: %s\n", what);
}

// How often each twentieth of the work was run, and how often by another thread than the caller's.
struct Seen {
    std::atomic<int> times[most] = {};
    std::atomic<int> by_helpers{0};
    const std::thread::id caller = std::this_thread::get_id();

    // One step, each of whose parts takes some microseconds.
    void step(int parts) {
        const Crew::Turn turn(parts);
        const auto run = [](void* data, int part, int parts) {
            Seen& seen = *static_cast<Seen*>(data);
            for (int p = part * most / parts; p < (part + 1) * most / parts; ++p) ++seen.times[p];
            for (const auto end = Clock::now() + std::chrono::microseconds(5); Clock::now() < end;) relax();
            seen.by_helpers += std::this_thread::get_id() != seen.caller;
        };
        turn.run({run, this}, parts);
    }

    bool each(int steps) const {
        return std::all_of(std::begin(times), std::end(times), [&](int count) { return count == steps; });
    }
};

void test_one_thread() {
    Crew::set_threads(1);
    Seen seen;
    for (int step = 0; step < 200; ++step) seen.step(most);
    check(seen.each(200) && seen.by_helpers == 0, "one thread is the caller's");
}

// Helpers come when a core is free for them: on a busy machine that is not sure, so it is told and not required.
void test_helpers() {
    Crew::set_threads(3);
    Crew::start(most);
    Seen seen;
    int steps = 0;
    for (const auto give_up = Clock::now() + std::chrono::seconds(5);
         steps < enough || (seen.by_helpers < enough && Clock::now() < give_up); ++steps) {
        seen.step(1 + steps % most);
    }
    check(seen.each(steps), "every part is run once");
    std::printf("helpers ran %d parts in %d steps\n", seen.by_helpers.load(), steps);
}

void test_many_callers() {
    std::vector<std::thread> callers;
    std::atomic<int> wrong{0};
    for (int caller = 0; caller < 4; ++caller) {
        callers.emplace_back([&] {
            Seen seen;
            for (int step = 0; step < 300; ++step) seen.step(most);
            wrong += !seen.each(300);
        });
    }
    for (auto& caller : callers) caller.join();
    check(wrong == 0, "every part of every caller is run once");
}

}  // namespace

int main() {
    test_one_thread();
    test_helpers();
    test_many_callers();
    std::printf("crew: %s\n", failures == 0 ? "right" : "wrong");
    return failures == 0 ? 0 : 1;
}
