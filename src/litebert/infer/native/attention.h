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

// The lanes of two vectors by number, those of the second one counted from LANES on.
inline Ints lanes_of(Ints one, Ints other, Ints numbers) {
#ifdef __clang__
    Ints found;
    for (int i = 0; i < LANES; i++)
        found[i] = numbers[i] < LANES ? one[numbers[i]] : other[numbers[i] - LANES];
    return found;
#else
    return __builtin_shuffle(one, other, numbers);
#endif
}

// LANES rows of LANES four-byte numbers, turned in place: one butterfly for each bit of a place.
template <int BIT = 1> inline void turn(Ints *rows) {
    if constexpr (BIT < LANES) {
        Ints low{}, high{};
        for (int i = 0; i < LANES; i++) {
            low[i] = i & BIT ? i - BIT + LANES : i;
            high[i] = i & BIT ? i + LANES : i + BIT;
        }
        for (int i = 0; i < LANES; i++)
            if (!(i & BIT)) {
                const Ints one = rows[i], other = rows[i + BIT];
                rows[i] = lanes_of(one, other, low);
                rows[i + BIT] = lanes_of(one, other, high);
            }
        turn<2 * BIT>(rows);
    }
}

// Keys as the columns of a product: four bytes of a key after another, `size` numbers each.
template <class Kind>
void lay_keys(const typename Kind::Number *from, int64_t size, int64_t length, char *to) {
    const int64_t steps = size / Kind::NUMBERS, whole = steps / LANES * LANES;
    for (int64_t first = 0; first < length; first += PANEL, to += steps * 4 * PANEL)
        for (int64_t column = 0; column < PANEL; column += LANES) {
            const int64_t keys = std::clamp<int64_t>(length - first - column, 0, LANES);
            const char *key = reinterpret_cast<const char *>(from + (first + column) * size);
            auto place = [&](int64_t step) { return to + (step * PANEL + column) * 4; };
            for (int64_t step = 0; step < whole; step += LANES) {
                Ints rows[LANES];
                for (int i = 0; i < LANES; i++)
                    rows[i] = i < keys ? load_ints(key + (i * steps + step) * 4) : Ints{};
                turn(rows);
                for (int i = 0; i < LANES; i++) std::memcpy(place(step + i), &rows[i], sizeof(Ints));
            }
            for (int64_t step = whole; step < steps; step++) {
                Ints row{};
                for (int i = 0; i < keys; i++) row[i] = four_bytes(key + (i * steps + step) * 4);
                std::memcpy(place(step), &row, sizeof(Ints));
            }
        }
}

// LANES numbers of two tokens side by side, the first one's in the lower half.
inline Ints side_by_side(const uint16_t *one, const uint16_t *other) {
    typedef uint16_t Halves __attribute__((vector_size(2 * LANES)));
    Halves a, b;
    std::memcpy(&a, one, sizeof a);
    std::memcpy(&b, other, sizeof b);
    return __builtin_convertvector(a, Ints) | __builtin_convertvector(b, Ints) << 16;
}
inline Ints side_by_side(const float *one, const float *) { return load_ints(one); }

// Values as the columns of a product over tokens: numbers of NUMBERS tokens side by side.
template <class Kind>
void lay_values(const typename Kind::Number *from, int64_t size, int64_t length, char *to) {
    typedef typename Kind::Number Number;
    static const Number nothing[PANEL] = {};
    for (int64_t first = 0; first < size; first += PANEL) {
        const int64_t columns = std::min<int64_t>(PANEL, size - first);
        for (int64_t token = 0; token < length; token += Kind::NUMBERS, to += 4 * PANEL) {
            const Number *one = from + token * size + first;
            const Number *other = token + 1 < length ? one + size : nothing;
            int64_t column = 0;
            for (; column + LANES <= columns; column += LANES) {
                const Ints both = side_by_side(one + column, other + column);
                std::memcpy(to + 4 * column, &both, sizeof both);
            }
            Number *at = reinterpret_cast<Number *>(to);
            for (; column < PANEL; column++)
                for (int i = 0; i < Kind::NUMBERS; i++)
                    at[column * Kind::NUMBERS + i] = column < columns ? (i ? other : one)[column] : 0;
        }
    }
}

// What a thread needs for heads of `size` numbers of sequences of up to `longest` tokens.
template <class Kind> struct AttentionSpace {
    std::vector<char> keys, values;
    std::vector<float> scores, first;
    std::vector<typename Kind::Number> shares;

    void grow(int64_t size, int64_t longest) {
        const size_t columns = up_to(longest, PANEL);
        keys.resize(std::max(keys.size(), columns * steps_of<Kind>(size) * 4));
        const size_t laid = up_to(size, PANEL) * steps_of<Kind>(longest) * 4;
        values.resize(std::max(values.size(), laid));
        first.resize(std::max<size_t>(first.size(), up_to(size, PANEL)));
        scores.resize(std::max(scores.size(), QUERIES * columns));
        shares.resize(std::max(shares.size(), QUERIES * columns));
    }
};

// Some queries and the tokens they may see: whole panels of keys, of which a row sees a part.
struct Sight {
    int64_t first, count;  // queries
    int64_t begin, end;    // keys, `begin` a multiple of PANEL
    int64_t radius;        // tokens on either side of a query, or all of them where it is negative

    // The keys of a row, counted from `begin`.
    int64_t from(int64_t row) const {
        return radius < 0 ? 0 : std::max<int64_t>(0, first + row - radius - begin);
    }
    int64_t to(int64_t row) const {
        return radius < 0 ? end - begin : std::min(end, first + row + radius + 1) - begin;
    }
};

// The next of so many queries from `first` on; in windows the first token, which sees all, comes alone.
inline Sight sight_from(int64_t first, int64_t queries, int64_t length, int64_t radius) {
    if (radius >= 0 && first == 0) return {0, 1, 0, length, -1};
    const int64_t count = std::min(QUERIES, queries - first);
    if (radius < 0) return {first, count, 0, length, radius};
    const int64_t begin = std::max<int64_t>(0, first - radius) / PANEL * PANEL;
    return {first, count, begin, std::min(length, first + count + radius), radius};
}

// What every key of a row weighs, e^(score - highest) in `shares`; returns what they add up to.
template <class Number>
float shares_of(const float *scores, int64_t columns, float highest, float scale, Number *shares) {
    Floats totals{};
    for (int64_t i = 0; i < columns; i += LANES) {
        Floats x = load(scores + i);
        Floats share = power_of_two((x - highest) * (scale * LOG2E));
        // powers may stop at 2^-125: what is not seen must be nothing
        share = x == -INFINITY ? Floats{} : share;
        totals += share;
        put(shares + i, share);
    }
    return sum(totals);
}

// Query, key and value of one head of one sequence: (length, size) each, `size` a multiple of
// Kind::NUMBERS. Writes softmax(q k^T / sqrt(size)) v of the first `queries` of them to `out`, `width`
// floats a row. With a radius tokens see their neighbours and the first token, and that one sees all.
template <class Kind>
void attend_head(const typename Kind::Number *query, const typename Kind::Number *key,
                 const typename Kind::Number *value, int64_t size, int64_t length, int64_t queries,
                 int64_t radius, float *out, int64_t width, AttentionSpace<Kind> &space) {
    typedef typename Kind::Number Number;
    const int64_t steps = steps_of<Kind>(size), value_steps = steps_of<Kind>(length);
    lay_keys<Kind>(key, size, length, space.keys.data());
    lay_values<Kind>(value, size, length, space.values.data());
    for (int64_t i = 0; i < size; i++) space.first[i] = as_float(value[i]);
    const float scale = 1.0f / std::sqrt(static_cast<float>(size));
    Sight sight;
    for (int64_t first = 0; first < queries; first += sight.count) {
        sight = sight_from(first, queries, length, radius);
        const int64_t columns = up_to(sight.end - sight.begin, PANEL);
        const char *rows = reinterpret_cast<const char *>(query + first * size);
        auto score = [&](int64_t panel, auto put_scores) {
            rows_times_panel<Kind>(rows, size * sizeof(Number), sight.count,
                                   space.keys.data() + panel * steps * 4 * PANEL, steps, put_scores);
        };
        for (int64_t at = 0; at < columns; at += PANEL)
            score((sight.begin + at) / PANEL, [&](int64_t row, const Floats *sums) {
                for (int v = 0; v < VECTORS; v++)
                    store(&space.scores[row * columns + at + v * LANES], sums[v]);
            });
        // of the first token where it is not among the others
        float firsts[QUERIES], factors[QUERIES];
        std::fill_n(firsts, QUERIES, -INFINITY);
        if (sight.begin)
            score(0, [&](int64_t row, const Floats *sums) { firsts[row] = sums[0][0]; });
        for (int64_t row = 0; row < sight.count; row++) {
            float *scores = &space.scores[row * columns];
            const bool near = sight.begin == 0;
            std::fill(scores + near, scores + std::max<int64_t>(near, sight.from(row)), -INFINITY);
            std::fill(scores + sight.to(row), scores + columns, -INFINITY);
            Floats highs = all(firsts[row]);
            for (int64_t i = 0; i < columns; i += LANES) highs = larger(highs, load(scores + i));
            const float highest = largest(highs);
            const float own = near ? 0.0f : std::exp((firsts[row] - highest) * scale);
            const float total = own + shares_of(scores, columns, highest, scale,
                                                &space.shares[row * columns]);
            factors[row] = 1.0f / total;
            firsts[row] = own / total;
        }
        const int64_t taken = steps_of<Kind>(std::min(columns, length - sight.begin));
        for (int64_t panel = 0; panel * PANEL < size; panel++)
            rows_times_panel<Kind>(
                reinterpret_cast<const char *>(space.shares.data()), columns * sizeof(Number),
                sight.count,
                space.values.data() +
                    (panel * value_steps + sight.begin / Kind::NUMBERS) * 4 * PANEL,
                taken, [&](int64_t row, const Floats *sums) {
                    float *to = out + (first + row) * width + panel * PANEL;
                    const float *value_of_first = &space.first[panel * PANEL];
                    for (int v = 0; v < VECTORS; v++) {
                        Floats x = sums[v] * factors[row] +
                                   load(value_of_first + v * LANES) * firsts[row];
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
