// Vectors of LANES floats, and what differs between processors: the three kinds of inner product.
//
// Everything else is written in vectors of the compiler's own, so one source serves AVX2 and AVX-512.
// A product advances four bytes of every row at a time: one fp32, two bf16 or four int8 numbers.

#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>
#include <type_traits>

#if defined(__AVX512F__) && defined(__AVX512VNNI__) && defined(__AVX512BF16__)
#define LITEBERT_AVX512 1
#else
#define LITEBERT_AVX512 0
#endif

// A build for AVX2 with the widths of AVX-512 lets tests reach that code on any machine.
#ifndef LITEBERT_LANES
#define LITEBERT_LANES (LITEBERT_AVX512 ? 16 : 8)
#endif

namespace litebert {

constexpr int LANES = LITEBERT_LANES;
// Columns that are computed together: as many accumulators as the registers hold.
constexpr int VECTORS = LANES == 16 ? 4 : 2;
constexpr int PANEL = LANES * VECTORS;
constexpr int ROWS = 6;

typedef float Floats __attribute__((vector_size(4 * LANES)));
typedef int32_t Ints __attribute__((vector_size(4 * LANES)));
typedef float FloatsAnywhere __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t IntsAnywhere __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

inline Floats load(const float *at) { return *reinterpret_cast<const FloatsAnywhere *>(at); }
inline void store(float *at, Floats x) { *reinterpret_cast<FloatsAnywhere *>(at) = x; }
inline Ints load_ints(const void *at) { return *reinterpret_cast<const IntsAnywhere *>(at); }
inline Floats all(float x) { return Floats{} + x; }
inline Ints all_ints(int32_t x) { return Ints{} + x; }
inline Floats as_floats(Ints x) { return reinterpret_cast<Floats>(x); }
inline Ints as_ints(Floats x) { return reinterpret_cast<Ints>(x); }
inline Floats converted(Ints x) { return __builtin_convertvector(x, Floats); }

// The one or the other of every lane, b where a is NaN; compilers take two instructions for it.
inline Floats larger(Floats a, Floats b) {
#if LITEBERT_AVX512 && LITEBERT_LANES == 16
    return reinterpret_cast<Floats>(
        _mm512_max_ps(reinterpret_cast<__m512>(a), reinterpret_cast<__m512>(b)));
#else
    return a > b ? a : b;
#endif
}
inline Floats smaller(Floats a, Floats b) {
#if LITEBERT_AVX512 && LITEBERT_LANES == 16
    return reinterpret_cast<Floats>(
        _mm512_min_ps(reinterpret_cast<__m512>(a), reinterpret_cast<__m512>(b)));
#else
    return a < b ? a : b;
#endif
}

inline int32_t four_bytes(const void *at) {
    int32_t x;
    std::memcpy(&x, at, 4);
    return x;
}

inline float sum(Floats x) {
#if LITEBERT_AVX512 && LITEBERT_LANES == 16
    return _mm512_reduce_add_ps(reinterpret_cast<__m512>(x));
#else
    float total = 0;
    for (int i = 0; i < LANES; i++) total += x[i];
    return total;
#endif
}

inline float largest(Floats x) {
#if LITEBERT_AVX512 && LITEBERT_LANES == 16
    return _mm512_reduce_max_ps(reinterpret_cast<__m512>(x));
#else
    float found = x[0];
    for (int i = 1; i < LANES; i++) found = x[i] > found ? x[i] : found;
    return found;
#endif
}

// Nearest integers of numbers below 2^22, halves to even: what adding 1.5 x 2^23 leaves in the low bits.
inline Ints rounded(Floats x) {
    const float shift = 12582912.0f;
    return as_ints(x + shift) - as_ints(all(shift));
}

constexpr float LOG2E = 1.44269504f;

// 2^x: n the nearest integer, 2^(x - n) by a polynomial (a minimax fit over half a step to either
// side), off by 2.5e-7 at most, relative. Without instructions for it arguments outside -125 to 127
// count as those.
inline Floats power_of_two(Floats x) {
#if LITEBERT_AVX512 && LITEBERT_LANES == 16
    const Floats n = reinterpret_cast<Floats>(
        _mm512_roundscale_ps(reinterpret_cast<__m512>(x), _MM_FROUND_NO_EXC));
    const Floats r = x - n;
#else
    const Floats within = smaller(larger(x, all(-125.0f)), all(127.0f));
    const Ints n = rounded(within);
    const Floats r = within - converted(n);
#endif
    Floats p = 1.3276471737e-3f * r + 9.6755415401e-3f;
    p = p * r + 5.5507132761e-2f;
    p = p * r + 2.4022119720e-1f;
    p = p * r + 6.9314696706e-1f;
    p = p * r + 1.0f;
#if LITEBERT_AVX512 && LITEBERT_LANES == 16
    return reinterpret_cast<Floats>(
        _mm512_scalef_ps(reinterpret_cast<__m512>(p), reinterpret_cast<__m512>(n)));
#else
    return x == x ? p * as_floats((n + 127) << 23) : x;
#endif
}

// e^x, off by 2.5e-7 and 9e-8 |x| at most, relative.
inline Floats exponential(Floats x) { return power_of_two(x * LOG2E); }

// 1 / x, off by 1.5e-7 at most, relative, where that is neither infinite nor denormal.
inline Floats reciprocal(Floats x) {
#if LITEBERT_AVX512 && LITEBERT_LANES == 16
    const Floats near = reinterpret_cast<Floats>(_mm512_rcp14_ps(reinterpret_cast<__m512>(x)));
    return near * (2.0f - x * near);
#else
    return 1.0f / x;
#endif
}

// bf16 of the nearest value, halves to even, in the upper half of each lane.
inline Ints bf16_halves(Floats x) {
    Ints bits = as_ints(x);
    Ints odd = (bits >> 16) & 1;
    return bits + 0x7fff + odd;
}

inline uint16_t bf16(float x) {
    uint32_t bits;
    std::memcpy(&bits, &x, 4);
    return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

inline float as_float(float x) { return x; }
inline float as_float(uint16_t x) {
    const uint32_t bits = static_cast<uint32_t>(x) << 16;
    float found;
    std::memcpy(&found, &bits, 4);
    return found;
}

inline void put_one(float *at, float x) { *at = x; }
inline void put_one(uint16_t *at, float x) { *at = bf16(x); }
inline void put(float *at, Floats x) { store(at, x); }
inline void put(uint16_t *at, Floats x) {
#if LITEBERT_AVX512 && LITEBERT_LANES == 16
    const __m256bh halves = _mm512_cvtneps_pbh(reinterpret_cast<__m512>(x));
    std::memcpy(at, &halves, sizeof halves);
#else
    Ints bits = bf16_halves(x);
    typedef uint16_t Halves __attribute__((vector_size(2 * LANES)));
    typedef uint32_t Bits __attribute__((vector_size(4 * LANES)));
    Halves halves = __builtin_convertvector(reinterpret_cast<Bits>(bits) >> 16, Halves);
    std::memcpy(at, &halves, sizeof halves);
#endif
}

// The kinds of numbers that products take. `dot` adds to every lane the product of its four bytes
// of a weight with four bytes of a row, the same for all lanes.

struct Float32 {
    static constexpr int NUMBERS = 1;
    typedef float Number;
    typedef Floats Sum;
    static Sum dot(Sum sum, Ints weight, int32_t row) {
        float x;
        std::memcpy(&x, &row, 4);
        return sum + as_floats(weight) * x;
    }
};

struct BFloat16 {
    static constexpr int NUMBERS = 2;
    typedef uint16_t Number;
    typedef Floats Sum;
    static Sum dot(Sum sum, Ints weight, int32_t row) {
#if LITEBERT_AVX512 && LITEBERT_LANES == 16
        return reinterpret_cast<Floats>(
            _mm512_dpbf16_ps(reinterpret_cast<__m512>(sum), reinterpret_cast<__m512bh>(weight),
                             reinterpret_cast<__m512bh>(_mm512_set1_epi32(row))));
#else
        Ints x = all_ints(row);
        sum += as_floats(weight << 16) * as_floats(x << 16);
        return sum + as_floats(weight & ~0xffff) * as_floats(x & ~0xffff);
#endif
    }
};

// Rows of bytes from 0 to 255 and weights from -127 to 127, as the instruction takes them.
struct Int8 {
    static constexpr int NUMBERS = 4;
    typedef int8_t Number;
    typedef Ints Sum;
    static Sum dot(Sum sum, Ints weight, int32_t row) {
#if LITEBERT_AVX512 && LITEBERT_LANES == 16
        return reinterpret_cast<Ints>(_mm512_dpbusd_epi32(
            reinterpret_cast<__m512i>(sum), _mm512_set1_epi32(row),
            reinterpret_cast<__m512i>(weight)));
#else
        // exact in 16 bits: bytes 0 and 2 of every lane, then 1 and 3
        const __m256i x = _mm256_set1_epi32(row), odd = _mm256_srli_epi16(x, 8);
        const __m256i even = _mm256_and_si256(x, _mm256_set1_epi32(0x00ff00ff));
        union {
            Ints ints;
            __m256i parts[LANES / 8];
        } w, total;
        w.ints = weight;
        total.ints = sum;
        for (int i = 0; i < LANES / 8; i++) {
            __m256i low = _mm256_srai_epi16(_mm256_slli_epi16(w.parts[i], 8), 8);
            __m256i high = _mm256_srai_epi16(w.parts[i], 8);
            __m256i two = _mm256_add_epi32(_mm256_madd_epi16(low, even),
                                           _mm256_madd_epi16(high, odd));
            total.parts[i] = _mm256_add_epi32(total.parts[i], two);
        }
        return total.ints;
#endif
    }
};

// What attention multiplies in unless everything is fp32: bf16 where the processor has it.
typedef std::conditional<LANES == 16, BFloat16, Float32>::type Half;

}  // namespace litebert
