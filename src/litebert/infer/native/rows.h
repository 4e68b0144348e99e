// What is done row by row between products: rounding to their kind, LayerNorm, GELU.

#pragma once

#include <algorithm>
#include <cmath>

#include "products.h"

namespace litebert {

// `each(i, k)` for the vectors of a row, at i; k counts through STREAMS sums of which each waits for
// itself alone, since an addition takes as long as several begin in.
constexpr int STREAMS = 4;
template <class Each> inline void vectors(int64_t count, Each each) {
    int64_t i = 0;
    for (; i + STREAMS * LANES <= count; i += STREAMS * LANES)
        for (int k = 0; k < STREAMS; k++) each(i + k * LANES, k);
    for (; i + LANES <= count; i += LANES) each(i, 0);
}

// Rows of `count` floats as a product of a kind takes them; `count` is a multiple of nothing.

inline void put_row(const float *from, int64_t count, uint16_t *to) {
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES) put(to + i, load(from + i));
    for (; i < count; i++) to[i] = bf16(from[i]);
    if (count % 2) to[count] = 0;
}

// Rounded to 255 steps between its own least and largest number, after `factors` where there is one.
inline RowScale put_row(const float *from, int64_t count, const float *factors, uint8_t *to) {
    float low = INFINITY, high = -INFINITY;
    int64_t i = 0, full = count / LANES * LANES;
    // comparisons forget a NaN; 0 times it is one
    Floats lows[STREAMS], highs[STREAMS], bad[STREAMS] = {};
    float worst = 0;
    std::fill_n(lows, STREAMS, all(INFINITY));
    std::fill_n(highs, STREAMS, all(-INFINITY));
    vectors(count, [&](int64_t at, int k) {
        Floats x = load(from + at);
        if (factors) x = x * load(factors + at);
        lows[k] = smaller(lows[k], x);
        highs[k] = larger(highs[k], x);
        bad[k] += x * 0.0f;
    });
    for (int k = 1; k < STREAMS; k++) {
        lows[0] = smaller(lows[0], lows[k]);
        highs[0] = larger(highs[0], highs[k]);
        bad[0] += bad[k];
    }
    if (full) low = -largest(-lows[0]), high = largest(highs[0]);
    for (i = full; i < count; i++) {
        float x = factors ? from[i] * factors[i] : from[i];
        low = x < low ? x : low;
        high = x > high ? x : high;
        worst += x * 0.0f;
    }
    low += worst + sum(bad[0]);
    // a row of one value has no width; any scale gives it back
    const float scale = high > low ? (high - low) / 255.0f : 1.0f, factor = 1.0f / scale;
    for (i = 0; i < full; i += LANES) {
        Floats x = load(from + i);
        if (factors) x = x * load(factors + i);
        Ints q = rounded((x - low) * factor);
        typedef uint8_t Bytes __attribute__((vector_size(LANES)));
        Bytes bytes = __builtin_convertvector(q, Bytes);
        std::memcpy(to + i, &bytes, LANES);
    }
    for (; i < count; i++) {
        float x = factors ? from[i] * factors[i] : from[i];
        to[i] = static_cast<uint8_t>(std::nearbyint((x - low) * factor));
    }
    for (; i % 4; i++) to[i] = 0;
    return {scale, low};
}

inline float sum_of(const Floats (&sums)[STREAMS]) {
    return sum((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

struct Norm {
    const float *weight, *bias;
    float epsilon;
};

// LayerNorm of x + added, in place; mean and variance in two passes.
inline void normalise(float *x, const float *added, const Norm &norm, int64_t count) {
    const int64_t full = count / LANES * LANES;
    Floats sums[STREAMS] = {}, squares[STREAMS] = {};
    float total = 0;
    vectors(count, [&](int64_t i, int k) {
        Floats both = load(x + i) + load(added + i);
        store(x + i, both);
        sums[k] += both;
    });
    for (int64_t i = full; i < count; i++) total += (x[i] += added[i]);
    const float mean = (total + sum_of(sums)) / count;
    float rest = 0;
    vectors(count, [&](int64_t i, int k) {
        Floats away = load(x + i) - mean;
        squares[k] += away * away;
    });
    for (int64_t i = full; i < count; i++) rest += (x[i] - mean) * (x[i] - mean);
    const float factor = 1.0f / std::sqrt((rest + sum_of(squares)) / count + norm.epsilon);
    for (int64_t i = 0; i < full; i += LANES)
        store(x + i, (load(x + i) - mean) * factor * load(norm.weight + i) + load(norm.bias + i));
    for (int64_t i = full; i < count; i++)
        x[i] = (x[i] - mean) * factor * norm.weight[i] + norm.bias[i];
}

// x sigmoid(2 u) = x / 2 (1 + tanh u) with u = sqrt(2 / pi) (x + 0.044715 x^3).
inline Floats gelu_tanh(Floats x) {
    const Floats power = x * (-1.5957691216f * LOG2E - 0.0713548163f * LOG2E * (x * x));
    // 2^115 is enough to leave nothing
    return x * reciprocal(1.0f + power_of_two(smaller(power, all(115.0f))));
}

// x / 2 (1 + erf(x / sqrt 2)), erf after Abramowitz and Stegun 7.1.26: within 1.5e-7.
inline Floats gelu_erf(Floats x) {
    Floats z = x * 0.70710678f;
    Floats a = z < 0 ? -z : z;
    Floats t = reciprocal(1.0f + 0.3275911f * a);
    Floats p = 1.061405429f * t - 1.453152027f;
    p = p * t + 1.421413741f;
    p = p * t - 0.284496736f;
    p = p * t + 0.254829592f;
    Floats erf = 1.0f - p * t * exponential(-a * a);
    return 0.5f * x * (1.0f + (z < 0 ? -erf : erf));
}

}  // namespace litebert
