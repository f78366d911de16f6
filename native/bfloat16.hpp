// Products of bfloat16 numbers with float32 sums, two successive inner indices at a time.
//
// By the processor's instruction where it has one, else by unpacking. AVX512-BF16 and unpacking have the same bits: the
// odd index's product is added to a sum first, then the even one's, and each addition rounds once. ARM's BFDOT adds the
// two products to each other, then to the sum, and rounds both additions to the odd neighbour. Numbers below the
// smallest normal one, 1.2e-38, are rounded to 0; a sum below it, and for BFDOT a product, is 0 for the instructions
// alone.
#pragma once

#include "simd.hpp"

namespace memfold::MEMFOLD_ISA {

// Two bfloat16 numbers in a lane, the even index's in the lower half.
using Pairs = Vectors<float>::Bits;

// As many bfloat16 numbers as a vector has lanes.
typedef uint16_t Narrow __attribute__((vector_size(vector_bytes / 2)));

// The nearest bfloat16, ties to even, in the upper half of each lane; NaN stays NaN.
MEMFOLD_INLINE Pairs rounded(Vec<float> v) {
    const Pairs bits = Pairs(v), magnitude = bits & 0x7fffffffu;
    const Pairs nearest = bits + 0x7fffu + (bits >> 16 & 1u);
    const Pairs number = magnitude > 0x7f800000u ? bits | 0x00400000u : nearest;
    return (magnitude < 0x00800000u ? bits & 0x80000000u : number) & 0xffff0000u;
}

#if defined(__AVX512BF16__) || defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC)

// How the rows that weights multiply are stored: pairs of neighbours are what a lane takes.
using Rounded = uint16_t;

// A row's number, or pair of numbers, in every lane, and weights: as the product takes them.
using Factor = Pairs;
using Weight = Pairs;

MEMFOLD_INLINE Pairs widened(Narrow numbers) { return __builtin_convertvector(numbers, Pairs); }

// `count` numbers: the first ones of a vector go to memory, or come from it before zeros.
#if defined(__AVX512BF16__)
MEMFOLD_INLINE Narrow narrowed(Vec<float> v) { return (Narrow)_mm512_cvtneps_pbh(v); }
MEMFOLD_INLINE void store_part(Rounded* to, Narrow numbers, int64_t count) {
    _mm256_mask_storeu_epi16(to, __mmask16((1u << count) - 1), (__m256i)numbers);
}
MEMFOLD_INLINE Narrow load_part(const Rounded* from, int64_t count) {
    return (Narrow)_mm256_maskz_loadu_epi16(__mmask16((1u << count) - 1), from);
}
MEMFOLD_INLINE Vec<float> add_products(Vec<float> sum, Factor x, Weight w) {
    return _mm512_dpbf16_ps(sum, (__m512bh)x, (__m512bh)w);
}
#else
MEMFOLD_INLINE Narrow narrowed(Vec<float> v) { return __builtin_convertvector(rounded(v) >> 16, Narrow); }
MEMFOLD_INLINE void store_part(Rounded* to, Narrow numbers, int64_t count) {
    __builtin_memcpy(to, &numbers, size_t(count) * sizeof(Rounded));
}
MEMFOLD_INLINE Narrow load_part(const Rounded* from, int64_t count) {
    Narrow numbers{};
    __builtin_memcpy(&numbers, from, size_t(count) * sizeof(Rounded));
    return numbers;
}
MEMFOLD_INLINE Vec<float> add_products(Vec<float> sum, Factor x, Weight w) {
    // Not vbfdotq_f32: GCC 12 writes the constant 1 of a bfloat16 vector as that of an IEEE half.
    asm("bfdot %0.4s, %1.8h, %2.8h" : "+w"(sum) : "w"(x), "w"(w));
    return sum;
}
#endif

MEMFOLD_INLINE void store_rounded(Rounded* to, Vec<float> v) { store(to, narrowed(v)); }
MEMFOLD_INLINE void store_rounded_part(Rounded* to, Vec<float> v, int64_t count) { store_part(to, narrowed(v), count); }
MEMFOLD_INLINE Vec<float> load_rounded_part(const Rounded* from, int64_t count) {
    return Vec<float>(widened(load_part(from, count)) << 16);
}

// A vector's numbers of two rows, or of two vectors, as pairs.
MEMFOLD_INLINE Pairs paired(Narrow even, Narrow odd) { return widened(even) | widened(odd) << 16; }
MEMFOLD_INLINE Pairs paired(const Rounded* even, const Rounded* odd) {
    return paired(load<Narrow>(even), load<Narrow>(odd));
}
MEMFOLD_INLINE Pairs paired(Vec<float> even, Vec<float> odd) { return paired(narrowed(even), narrowed(odd)); }

MEMFOLD_INLINE void store_pairs(Rounded* to, Pairs pairs) { store(to, pairs); }

MEMFOLD_INLINE Factor factor(const Rounded* row, int64_t pair) {
    uint32_t both;
    __builtin_memcpy(&both, row + 2 * pair, sizeof both);
    return both - Pairs{};
}

MEMFOLD_INLINE Weight unpacked(Pairs pairs) { return pairs; }

#else

using Rounded = float;

struct Weight {
    Vec<float> even, odd;
};
using Factor = Weight;

MEMFOLD_INLINE void store_rounded(Rounded* to, Vec<float> v) { store(to, Vec<float>(rounded(v))); }

MEMFOLD_INLINE void store_rounded_part(Rounded* to, Vec<float> v, int64_t count) {
    store_part(to, Vec<float>(rounded(v)), count);
}

MEMFOLD_INLINE Vec<float> load_rounded_part(const Rounded* from, int64_t count) { return load_part(from, count); }

MEMFOLD_INLINE Pairs paired(Vec<float> even, Vec<float> odd) { return rounded(even) >> 16 | rounded(odd); }
MEMFOLD_INLINE Pairs paired(const Rounded* even, const Rounded* odd) {
    return load<Pairs>(even) >> 16 | load<Pairs>(odd);
}

MEMFOLD_INLINE Weight unpacked(Pairs pairs) { return {Vec<float>(pairs << 16), Vec<float>(pairs & 0xffff0000u)}; }

MEMFOLD_INLINE void store_pairs(Rounded* to, Pairs pairs) {
    const auto [even, odd] = unpacked(pairs);
    for (int lane = 0; lane < width<float>; ++lane) {
        to[2 * lane] = even[lane];
        to[2 * lane + 1] = odd[lane];
    }
}

MEMFOLD_INLINE Factor factor(const Rounded* row, int64_t pair) { return {all(row[2 * pair]), all(row[2 * pair + 1])}; }

MEMFOLD_INLINE Vec<float> add_products(Vec<float> sum, Factor x, Weight w) {
    return fma(x.even, w.even, fma(x.odd, w.odd, sum));
}

#endif

// bfloat16 numbers for whoever reads an output.
MEMFOLD_INLINE void store_narrow(uint16_t* to, Vec<float> v, int64_t count) {
    const auto narrow = __builtin_convertvector(rounded(v) >> 16, Narrow);
    __builtin_memcpy(to, &narrow, size_t(count) * sizeof(uint16_t));
}

// Neighbours of a row, up to two vectors of them, as pairs; the others are 0.
MEMFOLD_INLINE Pairs pairs_of(const float* row, int64_t count) {
    const int64_t first = count < width<float> ? count : width<float>;
    uint16_t numbers[2 * width<float>];
    const Vec<float> halves[] = {load_part(row, first), load_part(row + first, count - first)};
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
        const auto narrow = __builtin_convertvector(rounded(halves[half]) >> 16, Narrow);
        store(numbers + half * width<float>, narrow);
    }
    return load<Pairs>(numbers);
}

}  // namespace memfold::MEMFOLD_ISA
