// Attention inside sequences: one head of one sequence at a time, scores never leave the cache.

#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "products.h"

namespace litebert {

// Queries that are scored together.
constexpr int64_t QUERIES = 4 * ROWS;
static_assert(QUERIES <= MOST, "their sums have a place");

// Keys as the columns of a product: four bytes of a key after another, `size` numbers each.
template <class Kind>
void lay_keys(const typename Kind::Number *from, int64_t size, int64_t length, char *to) {
    const int64_t steps = size / Kind::NUMBERS;
    for (int64_t first = 0; first < length; first += PANEL, to += steps * 4 * PANEL)
        for (int64_t column = 0; column < PANEL; column++) {
            const char *key = reinterpret_cast<const char *>(from + (first + column) * size);
            const bool real = first + column < length;
            for (int64_t step = 0; step < steps; step++) {
                const int32_t x = real ? four_bytes(key + 4 * step) : 0;
                std::memcpy(to + (step * PANEL + column) * 4, &x, 4);
            }
        }
}

// Values as the columns of a product over tokens: numbers of NUMBERS tokens side by side.
template <class Kind>
void lay_values(const typename Kind::Number *from, int64_t size, int64_t length, char *to) {
    typedef typename Kind::Number Number;
    static const Number nothing[PANEL] = {};
    for (int64_t first = 0; first < size; first += PANEL) {
        const int64_t columns = std::min<int64_t>(PANEL, size - first);
        for (int64_t token = 0; token < length; token += Kind::NUMBERS, to += 4 * PANEL) {
            Number *at = reinterpret_cast<Number *>(to);
            const Number *one = from + token * size + first;
            const bool pair = Kind::NUMBERS == 2 && token + 1 < length;
            const Number *other = pair ? one + size : nothing;
            for (int64_t column = 0; column < columns; column++) {
                at[column * Kind::NUMBERS] = one[column];
                if (Kind::NUMBERS == 2) at[column * Kind::NUMBERS + 1] = other[column];
            }
            for (int64_t i = columns * Kind::NUMBERS; i < PANEL * Kind::NUMBERS; i++) at[i] = 0;
        }
    }
}

// What a thread needs for heads of `size` numbers of sequences of up to `longest` tokens.
template <class Kind> struct AttentionSpace {
    std::vector<char> keys, values;
    std::vector<float> scores;
    std::vector<typename Kind::Number> shares;

    void grow(int64_t size, int64_t longest) {
        const size_t columns = up_to(longest, PANEL);
        keys.resize(std::max(keys.size(), columns * steps_of<Kind>(size) * 4));
        const size_t laid = up_to(size, PANEL) * steps_of<Kind>(longest) * 4;
        values.resize(std::max(values.size(), laid));
        scores.resize(std::max(scores.size(), QUERIES * columns));
        shares.resize(std::max(shares.size(), QUERIES * columns));
    }
};

// Query, key and value of one head of one sequence: (length, size) each, `size` a multiple of
// Kind::NUMBERS. Writes softmax(q k^T / sqrt(size)) v to `out`, `width` floats a row.
template <class Kind>
void attend_head(const typename Kind::Number *query, const typename Kind::Number *key,
                 const typename Kind::Number *value, int64_t size, int64_t length, float *out,
                 int64_t width, AttentionSpace<Kind> &space) {
    typedef typename Kind::Number Number;
    const int64_t columns = up_to(length, PANEL), steps = steps_of<Kind>(size);
    const int64_t value_steps = steps_of<Kind>(length);
    lay_keys<Kind>(key, size, length, space.keys.data());
    lay_values<Kind>(value, size, length, space.values.data());
    const float scale = 1.0f / std::sqrt(static_cast<float>(size));
    for (int64_t first = 0; first < length; first += QUERIES) {
        const int64_t count = std::min(QUERIES, length - first);
        for (int64_t panel = 0; panel < columns / PANEL; panel++)
            rows_times_panel<Kind>(
                reinterpret_cast<const char *>(query + first * size), size * sizeof(Number), count,
                space.keys.data() + panel * steps * 4 * PANEL, steps,
                [&](int64_t row, const Floats *sums) {
                    for (int v = 0; v < VECTORS; v++)
                        store(&space.scores[row * columns + panel * PANEL + v * LANES], sums[v]);
                });
        float factors[QUERIES];
        for (int64_t row = 0; row < count; row++) {
            float *scores = &space.scores[row * columns];
            for (int64_t i = length; i < columns; i++) scores[i] = -INFINITY;
            Floats highs = load(scores);
            for (int64_t i = LANES; i < columns; i += LANES) highs = larger(highs, load(scores + i));
            const float high = largest(highs);
            Floats totals{};
            Number *shares = &space.shares[row * columns];
            for (int64_t i = 0; i < columns; i += LANES) {
                Floats x = load(scores + i);
                Floats share = exponential((x - high) * scale);
                // exponential stops at -87: columns past the end must be nothing
                share = x == -INFINITY ? Floats{} : share;
                totals += share;
                put(shares + i, share);
            }
            factors[row] = 1.0f / sum(totals);
        }
        for (int64_t panel = 0; panel * PANEL < size; panel++)
            rows_times_panel<Kind>(
                reinterpret_cast<const char *>(space.shares.data()),
                columns * sizeof(Number), count,
                space.values.data() + panel * value_steps * 4 * PANEL, value_steps,
                [&](int64_t row, const Floats *sums) {
                    float *to = out + (first + row) * width + panel * PANEL;
                    for (int v = 0; v < VECTORS; v++) {
                        Floats x = sums[v] * factors[row];
                        const int64_t left = size - panel * PANEL - v * LANES;
                        if (left >= LANES)
                            store(to + v * LANES, x);
                        else
                            for (int64_t i = 0; i < left; i++) to[v * LANES + i] = x[i];
                    }
                });
    }
}

}  // namespace litebert
