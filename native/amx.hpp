// The processor's matrix registers: eight of them, each of up to 16 rows of 64 bytes.
//
// A product adds 16 pairs of inner indices at once to each sum: the products of the even indices in their order and
// those of the odd ones by themselves, then one to the other, then both to the sum, rounding after each addition. So
// what a row gets depends on no other row, but its bits are not those of AVX512-BF16. Numbers below the smallest
// normal one are 0.
#pragma once

#include <utility>

#include "bfloat16.hpp"

namespace memfold::MEMFOLD_ISA {

inline constexpr int matrix_rows = 16, matrix_inner = 32;  // inner indices of one product
inline constexpr int64_t matrix_row_bytes = 64;

#if defined(__AMX_BF16__) || defined(MEMFOLD_SOFT_AMX)
inline constexpr bool has_matrices = true;
#else
inline constexpr bool has_matrices = false;
#endif

#if defined(__AMX_BF16__)

// How many rows each register has, until matrices are released. What stood in them is lost.
MEMFOLD_INLINE void shape_matrices(const uint8_t (&rows)[8]) {
    struct alignas(64) {
        uint8_t palette = 1, unused[15] = {};
        uint16_t row_bytes[16] = {};
        uint8_t rows[16] = {};
    } shape;
    for (int number = 0; number < 8; ++number) {
        shape.row_bytes[number] = matrix_row_bytes;
        shape.rows[number] = rows[number];
    }
    asm volatile("ldtilecfg %0" : : "m"(shape));
}

MEMFOLD_INLINE void release_matrices() { asm volatile("tilerelease"); }

// Rows that are `stride` bytes apart.
template <int number>
MEMFOLD_INLINE void load_matrix(const void* from, int64_t stride) {
    asm volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(from), "r"(stride), "i"(number) : "memory");
}

template <int number>
MEMFOLD_INLINE void store_matrix(void* to, int64_t stride) {
    asm volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(to), "r"(stride), "i"(number) : "memory");
}

// sums[row][column] += rows[row][k] * weights[k][column], over k.
template <int sums, int rows, int weights>
MEMFOLD_INLINE void multiply_matrices() {
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(sums), "i"(rows), "i"(weights));
}

#elif defined(MEMFOLD_SOFT_AMX)

// The same in plain loops, for the sanitizers, which do not see what the instructions read and write.
struct Matrix {
    int rows;
    uint32_t lane[matrix_rows][16];
};
inline thread_local Matrix matrices[8];

inline void shape_matrices(const uint8_t (&rows)[8]) {
    for (int number = 0; number < 8; ++number) matrices[number] = {rows[number], {}};
}

inline void release_matrices() {}

template <int number>
void load_matrix(const void* from, int64_t stride) {
    Matrix& m = matrices[number];
    for (int row = 0; row < m.rows; ++row) {
        __builtin_memcpy(m.lane[row], static_cast<const char*>(from) + row * stride, matrix_row_bytes);
    }
}

template <int number>
void store_matrix(void* to, int64_t stride) {
    const Matrix& m = matrices[number];
    for (int row = 0; row < m.rows; ++row) {
        __builtin_memcpy(static_cast<char*>(to) + row * stride, m.lane[row], matrix_row_bytes);
    }
}

template <int sums, int rows, int weights>
void multiply_matrices() {
    const auto number = [](uint32_t bits) {
        float value;
        __builtin_memcpy(&value, &bits, sizeof value);
        return value;
    };
    for (int row = 0; row < matrices[rows].rows; ++row) {
        for (int column = 0; column < 16; ++column) {
            float even = 0, odd = 0;
            for (int pair = 0; pair < matrix_inner / 2; ++pair) {
                const uint32_t x = matrices[rows].lane[row][pair], w = matrices[weights].lane[pair][column];
                even = __builtin_fmaf(number(x << 16), number(w << 16), even);
                odd = __builtin_fmaf(number(x & 0xffff0000u), number(w & 0xffff0000u), odd);
            }
            uint32_t& lane = matrices[sums].lane[row][column];
            const float sum = number(lane) + (even + odd);
            __builtin_memcpy(&lane, &sum, sizeof sum);
        }
    }
}

#endif

#if defined(__AMX_BF16__) || defined(MEMFOLD_SOFT_AMX)

// Calls the body with the constants from `from` to `to`.
template <int from, int to, typename Body>
MEMFOLD_INLINE void unrolled(const Body& body) {
    if constexpr (from < to) {
        body(std::integral_constant<int, from>{});
        unrolled<from + 1, to>(body);
    }
}

template <int distance, int... lane>
MEMFOLD_INLINE void exchange(Pairs& a, Pairs& b, std::integer_sequence<int, lane...>) {
    const Pairs first = {uint32_t(lane & distance ? 16 + lane - distance : lane)...};
    const Pairs second = {uint32_t(lane & distance ? 16 + lane : lane + distance)...};
    const auto of_both = [&](Pairs lanes) MEMFOLD_LAMBDA {
        return Pairs(_mm512_permutex2var_epi32((__m512i)a, (__m512i)lanes, (__m512i)b));
    };
    const Pairs upper = of_both(first);
    b = of_both(second);
    a = upper;
}

// Vectors as rows, exchanged for their columns: first in blocks of eight by eight, in the end one by one.
template <int distance = 8>
MEMFOLD_INLINE void transpose(Pairs (&rows)[16]) {
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) {
        if ((i & distance) == 0) exchange<distance>(rows[i], rows[i + distance], std::make_integer_sequence<int, 16>{});
    }
    if constexpr (distance > 1) transpose<distance / 2>(rows);
}

// Up to 16 rows that a product takes, in blocks of its inner indices.
class MatrixInput {
  public:
    // Of `count` rows the first `inner` numbers.
    [[gnu::noinline]] void take(const Rounded* const* rows, int count, int64_t inner) {
        for (int i = 0; i < count; ++i) rows_[i] = rows[i];
        stride_ = count > 1 ? rows_[1] - rows_[0] : 0;
        even_ = true;
        for (int i = 2; i < count; ++i) even_ = even_ && rows_[i] - rows_[i - 1] == stride_;
        begin(count, inner);
    }

    // The same of rows that are `stride` numbers apart.
    [[gnu::noinline]] void take(const Rounded* first, int64_t stride, int count, int64_t inner) {
        for (int i = 0; i < count; ++i) rows_[i] = first + i * stride;
        stride_ = stride;
        even_ = true;
        begin(count, inner);
    }

    int64_t blocks() const { return whole_ + (rest_ > 0); }

    template <int number>
    MEMFOLD_INLINE void load(int64_t block) {
        if (block < whole_ && even_) {
            load_matrix<number>(rows_[0] + block * matrix_inner, stride_ * int64_t(sizeof(Rounded)));
        } else {
            load_matrix<number>(gathered(block), matrix_row_bytes);
        }
    }

  private:
    const Rounded* rows_[matrix_rows];
    int64_t whole_ = 0, stride_ = 0;
    int count_ = 0, rest_ = 0;
    bool even_ = true;                                             // whether the rows are equally far apart
    alignas(64) Rounded gathered_[2][matrix_rows * matrix_inner];  // rows that are not, and the last block with zeros

    void begin(int count, int64_t inner) {
        count_ = count;
        whole_ = inner / matrix_inner;
        rest_ = int(inner % matrix_inner);
        if (rest_ > 0) gather(gathered_[1], whole_, rest_);
    }

    [[gnu::noinline]] const Rounded* gathered(int64_t block) {
        if (block == whole_) return gathered_[1];
        gather(gathered_[0], block, matrix_inner);
        return gathered_[0];
    }

    void gather(Rounded* to, int64_t block, int numbers) const {
        for (int i = 0; i < count_; ++i) copy(to + i * matrix_inner, rows_[i] + block * matrix_inner, numbers);
    }

    static MEMFOLD_INLINE void copy(Rounded* to, const Rounded* from, int count) {
        const auto mask = __mmask32((uint64_t(1) << count) - 1);
        _mm512_storeu_si512(to, _mm512_maskz_loadu_epi16(mask, from));
    }
};

#endif

}  // namespace memfold::MEMFOLD_ISA
