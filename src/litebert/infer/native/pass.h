// A pass of packed sequences through blocks: all layers in one call, threads meeting between stages.
//
// Between products rows stay fp32: residuals, LayerNorm, softmax and GELU. A few dozen rows go through
// a whole block while they are in a core's cache; where rows are few, threads share out the columns.

#pragma once

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <new>
#include <numeric>
#include <vector>

#include "attention.h"
#include "rows.h"
#include "threads.h"

namespace litebert {

// Rows that go through a block together, and so many a thread below which columns are shared out.
constexpr int64_t CHUNK = 48, FEW = 32;

struct AttentionWeights {
    Product qkv, output;
    Norm norm;
};

struct FeedForwardWeights {
    Product inner, output;
    Norm norm;
    int64_t tanh;
};

struct Step {
    const AttentionWeights *attention;
    const FeedForwardWeights *feed_forward;
    int64_t radius;  // of windows of attention, negative where it is full
};

// Sequences end to end, and what is asked of them.
struct Request {
    const float *from;  // (tokens, hidden): what the first layer gets
    float *x;           // (tokens or wanted rows, the more, hidden): what the last one gives
    int64_t hidden, heads, sequences;
    const int64_t *offsets;  // sequences + 1
    const int64_t *wanted;   // rows that are needed after the last attention, or nullptr for all
    int64_t wanted_count;

    int64_t tokens() const { return offsets[sequences]; }
};

// Memory that is kept for the next pass; `grow` loses what was in it.
class Space {
  public:
    template <class T> T *grow(int64_t count) {
        const size_t bytes = up_to(count * sizeof(T) + 64, 64);
        if (bytes > size_) {
            std::free(memory_);
            memory_ = std::aligned_alloc(64, bytes);
            size_ = memory_ ? bytes : 0;
            if (!memory_) throw std::bad_alloc();
        }
        return static_cast<T *>(memory_);
    }
    template <class T> T *get() const { return static_cast<T *>(memory_); }

    Space() = default;
    Space(const Space &) = delete;
    ~Space() { std::free(memory_); }

  private:
    void *memory_ = nullptr;
    size_t size_ = 0;
};

// What one thread, or all of them together, need for a chunk of rows.
struct Workspace {
    Space operand, scales, inner, outer;
};

// Who takes part in a chunk: number `part` of `parts`, who meet between its stages.
struct Part {
    int part, parts;
    Meeting &meeting;
    Workspace &space;

    template <class Each> void each(int64_t count, Each work) const {
        for (int64_t i = count * part / parts; i < count * (part + 1) / parts; i++) work(i);
    }
    void meet() const { meeting.wait(); }
};

// A pass whose dense layers multiply numbers of one kind and whose attention those of another.
template <class Dense, class Attend> class Pass {
    typedef typename Attend::Number Number;

  public:
    void run(const Request &request, const Step *steps, int64_t layers, int threads) {
        prepare(request, *steps, threads);
        const int64_t tokens = tokens_;
        Meeting meeting(threads);
        std::atomic<int64_t> next_chunk{0}, next_head{0};
        Team::of(threads).run([&](int thread) {
            auto chunks = [&](int64_t rows, auto work) {
                share_out(thread, threads, meeting, rows, next_chunk, work);
                meeting.wait();
            };
            chunks(tokens, [&](const Part &part, int64_t first, int64_t count) {
                part.each(count, [&](int64_t row) {
                    float *x = x_ + (first + row) * hidden_;
                    std::copy_n(request.from + (first + row) * hidden_, hidden_, x);
                    round_row(part, row, x, steps->attention->qkv);
                });
                part.meet();
                project(part, count, first, steps->attention->qkv);
            });
            for (int64_t layer = 0; layer < layers; layer++) {
                const bool ends = layer + 1 == layers;
                attend(request, steps[layer].radius, ends, spaces_[thread], next_head);
                meeting.wait();
                int64_t rows = tokens;
                if (!thread) next_head = 0, next_chunk = 0;
                if (ends && request.wanted) {
                    rows = request.wanted_count;
                    if (!thread) take(request);
                }
                meeting.wait();
                const Product *qkv = ends ? nullptr : &steps[layer + 1].attention->qkv;
                chunks(rows, [&](const Part &part, int64_t first, int64_t count) {
                    finish(part, first, count, steps[layer], qkv);
                });
            }
        });
    }

  private:
    void prepare(const Request &request, const Step &step, int threads) {
        x_ = request.x;
        hidden_ = request.hidden;
        tokens_ = request.tokens();
        size_ = hidden_ / request.heads;
        outer_width_ = up_to(hidden_, PANEL);
        inner_width_ = up_to(step.feed_forward->inner.out, PANEL);
        qkv_ = qkv_space_.template grow<Number>(3 * hidden_ * tokens_);
        places_.resize(up_to(3 * hidden_, PANEL) / LANES);
        for (size_t i = 0; i < places_.size(); i++) {
            const int64_t column = i * LANES, place = column % size_;
            const bool whole = column < 3 * hidden_ && place + LANES <= size_;
            places_[i] = whole ? column / size_ * tokens_ * size_ + place : -1;
        }
        const int64_t rows = std::max(tokens_, request.wanted_count);
        attended_ = attended_space_.template grow<float>(rows * hidden_);
        taken_space_.template grow<float>(request.wanted_count * hidden_);
        order_.resize(request.sequences);
        std::iota(order_.begin(), order_.end(), 0);
        // the longest first: none is left over at the end
        const int64_t *at = request.offsets;
        std::stable_sort(order_.begin(), order_.end(), [&](int64_t a, int64_t b) {
            return at[a + 1] - at[a] > at[b + 1] - at[b];
        });
        queries_.assign(request.sequences, 0);
        for (int64_t i = 0; i < request.wanted_count; i++) {
            const int64_t row = request.wanted[i];
            const int64_t sequence = std::upper_bound(at, at + request.sequences, row) - at - 1;
            queries_[sequence] = std::max(queries_[sequence], row - at[sequence] + 1);
        }
        while (spaces_.size() < static_cast<size_t>(threads)) {
            spaces_.push_back(std::make_unique<AttentionSpace<Attend>>());
            works_.push_back(std::make_unique<Workspace>());
        }
        int64_t longest = 0;
        for (int64_t i = 0; i < request.sequences; i++) longest = std::max(longest, at[i + 1] - at[i]);
        for (auto &space : spaces_) space->grow(size_, longest);
        const int64_t most = std::max<int64_t>(CHUNK, FEW * threads);
        const int64_t widest = std::max(hidden_, step.feed_forward->inner.out);
        for (auto &work : works_) {
            work->operand.template grow<char>(most * steps_of<Dense>(widest) * 4);
            work->scales.template grow<RowScale>(most);
            work->inner.template grow<float>(most * inner_width_);
            work->outer.template grow<float>(most * outer_width_);
        }
    }

    // Chunks of rows to threads, or one chunk to all of them where rows are few.
    template <class Work>
    void share_out(int thread, int threads, Meeting &meeting, int64_t rows,
                   std::atomic<int64_t> &next, Work work) {
        if (rows <= FEW * threads) return work(Part{thread, threads, meeting, *works_[0]}, 0, rows);
        // chunks of like size, as many for each thread
        const int64_t chunks = threads * ((rows + CHUNK * threads - 1) / (CHUNK * threads));
        Meeting alone(1);
        for (int64_t i; (i = next.fetch_add(1)) < chunks;) {
            const int64_t first = rows * i / chunks;
            work(Part{0, 1, alone, *works_[thread]}, first, rows * (i + 1) / chunks - first);
        }
    }

    // At the end no further than the last query of a sequence whose row is wanted.
    void attend(const Request &request, int64_t radius, bool ends,
                std::unique_ptr<AttentionSpace<Attend>> &space, std::atomic<int64_t> &next) {
        const int64_t heads = request.heads;
        for (int64_t i; (i = next.fetch_add(1)) < heads * request.sequences;) {
            const int64_t sequence = order_[i / heads], first = request.offsets[sequence];
            const int64_t head = i % heads, length = request.offsets[sequence + 1] - first;
            const int64_t queries = ends && request.wanted ? queries_[sequence] : length;
            if (!queries) continue;
            const Number *query = plane(head) + first * size_;
            const Number *key = plane(heads + head) + first * size_;
            const Number *value = plane(2 * heads + head) + first * size_;
            attend_head<Attend>(query, key, value, size_, length, queries, radius,
                                attended_ + first * hidden_ + head * size_, hidden_, *space);
        }
    }

    // What of the last attention is needed, in front.
    void take(const Request &request) {
        for (float *rows : {x_, attended_}) {
            float *taken = taken_space_.template get<float>();
            for (int64_t i = 0; i < request.wanted_count; i++)
                std::copy_n(rows + request.wanted[i] * hidden_, hidden_, taken + i * hidden_);
            std::copy_n(taken, request.wanted_count * hidden_, rows);
        }
    }

    // Everything after attention for some rows, and the next layer's projection of them.
    void finish(const Part &part, int64_t first, int64_t count, const Step &step,
                const Product *next) {
        const AttentionWeights &attention = *step.attention;
        const FeedForwardWeights &feed = *step.feed_forward;
        float *x = x_ + first * hidden_, *attended = attended_ + first * hidden_;
        float *inner = part.space.inner.template get<float>();
        float *outer = part.space.outer.template get<float>();
        auto to_outer = [&](int64_t row, int64_t column, Floats values) {
            store(outer + row * outer_width_ + column, values);
        };
        round(part, count, attended, hidden_, attention.output);
        multiply(part, count, attended, hidden_, attention.output, to_outer);
        part.meet();
        part.each(count, [&](int64_t row) {
            normalise(x + row * hidden_, outer + row * outer_width_, attention.norm, hidden_);
            round_row(part, row, x + row * hidden_, feed.inner);
        });
        part.meet();
        multiply(part, count, x, hidden_, feed.inner,
                 [&](int64_t row, int64_t column, Floats values) {
                     store(inner + row * inner_width_ + column,
                           feed.tanh ? gelu_tanh(values) : gelu_erf(values));
                 });
        part.meet();
        round(part, count, inner, inner_width_, feed.output);
        multiply(part, count, inner, inner_width_, feed.output, to_outer);
        part.meet();
        part.each(count, [&](int64_t row) {
            normalise(x + row * hidden_, outer + row * outer_width_, feed.norm, hidden_);
            if (next) round_row(part, row, x + row * hidden_, *next);
        });
        part.meet();
        if (next) project(part, count, first, *next);
    }

    // Query, key and value of rows that are rounded already.
    void project(const Part &part, int64_t count, int64_t first, const Product &product) {
        multiply(part, count, x_ + first * hidden_, hidden_, product,
                 [&](int64_t row, int64_t column, Floats values) {
                     const int64_t place = places_[column / LANES];
                     if (place >= 0) return put(qkv_ + place + (first + row) * size_, values);
                     for (int64_t i = 0; i < LANES && column + i < 3 * hidden_; i++)
                         put_one(plane((column + i) / size_) + (first + row) * size_ +
                                     (column + i) % size_,
                                 values[i]);
                 });
    }

    // Queries, keys and values of a head of all tokens, (tokens, size) together; the heads' queries
    // come first, then their keys, then their values.
    Number *plane(int64_t number) const { return qkv_ + number * tokens_ * size_; }

    // Rows in the numbers of the product that takes them; fp32 ones are taken as they are.
    void round(const Part &part, int64_t count, const float *from, int64_t width,
               const Product &product) {
        part.each(count, [&](int64_t row) { round_row(part, row, from + row * width, product); });
        part.meet();
    }

    void round_row(const Part &part, int64_t row, const float *from, const Product &product) {
        char *to = part.space.operand.template get<char>() + row * steps_of<Dense>(product.in) * 4;
        if constexpr (Dense::NUMBERS == 4)
            part.space.scales.template get<RowScale>()[row] =
                put_row(from, product.in, product.factors, reinterpret_cast<uint8_t *>(to));
        else if constexpr (Dense::NUMBERS == 2)
            put_row(from, product.in, reinterpret_cast<uint16_t *>(to));
    }

    template <class Put>
    void multiply(const Part &part, int64_t count, const float *from, int64_t width,
                  const Product &product, Put put) {
        const int64_t panels = up_to(product.out, PANEL) / PANEL;
        const bool rounded = Dense::NUMBERS > 1;
        const void *rows = rounded ? part.space.operand.template get<void>() : from;
        dense<Dense>(product, rows, rounded ? steps_of<Dense>(product.in) * 4 : width * 4,
                     part.space.scales.template get<RowScale>(), count,
                     panels * part.part / part.parts, panels * (part.part + 1) / part.parts, put);
    }

    float *x_ = nullptr, *attended_ = nullptr;
    Number *qkv_ = nullptr;
    int64_t tokens_ = 0, hidden_ = 0, size_ = 0, outer_width_ = 0, inner_width_ = 0;
    Space qkv_space_, attended_space_, taken_space_;
    std::vector<int64_t> order_;
    std::vector<int64_t> queries_;  // of each sequence, up to the last one that is wanted
    std::vector<int64_t> places_;  // of vectors of columns in a token's planes, -1 for several heads
    std::vector<std::unique_ptr<AttentionSpace<Attend>>> spaces_;
    std::vector<std::unique_ptr<Workspace>> works_;
};

}  // namespace litebert
