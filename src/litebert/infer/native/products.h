// Dense layers on rows: weights in panels, tiles of rows times a panel, and what is done to a tile.

#pragma once

#include <algorithm>
#include <type_traits>

#include "simd.h"

namespace litebert {

inline int64_t up_to(int64_t count, int64_t multiple) {
    return (count + multiple - 1) / multiple * multiple;
}

// Four-byte steps along the rows of a product.
template <class Kind> int64_t steps_of(int64_t in) {
    return up_to(in, Kind::NUMBERS) / Kind::NUMBERS;
}

// A dense layer of (out, in) weights, laid out once: panel, step, column of the panel, four bytes.
struct Product {
    int64_t in, out;
    const void *weights;
    const float *scales;   // int8: of every column; nullptr otherwise
    const float *sums;     // int8: of the weights of every column
    const float *bias;     // of up_to(out, PANEL) columns, as scales and sums are
    const float *factors;   // int8: what rows are multiplied with first, or nullptr
};

// How a row was rounded to bytes: x = lowest + scale q.
struct RowScale {
    float scale, lowest;
};

template <class Kind> struct Panels {
    typedef typename Kind::Number Number;

    static int64_t bytes(int64_t in, int64_t out) {
        return up_to(out, PANEL) * steps_of<Kind>(in) * 4;
    }

    // Numbers of `get(column, place)`, 0 where there are none.
    template <class Get> static void fill(int64_t in, int64_t out, void *to, Get get) {
        Number *at = static_cast<Number *>(to);
        for (int64_t first = 0; first < out; first += PANEL)
            for (int64_t step = 0; step < steps_of<Kind>(in); step++)
                for (int column = 0; column < PANEL; column++)
                    for (int i = 0; i < Kind::NUMBERS; i++) {
                        int64_t place = step * Kind::NUMBERS + i, c = first + column;
                        *at++ = c < out && place < in ? get(c, place) : Number(0);
                    }
    }
};

// Steps of a panel that are taken at once: it stays in the second cache for all rows.
constexpr int64_t BLOCK = 256 * 1024 / (4 * PANEL);

// Bytes that memory gives at once, and how many such lines a step of a panel has.
constexpr int64_t LINE = 64, LINES = 4 * PANEL / LINE;

// COUNT rows times some steps of a panel; `before` has the sums of earlier steps, or is nullptr, and
// `done(row, sums)` gets the PANEL sums of every row, straight from the registers. What lies `ahead`,
// a line a step, is fetched meanwhile.
template <class Kind, int COUNT, class Done>
inline void tile(const char *rows, int64_t stride, const char *panel, int64_t steps,
                 const typename Kind::Sum (*before)[VECTORS], const char *ahead, Done done) {
    typename Kind::Sum sums[COUNT][VECTORS];
    for (int r = 0; r < COUNT; r++)
        for (int v = 0; v < VECTORS; v++)
            sums[r][v] = before ? before[r][v] : typename Kind::Sum{};
    for (int64_t step = 0; step < steps; step++) {
        Ints weights[VECTORS];
        __builtin_prefetch(ahead + step * LINE, 0, 2);
        for (int v = 0; v < VECTORS; v++)
            weights[v] = load_ints(panel + (step * VECTORS + v) * 4 * LANES);
        for (int r = 0; r < COUNT; r++) {
            int32_t x = four_bytes(rows + r * stride + 4 * step);
            for (int v = 0; v < VECTORS; v++) sums[r][v] = Kind::dot(sums[r][v], weights[v], x);
        }
    }
    for (int r = 0; r < COUNT; r++) done(r, sums[r]);
}

// Rows whose sums are kept between blocks.
constexpr int64_t MOST = 48;

// Rows, up to MOST of them, times one panel; `done(row, sums)` gets the PANEL sums of every row.
template <class Kind, class Done>
inline void rows_times_panel(const char *rows, int64_t stride, int64_t count, const char *panel,
                             int64_t steps, Done done) {
    typedef typename Kind::Sum Sum;
    Sum kept[MOST][VECTORS];
    for (int64_t begin = 0; begin < steps; begin += BLOCK) {
        const int64_t length = std::min(BLOCK, steps - begin);
        int64_t row = 0;
        auto next = [&](auto size) {
            constexpr int COUNT = decltype(size)::value;
            const char *from = rows + row * stride + begin * 4, *weights = panel + begin * 4 * PANEL;
            const Sum(*before)[VECTORS] = begin ? kept + row : nullptr;
            // a part of the same steps of the panel after this one, another part with every tile
            const int64_t part = row / ROWS % LINES;
            const char *ahead = weights + steps * 4 * PANEL + part * length * LINE;
            if (begin + length == steps)
                tile<Kind, COUNT>(from, stride, weights, length, before, ahead,
                                  [&](int r, const Sum *sums) { done(row + r, sums); });
            else
                tile<Kind, COUNT>(from, stride, weights, length, before, ahead,
                                  [&](int r, const Sum *sums) {
                                      for (int v = 0; v < VECTORS; v++) kept[row + r][v] = sums[v];
                                  });
            row += COUNT;
        };
        while (row < count) {
            // tiles of like size: a narrow one waits for its weights
            const int64_t left = count - row, tiles = (left + ROWS - 1) / ROWS;
            switch ((left + tiles - 1) / tiles) {
            case 6: next(std::integral_constant<int, 6>()); break;
            case 5: next(std::integral_constant<int, 5>()); break;
            case 4: next(std::integral_constant<int, 4>()); break;
            case 3: next(std::integral_constant<int, 3>()); break;
            case 2: next(std::integral_constant<int, 2>()); break;
            case 1: next(std::integral_constant<int, 1>()); break;
            }
        }
    }
}

// The values of a vector of columns: sums with their scales, and the bias.
template <class Kind>
inline Floats values_of(const Product &product, int64_t column, typename Kind::Sum sums,
                        const RowScale *row) {
    Floats bias = load(product.bias + column);
    if constexpr (Kind::NUMBERS == 4) {
        Floats real = converted(sums) * row->scale + load(product.sums + column) * row->lowest;
        return real * load(product.scales + column) + bias;
    } else {
        return sums + bias;
    }
}

// Rows times the panels [first, last) of a layer; `put(row, column, values)` gets LANES columns.
template <class Kind, class Put>
inline void dense(const Product &product, const void *rows, int64_t stride, const RowScale *scales,
                  int64_t count, int64_t first, int64_t last, Put put) {
    const int64_t steps = steps_of<Kind>(product.in);
    for (int64_t panel = first; panel < last; panel++) {
        const char *weights =
            static_cast<const char *>(product.weights) + panel * steps * 4 * PANEL;
        for (int64_t begin = 0; begin < count; begin += MOST)
            rows_times_panel<Kind>(
                static_cast<const char *>(rows) + begin * stride, stride,
                std::min(MOST, count - begin), weights, steps,
                [&](int64_t place, const typename Kind::Sum *sums) {
                    const int64_t row = begin + place;
                    const RowScale *scale = Kind::NUMBERS == 4 ? scales + row : nullptr;
                    for (int v = 0; v < VECTORS; v++) {
                        const int64_t column = panel * PANEL + v * LANES;
                        put(row, column, values_of<Kind>(product, column, sums[v], scale));
                    }
                });
    }
}

}  // namespace litebert
