// The fingerprint of weights, by which packed ones are found again.
#pragma once

#include "simd.hpp"

namespace memfold::MEMFOLD_ISA {

// 64 bits that change with any change of the data, at the speed of reading it.
inline uint64_t fingerprint(const void* data, size_t bytes) {
    using Bits = Vectors<double>::Bits;
    constexpr int streams = 4;
    Bits lane[streams];
    for (int s = 0; s < streams; ++s) {
        for (int i = 0; i < width<double>; ++i) {
            lane[s][i] = 0x9e3779b97f4a7c15u * uint64_t(s * width<double> + i + 1);
        }
    }
    const char* at = static_cast<const char*>(data);
    // Every operation is invertible in the lane and in the data, so no change of a single word can be lost.
    const auto mix = [](Bits state, Bits word) {
        state += word;
        state ^= state >> 29;
        return state + (state << 17);
    };
    size_t left = bytes;
    for (; left >= sizeof lane; left -= sizeof lane, at += sizeof lane) {
#pragma GCC unroll 4
        for (int s = 0; s < streams; ++s) lane[s] = mix(lane[s], load<Bits>(at + s * vector_bytes));
    }
    char rest[sizeof lane] = {};
    __builtin_memcpy(rest, at, left);
    uint64_t result = bytes;
    for (int s = 0; s < streams; ++s) {
        lane[s] = mix(lane[s], load<Bits>(rest + s * vector_bytes));
        for (int i = 0; i < width<double>; ++i) {
            result = (result ^ lane[s][i]) * 0xff51afd7ed558ccdu;
            result ^= result >> 32;
        }
    }
    return result;
}

}  // namespace memfold::MEMFOLD_ISA
