// What is done row by row between products: rounding to their kind, LayerNorm, GELU.

#pragma once

#include <cmath>

#include "products.h"

namespace litebert {

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
    Floats lows = all(INFINITY), highs = all(-INFINITY), bad{};
    float worst = 0;
    for (; i < full; i += LANES) {
        Floats x = load(from + i);
        if (factors) x = x * load(factors + i);
        lows = smaller(lows, x);
        highs = larger(highs, x);
        bad += x * 0.0f;
    }
    if (full) low = -largest(-lows), high = largest(highs);
    for (; i < count; i++) {
        float x = factors ? from[i] * factors[i] : from[i];
        low = x < low ? x : low;
        high = x > high ? x : high;
        worst += x * 0.0f;
    }
    low += worst + sum(bad);
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

struct Norm {
    const float *weight, *bias;
    float epsilon;
};

// LayerNorm of x + added, in place; mean and variance in two passes.
inline void normalise(float *x, const float *added, const Norm &norm, int64_t count) {
    const int64_t full = count / LANES * LANES;
    Floats sums{};
    float total = 0;
    for (int64_t i = 0; i < full; i += LANES) {
        Floats both = load(x + i) + load(added + i);
        store(x + i, both);
        sums += both;
    }
    for (int64_t i = full; i < count; i++) total += (x[i] += added[i]);
    const float mean = (total + sum(sums)) / count;
    Floats squares{};
    float rest = 0;
    for (int64_t i = 0; i < full; i += LANES) {
        Floats away = load(x + i) - mean;
        squares += away * away;
    }
    for (int64_t i = full; i < count; i++) rest += (x[i] - mean) * (x[i] - mean);
    const float factor = 1.0f / std::sqrt((rest + sum(squares)) / count + norm.epsilon);
    for (int64_t i = 0; i < full; i += LANES)
        store(x + i, (load(x + i) - mean) * factor * load(norm.weight + i) + load(norm.bias + i));
    for (int64_t i = full; i < count; i++)
        x[i] = (x[i] - mean) * factor * norm.weight[i] + norm.bias[i];
}

// x sigmoid(2 u) = x / 2 (1 + tanh u) with u = sqrt(2 / pi) (x + 0.044715 x^3).
inline Floats gelu_tanh(Floats x) {
    Floats u2 = x * (1.5957691216f + 0.0713548163f * x * x);
    return x / (1.0f + exponential(-u2));
}

// x / 2 (1 + erf(x / sqrt 2)), erf after Abramowitz and Stegun 7.1.26: within 1.5e-7.
inline Floats gelu_erf(Floats x) {
    Floats z = x * 0.70710678f;
    Floats a = z < 0 ? -z : z;
    Floats t = 1.0f / (1.0f + 0.3275911f * a);
    Floats p = 1.061405429f * t - 1.453152027f;
    p = p * t + 1.421413741f;
    p = p * t - 0.284496736f;
    p = p * t + 0.254829592f;
    Floats erf = 1.0f - p * t * exponential(-a * a);
    return 0.5f * x * (1.0f + (z < 0 ? -erf : erf));
}

}  // namespace litebert
