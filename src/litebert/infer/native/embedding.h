// What is around the blocks, in fp32: embeddings before the first one, and the pooler.
//
// They are here and not in PyTorch because its threads keep a core for milliseconds after their work,
// which the blocks' threads would have to share with them.

#pragma once

#include <algorithm>
#include <vector>

#include "rows.h"
#include "threads.h"

namespace litebert {

struct Embeddings {
    const float *tokens, *segments, *positions;  // tables of `width` columns
    int64_t vocabulary, types, places;           // and their rows
    int64_t width;
    Norm norm;
    const Product *projection;  // fp32, or nullptr
};

// LANES columns of a row of `width`, or those there are.
inline void put_columns(float *row, int64_t column, int64_t width, Floats values) {
    if (column + LANES <= width) return store(row + column, values);
    for (int64_t i = 0; column + i < width; i++) row[column + i] = values[i];
}

// (count, projection's out or width) into `out`; false, and nothing written that is of use, for an id
// that a table does not have.
inline bool embed(const Embeddings &tables, const int64_t *tokens, const int64_t *segments,
                  const int64_t *positions, int64_t count, float *out, int threads) {
    for (int64_t i = 0; i < count; i++) {
        const bool known = 0 <= tokens[i] && tokens[i] < tables.vocabulary;
        const bool placed = 0 <= positions[i] && positions[i] < tables.places;
        if (!known || !placed || segments[i] < 0 || segments[i] >= tables.types) return false;
    }
    const int64_t width = tables.width, chunks = (count + MOST - 1) / MOST;
    // for each thread, of its own so that none waits to write
    std::vector<std::vector<float>> spaces(threads);
    const int64_t parts = std::max<int64_t>(chunks, std::min<int64_t>(threads, count));
    for (auto &space : spaces) space.resize(MOST * width);
    Team::of(threads).run([&](int thread) {
        float *rows = spaces[thread].data();
        for (int64_t part = thread; part < parts; part += threads) {
            const int64_t first = count * part / parts, last = count * (part + 1) / parts;
            for (int64_t i = first; i < last; i++) {
                const float *token = tables.tokens + tokens[i] * width;
                const float *segment = tables.segments + segments[i] * width;
                float *row = rows + (i - first) * width;
                for (int64_t k = 0; k < width; k++) row[k] = token[k] + segment[k];
                normalise(row, tables.positions + positions[i] * width, tables.norm, width);
            }
            if (!tables.projection) {
                std::copy_n(rows, (last - first) * width, out + first * width);
                continue;
            }
            const int64_t hidden = tables.projection->out;
            dense<Float32>(*tables.projection, rows, width * 4, nullptr, last - first, 0,
                           up_to(hidden, PANEL) / PANEL,
                           [&](int64_t row, int64_t column, Floats values) {
                               put_columns(out + (first + row) * hidden, column, hidden, values);
                           });
        }
    });
    return true;
}

// tanh of a dense fp32 layer of rows, (count, in) to (count, out); threads share out the columns.
inline void pool(const Product &product, const float *rows, int64_t count, float *out,
                 int threads) {
    const int64_t panels = up_to(product.out, PANEL) / PANEL;
    Team::of(threads).run([&](int thread) {
        dense<Float32>(product, rows, product.in * 4, nullptr, count, panels * thread / threads,
                       panels * (thread + 1) / threads,
                       [&](int64_t row, int64_t column, Floats values) {
                           // 2e-7 off at most; a large e^2x leaves 1
                           const Floats tanh = 1.0f - 2.0f / (1.0f + exponential(2.0f * values));
                           put_columns(out + row * product.out, column, product.out, tanh);
                       });
    });
}

}  // namespace litebert
