// What Python calls: sizes, layouts and the pass, for numbers of a kind given by bits (32, 16 or 8).

#include <pthread.h>

#include <mutex>

#include "embedding.h"
#include "pass.h"

using namespace litebert;

namespace {

template <class Work> auto of_kind(int64_t bits, Work work) {
    switch (bits) {
    case 32: return work(Float32());
    case 16: return work(BFloat16());
    default: return work(Int8());
    }
}

template <class Dense, class Attend>
void run(const Request &request, const Step *steps, int64_t layers, int threads) {
    // never destroyed: a thread may be in it when the process ends
    static Pass<Dense, Attend> &pass = *new Pass<Dense, Attend>;
    pass.run(request, steps, layers, threads);
}

// One pass at a time: its threads are all there are.
std::mutex &pass_mutex() {
    static std::mutex &mutex = []() -> std::mutex & {
        // a fork waits for the pass under way, whose thread the child would not have
        pthread_atfork([] { pass_mutex().lock(); }, [] { pass_mutex().unlock(); },
                       [] { pass_mutex().unlock(); });
        return *new std::mutex;
    }();
    return mutex;
}

template <class Work> int alone(Work work) {
    std::lock_guard<std::mutex> lock(pass_mutex());
    try {
        return work();
    } catch (...) {
        return 1;
    }
}

}  // namespace

#pragma GCC visibility push(default)
extern "C" {

// Columns that vectors of a layer (bias, scales, sums) are filled up to with zeros.
int64_t litebert_panel() { return PANEL; }

int64_t litebert_laid_bytes(int64_t bits, int64_t in, int64_t out) {
    return of_kind(bits, [&](auto kind) { return Panels<decltype(kind)>::bytes(in, out); });
}

// Lays out (out, in) weights of a kind for products.
void litebert_lay(int64_t bits, const void *weights, int64_t in, int64_t out, void *to) {
    of_kind(bits, [&](auto kind) {
        typedef typename decltype(kind)::Number Number;
        const Number *from = static_cast<const Number *>(weights);
        Panels<decltype(kind)>::fill(in, out, to, [&](int64_t column, int64_t place) {
            return from[column * in + place];
        });
    });
}

// How many of so many threads have a core each: what to give the following.
int64_t litebert_threads(int64_t wanted) { return threads_on_cores(wanted); }

// All of the following: 0, or 1 without enough memory or threads.

int litebert_pass(int64_t bits, const Request *request, const Step *steps, int64_t layers,
                  int64_t threads) {
    return alone([&] {
        switch (bits) {
        case 32: run<Float32, Float32>(*request, steps, layers, threads); break;
        case 16: run<BFloat16, Half>(*request, steps, layers, threads); break;
        default: run<Int8, Half>(*request, steps, layers, threads);
        }
        return 0;
    });
}

// 2 for an id that a table does not have.
int litebert_embed(const Embeddings *tables, const int64_t *tokens, const int64_t *segments,
                   const int64_t *positions, int64_t count, float *out, int64_t threads) {
    return alone([&] {
        return embed(*tables, tokens, segments, positions, count, out, threads) ? 0 : 2;
    });
}

int litebert_pool(const Product *product, const float *rows, int64_t count, float *out,
                  int64_t threads) {
    return alone([&] {
        pool(*product, rows, count, out, threads);
        return 0;
    });
}
}
#pragma GCC visibility pop
