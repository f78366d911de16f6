// The blocks of a fold as chains of steps, and the threads that go along them.
//
// A chain has one leader at a time. Where a step is worth dividing, others join it: then the hidden units are shared
// among those present, who meet after every step. Who is present changes between two steps only, and only the leader
// decides it: it takes in whoever waits, and goes on alone as soon as a thread has lost its core. Where a step is not
// divided, a helper leads a chain of its own, and leaves it to the caller where the caller has nothing else to do.
//
// What a step computes does not depend on how its units are shared, so the result keeps its bits.
#pragma once

#include <memory>

#include "pool.hpp"

namespace memfold {

class Chains {
  public:
    // A stretch of one chain for one thread: returns the step that comes next.
    using Stretch = int64_t (*)(const void* data, const Span&, const Meeting&);

    // As many chains as the plan has blocks in all directions. `steps(block)` is how many one has.
    template <typename Steps>
    Chains(const Pool::Turn& turn, const Plan& plan, int directions, const Steps& steps, Stretch stretch,
           const void* data)
        : turn_(turn),
          plan_(plan),
          count_(plan.blocks * directions),
          chains_(new Chain[size_t(count_)]),
          members_(new Member[size_t(count_ * plan.shares)]),
          slots_(new Slot[size_t(count_ * plan.shares)]),
          stretch_(stretch),
          data_(data) {
        for (int block = 0; block < count_; ++block) chain(block).steps = steps(block);
    }

    void run() {
        const auto enter = [](void* chains, int seat) { static_cast<Chains*>(chains)->work(seat); };
        turn_.run({enter, this}, count_ * plan_.shares);
    }

  private:
    static constexpr int nobody = -1;

    // Where a thread stands that goes along a chain with its leader. A leader takes those who are ready, then tells
    // them what is theirs, and they are present.
    enum State : int { absent, coming, ready, taken, present };

    struct alignas(alignment) Member {
        std::atomic<int> state{absent};
        int seat = 0, share = 0;
    };

    // Where the thread with one share of the units tells the others how far it is.
    struct alignas(alignment) Slot {
        // Twice the number of the meeting; and 1 of a leader who ends the stretch there.
        std::atomic<uint64_t> arrived{0};
        int seat = 0;
    };

    struct alignas(alignment) Chain {
        std::atomic<int> leader{nobody};
        std::atomic<bool> done{false};
        alignas(alignment) std::atomic<int> waiting{0};  // members that are ready
        std::atomic<bool> wanted{false};                 // by the caller
        // The leader writes what follows between two stretches; its members read it.
        alignas(alignment) int64_t next = 0, steps = 0;
        int shares = 1;
        uint64_t meeting = 0;
        bool begun = false;
    };

    // What a thread in a stretch knows of it.
    struct Place {
        const Chains& chains;
        const int block, share, shares;
        uint64_t meeting;
    };

    const Pool::Turn& turn_;
    const Plan& plan_;
    const int count_;
    const std::unique_ptr<Chain[]> chains_;
    const std::unique_ptr<Member[]> members_;
    const std::unique_ptr<Slot[]> slots_;
    const Stretch stretch_;
    const void* const data_;

    Chain& chain(int block) const { return chains_[size_t(block)]; }
    Member& member(int block, int place) const { return members_[size_t(block * plan_.shares + place)]; }
    Slot& slot(int block, int share) const { return slots_[size_t(block * plan_.shares + share)]; }

    void work(int seat) {
        const int first = seat / plan_.shares % count_;
        while (seat == 0 || !turn_.busy()) {
            bool left = false, joined = false;
            for (int k = 0; k < count_; ++k) {
                const int block = (first + k) % count_;
                if (chain(block).done.load(std::memory_order_acquire)) continue;
                left = true;
                lead(block, seat);
            }
            if (!left) return;
            for (int k = 0; k < count_ && !joined; ++k) joined = join((first + k) % count_, seat);
            if (joined) continue;
            if (seat > 0) return;
            take_over();
        }
    }

    // The caller, who has nothing else to do, waits until the leader of a chain leaves it to him.
    void take_over() const {
        for (int block = 0; block < count_; ++block) {
            Chain& own = chain(block);
            const int leader = own.leader.load(std::memory_order_relaxed);
            if (leader == nobody) continue;
            own.wanted.store(true, std::memory_order_relaxed);
            return turn_.await(leader, [&] { return own.leader.load(std::memory_order_acquire) != leader; });
        }
    }

    // ---- Leading

    void lead(int block, int seat) const {
        Chain& own = chain(block);
        int expected = nobody;
        if (!own.leader.compare_exchange_strong(expected, seat, std::memory_order_acquire)) return;
        if (seat == 0) own.wanted.store(false, std::memory_order_relaxed);
        if (!own.begun && plan_.shares > 1) wait_a_moment(own);
        while (!own.done.load(std::memory_order_relaxed) && !(seat > 0 && is_wanted(own))) {
            own.next = plan_.shares == 1 ? go_alone(block) : go_together(block, seat);
            own.begun = true;
            if (own.next >= own.steps) own.done.store(true, std::memory_order_release);
        }
        own.leader.store(nobody, std::memory_order_release);
        turn_.came(seat);
    }

    // For those who are awake and on their way: the first thing to do may be the input product of many steps.
    void wait_a_moment(const Chain& own) const {
        constexpr auto moment = std::chrono::microseconds(5);
        const auto end = Clock::now() + moment;
        const int others = std::min(plan_.shares, turn_.threads()) - 1;
        while (own.waiting.load(std::memory_order_relaxed) < others && !turn_.busy() && Clock::now() < end) relax();
    }

    bool is_wanted(const Chain& own) const { return own.wanted.load(std::memory_order_relaxed) || turn_.busy(); }

    int64_t go_alone(int block) const {
        const Chain& own = chain(block);
        const int64_t end = turn_.threads() > 1 ? std::min(own.next + plan_.span, own.steps) : own.steps;
        return stretch_(data_, {block, 0, 1, own.next, end}, {nullptr, nullptr});
    }

    int64_t go_together(int block, int seat) const {
        Chain& own = chain(block);
        const int shares = own.shares = turn_.busy() ? 1 : take_in(block);
        slot(block, 0).seat = seat;
        for (int place = 1; place < plan_.shares; ++place) {
            Member& m = member(block, place);
            if (m.state.load(std::memory_order_relaxed) == taken) m.state.store(present, std::memory_order_release);
        }
        Place place{*this, block, 0, shares, own.meeting};
        const Meeting meeting{shares > 1 ? lead_meeting : turn_.threads() > 1 ? look_around : nullptr, &place};
        const int64_t next = stretch_(data_, {block, 0, shares, own.next, own.steps}, meeting);
        for (int other = 1; other < plan_.shares; ++other) {
            Member& m = member(block, other);
            const auto is_back = [&] { return m.state.load(std::memory_order_acquire) != present; };
            if (!is_back()) turn_.await(slot(block, m.share).seat, is_back);
        }
        own.meeting = place.meeting;
        return next;
    }

    // Takes everybody who is ready, gives each a share, and returns how many shares there are with the leader's.
    int take_in(int block) const {
        int shares = 1;
        for (int place = 1; place < plan_.shares; ++place) {
            Member& m = member(block, place);
            int expected = ready;
            if (!m.state.compare_exchange_strong(expected, taken, std::memory_order_acquire)) continue;
            chain(block).waiting.fetch_sub(1, std::memory_order_relaxed);
            slot(block, shares).seat = m.seat;
            m.share = shares++;
        }
        return shares;
    }

    // Whether the leader goes on as it does: nobody waits to be taken in, and the chain is not wanted from a helper.
    bool goes_on(const Chain& own) const {
        const bool somebody = own.waiting.load(std::memory_order_relaxed) > 0;
        return !somebody && !own.wanted.load(std::memory_order_relaxed);
    }

    static bool look_around(void* data) {
        const Place& place = *static_cast<Place*>(data);
        const Chains& chains = place.chains;
        return chains.turn_.busy() ? chains.slot(place.block, 0).seat == 0 : chains.goes_on(chains.chain(place.block));
    }

    static bool lead_meeting(void* data) {
        Place& place = *static_cast<Place*>(data);
        const Chains& chains = place.chains;
        const bool goes_on = chains.goes_on(chains.chain(place.block)) && !chains.turn_.busy();
        Slot& own = chains.slot(place.block, 0);
        own.arrived.store(2 * ++place.meeting + !goes_on, std::memory_order_release);
        chains.turn_.came(own.seat);
        for (int share = 1; share < place.shares; ++share) chains.meet(place, share);
        return goes_on;
    }

    // ---- Joining

    static bool join_meeting(void* data) {
        Place& place = *static_cast<Place*>(data);
        const Chains& chains = place.chains;
        Slot& own = chains.slot(place.block, place.share);
        own.arrived.store(2 * ++place.meeting, std::memory_order_release);
        chains.turn_.came(own.seat);
        for (int share = 1; share < place.shares; ++share) {
            if (share != place.share) chains.meet(place, share);
        }
        // A leader who is at the next meeting already has gone on from this one.
        return chains.meet(place, 0) != 2 * place.meeting + 1;
    }

    // Waits until the thread with that share has arrived at the meeting too, and returns what it told.
    uint64_t meet(const Place& place, int share) const {
        const Slot& other = slot(place.block, share);
        uint64_t arrived;
        const auto is_there = [&] {
            arrived = other.arrived.load(std::memory_order_acquire);
            return arrived >= 2 * place.meeting;
        };
        if (!is_there()) turn_.await(other.seat, is_there);
        return arrived;
    }

    // Goes along a chain that another thread leads, as long as there is something to go along. False when there is no
    // such chain here, or no place in it.
    bool join(int block, int seat) const {
        Chain& own = chain(block);
        for (int k = 0; k < plan_.shares - 1; ++k) {
            if (own.done.load(std::memory_order_relaxed) || turn_.busy()) return false;
            Member& place = member(block, 1 + (seat - 1 + k + plan_.shares) % (plan_.shares - 1));
            int expected = absent;
            if (!place.state.compare_exchange_strong(expected, coming, std::memory_order_acquire)) continue;
            place.seat = seat;
            for (;;) {
                place.state.store(ready, std::memory_order_release);
                own.waiting.fetch_add(1, std::memory_order_relaxed);
                turn_.came(seat);
                if (!is_taken_in(own, place)) return true;
                go_along(block, place);
            }
        }
        return false;
    }

    // Waits to be taken in. False when nobody will, and the place is free again.
    bool is_taken_in(Chain& own, Member& place) const {
        for (;;) {
            const int leader = own.leader.load(std::memory_order_acquire);
            const auto over = [&] { return own.done.load(std::memory_order_acquire) || turn_.busy(); };
            const auto is_present = [&] { return place.state.load(std::memory_order_acquire) == present; };
            const auto changes = [&] {
                return is_present() || over() || own.leader.load(std::memory_order_relaxed) != leader;
            };
            if (!changes() && leader != nobody) turn_.await(leader, changes);
            if (is_present()) return true;
            // The caller alone may lead this chain on: it cannot wait for somebody else to.
            if (!over() && !(leader == nobody && place.seat == 0)) continue;
            int expected = ready;
            if (!place.state.compare_exchange_strong(expected, absent, std::memory_order_release)) continue;
            own.waiting.fetch_sub(1, std::memory_order_relaxed);
            return false;
        }
    }

    void go_along(int block, const Member& place) const {
        const Chain& own = chain(block);
        Place at{*this, block, place.share, own.shares, own.meeting};
        stretch_(data_, {block, place.share, own.shares, own.next, own.steps}, {join_meeting, &at});
    }
};

}  // namespace memfold
