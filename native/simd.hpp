// Portable vectors: one source for every instruction set, through the compiler's vector extensions.
//
// A vector is as wide as the instruction set's own registers. Multiply-adds are asked for by name: left to contraction,
// the compiler may fuse the same formula differently in two places, and a row's bits would depend on its batch.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__FMA__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

#ifndef MEMFOLD_ISA
#error "compile with -DMEMFOLD_ISA=v2, v3, v4, v4_bf16, v4_amx, neon or neon_bf16: a namespace for each instruction set"
#endif
#define MEMFOLD_INLINE inline __attribute__((always_inline))
#define MEMFOLD_LAMBDA __attribute__((always_inline))

namespace memfold::MEMFOLD_ISA {

#if defined(__AVX512F__)
inline constexpr int vector_bytes = 64;
inline constexpr int registers = 32;
#elif defined(__AVX2__)
inline constexpr int vector_bytes = 32;
inline constexpr int registers = 16;
#elif defined(__ARM_NEON)
inline constexpr int vector_bytes = 16;
inline constexpr int registers = 32;
#else
inline constexpr int vector_bytes = 16;
inline constexpr int registers = 16;
#endif

template <typename Real>
struct Vectors;

template <>
struct Vectors<float> {
    typedef float V __attribute__((vector_size(vector_bytes)));
    typedef int32_t Int __attribute__((vector_size(vector_bytes)));
    typedef uint32_t Bits __attribute__((vector_size(vector_bytes)));
};

template <>
struct Vectors<double> {
    typedef double V __attribute__((vector_size(vector_bytes)));
    typedef int64_t Int __attribute__((vector_size(vector_bytes)));
    typedef uint64_t Bits __attribute__((vector_size(vector_bytes)));
};

template <typename Real>
using Vec = typename Vectors<Real>::V;

template <typename Real>
inline constexpr int width = vector_bytes / int(sizeof(Real));

template <typename Real>
MEMFOLD_INLINE Vec<Real> all(Real value) {
    return value - Vec<Real>{};  // not {} + value, which turns -0 into 0
}

template <typename V, typename T>
MEMFOLD_INLINE V load(const T* from) {
    V v;
    __builtin_memcpy(&v, from, sizeof v);
    return v;
}

template <typename V, typename T>
MEMFOLD_INLINE void store(T* to, V v) {
    __builtin_memcpy(to, &v, sizeof v);
}

// The first `count` lanes; of a load the others are 0.
template <typename Real>
MEMFOLD_INLINE Vec<Real> load_part(const Real* from, int64_t count) {
    Vec<Real> v{};
    __builtin_memcpy(&v, from, size_t(count) * sizeof(Real));
    return v;
}

template <typename Real>
MEMFOLD_INLINE void store_part(Real* to, Vec<Real> v, int64_t count) {
    __builtin_memcpy(to, &v, size_t(count) * sizeof(Real));
}

#if defined(__AVX512F__)
MEMFOLD_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) { return _mm512_fmadd_ps(a, b, c); }
MEMFOLD_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) { return _mm512_fmadd_pd(a, b, c); }
#elif defined(__FMA__)
MEMFOLD_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) { return _mm256_fmadd_ps(a, b, c); }
MEMFOLD_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) { return _mm256_fmadd_pd(a, b, c); }
#elif defined(__ARM_NEON)
MEMFOLD_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) { return vfmaq_f32(c, a, b); }
MEMFOLD_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) { return vfmaq_f64(c, a, b); }
#else
MEMFOLD_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) { return a * b + c; }
MEMFOLD_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) { return a * b + c; }
#endif

#if defined(__AVX512F__)  // with masks as below
MEMFOLD_INLINE Vec<float> root(Vec<float> v) { return _mm512_maskz_sqrt_ps(__mmask16(-1), v); }
MEMFOLD_INLINE Vec<double> root(Vec<double> v) { return _mm512_maskz_sqrt_pd(__mmask8(-1), v); }
#elif defined(__FMA__)
MEMFOLD_INLINE Vec<float> root(Vec<float> v) { return _mm256_sqrt_ps(v); }
MEMFOLD_INLINE Vec<double> root(Vec<double> v) { return _mm256_sqrt_pd(v); }
#elif defined(__ARM_NEON)
MEMFOLD_INLINE Vec<float> root(Vec<float> v) { return vsqrtq_f32(v); }
MEMFOLD_INLINE Vec<double> root(Vec<double> v) { return vsqrtq_f64(v); }
#else
template <typename V>
MEMFOLD_INLINE V root(V v) {
    for (size_t i = 0; i < sizeof(V) / sizeof v[0]; ++i) v[i] = decltype(v[0] + 0)(__builtin_sqrt(double(v[i])));
    return v;
}
#endif

// NaN passes through each of the two: the processors' minimum and maximum give the second of an unordered pair.
#if defined(__AVX512F__)  // with masks of ones: of the forms without, GCC 12 warns that they are not initialised
MEMFOLD_INLINE Vec<float> at_most(Vec<float> v, Vec<float> bound) {
    return _mm512_maskz_min_ps(__mmask16(-1), bound, v);
}
MEMFOLD_INLINE Vec<float> at_least(Vec<float> v, Vec<float> bound) {
    return _mm512_maskz_max_ps(__mmask16(-1), bound, v);
}
MEMFOLD_INLINE Vec<double> at_most(Vec<double> v, Vec<double> bound) {
    return _mm512_maskz_min_pd(__mmask8(-1), bound, v);
}
MEMFOLD_INLINE Vec<double> at_least(Vec<double> v, Vec<double> bound) {
    return _mm512_maskz_max_pd(__mmask8(-1), bound, v);
}
#elif defined(__FMA__)
MEMFOLD_INLINE Vec<float> at_most(Vec<float> v, Vec<float> bound) { return _mm256_min_ps(bound, v); }
MEMFOLD_INLINE Vec<float> at_least(Vec<float> v, Vec<float> bound) { return _mm256_max_ps(bound, v); }
MEMFOLD_INLINE Vec<double> at_most(Vec<double> v, Vec<double> bound) { return _mm256_min_pd(bound, v); }
MEMFOLD_INLINE Vec<double> at_least(Vec<double> v, Vec<double> bound) { return _mm256_max_pd(bound, v); }
#else
template <typename V>
MEMFOLD_INLINE V at_most(V v, V bound) {
    return v > bound ? bound : v;
}
template <typename V>
MEMFOLD_INLINE V at_least(V v, V bound) {
    return v < bound ? bound : v;
}
#endif

// What the exponential of each precision needs: ln 2 in two parts, of which the first has trailing zeros so that its
// multiples are exact also without a fused multiply-add; the polynomial q of e^r = 1 + r + r^2 q(r), minimax for
// |r| <= ln(2)/2; the arguments between which e^x is a normal number; where tanh rounds to 1.
template <typename Real>
struct Exponential;

template <>
struct Exponential<float> {
    static constexpr float ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
    static constexpr float q[] = {0.50000000269934112f, 0.16666576874917400f, 0.041666374823148357f,
                                  0.0083631970665177904f, 0.0013941151834503420f};
    static constexpr float lowest = -87.336544f, highest = 88.722832f, one = 10;
    static constexpr float shifter = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer in the lowest bits
    static constexpr int mantissa = 23;
};

template <>
struct Exponential<double> {
    static constexpr double ln2_high = 6.93147180369123816490e-01, ln2_low = 1.90821492927058770002e-10;
    static constexpr double q[] = {0.49999999999999999997,   0.16666666666666671003,   0.041666666666666683845,
                                   0.0083333333333261194099, 0.0013888888888874364493, 0.00019841269874875310952,
                                   2.4801587347419556149e-5, 2.7557255331087425522e-6, 2.7557252835693197561e-7,
                                   2.5105245693181623759e-8, 2.0921615121819258696e-9};
    static constexpr double lowest = -708.39641853226408, highest = 709.78271289338397, one = 20;
    static constexpr double shifter = 6755399441055744.0;  // 1.5 * 2^52
    static constexpr int mantissa = 52;
};

// x = n ln 2 + r with |r| <= ln(2)/2: e^r - 1, and n in the exponent's place of an integer.
template <typename Real>
struct Reduced {
    Vec<Real> minus_one;
    typename Vectors<Real>::Bits exponent;
};

template <typename Real>
MEMFOLD_INLINE Reduced<Real> reduce(Vec<Real> x) {
    using E = Exponential<Real>;
    using Bits = typename Vectors<Real>::Bits;
    const Vec<Real> shifter = all(E::shifter);
    const Vec<Real> shifted = fma(x, all(Real(1.44269504088896340736)), shifter);
    const Vec<Real> n = shifted - shifter;
    const Vec<Real> r = fma(n, all(-E::ln2_low), fma(n, all(-E::ln2_high), x));
    constexpr int degree = sizeof(E::q) / sizeof(Real) - 1;
    Vec<Real> q = all(E::q[degree]);
#pragma GCC unroll 16
    for (int k = degree - 1; k >= 0; --k) q = fma(q, r, all(E::q[k]));
    return {fma(r * r, q, r), Bits(shifted) << E::mantissa};
}

// e^x; infinity above the largest number, and the smallest normal one where the result would be below it.
template <typename Real>
MEMFOLD_INLINE Vec<Real> exp_at_least_normal(Vec<Real> x) {
    using E = Exponential<Real>;
    using Bits = typename Vectors<Real>::Bits;
    const auto [minus_one, exponent] = reduce<Real>(at_least(at_most(x, all(E::highest)), all(E::lowest)));
    const Vec<Real> result = Vec<Real>(Bits(minus_one + Real(1)) + exponent);
    return x > all(E::highest) ? all(Real(__builtin_inf())) : result;
}

template <typename Real>
MEMFOLD_INLINE Vec<Real> sigmoid(Vec<Real> x) {
    return Real(1) / (Real(1) + exp_at_least_normal<Real>(-x));
}

// (e^2x - 1) / (e^2x + 1), from e^2x - 1 so that small results keep their digits.
template <typename Real>
MEMFOLD_INLINE Vec<Real> tanh(Vec<Real> x) {
    using E = Exponential<Real>;
    using Bits = typename Vectors<Real>::Bits;
    x = at_least(at_most(x, all(E::one)), all(-E::one));
    const auto [minus_one, exponent] = reduce<Real>(x + x);
    const Vec<Real> scale = Vec<Real>(Bits(all(Real(1))) + exponent);
    const Vec<Real> expm1 = fma(scale, minus_one, scale - Real(1));
    return expm1 / (expm1 + Real(2));
}

}  // namespace memfold::MEMFOLD_ISA
