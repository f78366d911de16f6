// What differs between operating systems, compilers and processors, but for how threads take their turns (threads.hpp).
// Where a system has no such thing a function says so by its result, and the engine does without.
#pragma once

#include <cstdint>

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#endif
#elif defined(__linux__)
#include <sys/auxv.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#endif
#if !defined(_WIN32)
#include <dlfcn.h>
#include <pthread.h>
#include <unistd.h>
#endif

namespace memfold {

// A function of any library in the process; null when there is none. On Windows no OpenMP library has the entry points
// that are asked for, so nothing is looked for there.
inline void* loaded_function(const char* name) {
#if defined(_WIN32)
    (void)name;
    return nullptr;
#else
    return dlsym(RTLD_DEFAULT, name);
#endif
}

// Has every forked child run this first. Windows has no fork.
inline void in_forked_children(void (*run)()) {
#if defined(_WIN32)
    (void)run;
#else
    pthread_atfork(nullptr, nullptr, run);
#endif
}

// Bytes of the second-level cache of one core, 0 where the system does not tell.
inline int64_t told_cache_bytes() {
#if defined(_SC_LEVEL2_CACHE_SIZE)
    const int64_t told = sysconf(_SC_LEVEL2_CACHE_SIZE);
    return told > 0 ? told : 0;
#else
    return 0;
#endif
}

#if defined(__x86_64__)
// The level of x86-64 that the processor has and the system saves the registers of: 1 to 4. Asked of the processor, as
// __builtin_cpu_supports would take a library that clang-cl does not link.
inline int x86_level() {
    unsigned a, b, c, d;
    const auto has = [](unsigned word, unsigned bits) { return (word & bits) == bits; };
    if (!__get_cpuid(1, &a, &b, &c, &d)) return 1;
    const unsigned basic = c;
    if (!has(basic, bit_SSE3 | bit_SSSE3 | bit_CMPXCHG16B | bit_SSE4_1 | bit_SSE4_2 | bit_POPCNT)) return 1;
    if (!has(basic, bit_OSXSAVE | bit_AVX | bit_FMA | bit_F16C | bit_MOVBE)) return 2;
    unsigned saved, upper;
    asm volatile("xgetbv" : "=a"(saved), "=d"(upper) : "c"(0));
    constexpr unsigned ymm = 0x06, zmm = 0xe6;  // registers that the system saves
    if (!has(saved, ymm)) return 2;
    if (!__get_cpuid(0x80000001, &a, &b, &c, &d) || !has(c, 1u << 5)) return 2;  // LZCNT
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !has(b, bit_AVX2 | bit_BMI | bit_BMI2)) return 2;
    return has(saved, zmm) && has(b, bit_AVX512F | bit_AVX512DQ | bit_AVX512CD | bit_AVX512BW | bit_AVX512VL) ? 4 : 3;
}

// Whether a processor of level 4 multiplies bfloat16 numbers, too.
inline bool has_avx512_bf16() {
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d) &&
           (a >> 5 & 1) != 0;
}

// Whether the processor has matrix registers for bfloat16 numbers and the system lets this process use them: Linux
// wants to be asked, as it saves 8 KB more of each thread that does. Other systems are not asked.
inline bool may_use_amx() {
#if defined(MEMFOLD_SOFT_AMX)
    return true;
#elif defined(__linux__)
    unsigned a, b, c, d;
    constexpr unsigned tile_and_bf16 = 1u << 24 | 1u << 22;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & tile_and_bf16) != tile_and_bf16) return false;
    constexpr int request_permission = 0x1023, tile_data = 18;  // ARCH_REQ_XCOMP_PERM
    return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
#else
    return false;
#endif
}
#else
// Whether a 64-bit ARM multiplies bfloat16 numbers (FEAT_BF16). Windows is not asked.
inline bool has_arm_bf16() {
#if defined(__linux__)
    constexpr unsigned long bf16 = 1ul << 14;  // HWCAP2_BF16
    return (getauxval(AT_HWCAP2) & bf16) != 0;
#elif defined(__APPLE__)
    int has = 0;
    size_t bytes = sizeof has;
    return sysctlbyname("hw.optional.arm.FEAT_BF16", &has, &bytes, nullptr, 0) == 0 && has != 0;
#else
    return false;
#endif
}
#endif

}  // namespace memfold
