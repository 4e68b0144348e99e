// Threads that stay: a call takes microseconds, as a pass makes many of them.

#pragma once

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "simd.h"

// Of the OpenMP that computes for PyTorch; null where there is none.
extern "C" {
__attribute__((weak)) int omp_get_proc_bind();
__attribute__((weak)) int omp_get_num_places();
__attribute__((weak)) int omp_get_place_num_procs(int place);
__attribute__((weak)) void omp_get_place_proc_ids(int place, int *cores);
}

namespace litebert {

// Cores that OpenMP binds threads to, the caller to the first of them; none where it binds nobody.
inline const cpu_set_t &bound_cores() {
    static const cpu_set_t found = [] {
        cpu_set_t cores;
        CPU_ZERO(&cores);
        if (!omp_get_proc_bind || !omp_get_num_places || !omp_get_place_num_procs ||
            !omp_get_place_proc_ids || !omp_get_proc_bind())
            return cores;
        for (int place = 0; place < omp_get_num_places(); place++) {
            std::vector<int> ids(omp_get_place_num_procs(place));
            omp_get_place_proc_ids(place, ids.data());
            for (int id : ids) CPU_SET(id, &cores);
        }
        return cores;
    }();
    return found;
}

// Cores that the caller may use, or could before OpenMP bound it; none where they are not known.
inline cpu_set_t cores_of_caller() {
    cpu_set_t cores;
    if (sched_getaffinity(0, sizeof cores, &cores)) CPU_ZERO(&cores);
    CPU_OR(&cores, &cores, &bound_cores());
    return cores;
}

// So many threads, but no more than cores: they wait for each other, and one without a core of its
// own takes milliseconds to come.
inline int64_t threads_on_cores(int64_t wanted) {
    const cpu_set_t cores = cores_of_caller();
    return std::min<int64_t>(wanted, CPU_COUNT(&cores) ? CPU_COUNT(&cores) : wanted);
}

// Turns of waiting before a thread lets others have its core: a tenth of a millisecond or less.
constexpr int SPINS = 2000;

// All of some threads meet here, again and again.
class Meeting {
  public:
    explicit Meeting(int count) : count_(count) {}

    void wait() {
        if (count_ == 1) return;
        const int round = round_.load(std::memory_order_relaxed);
        if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == count_) {
            arrived_.store(0, std::memory_order_relaxed);
            round_.store(round + 1, std::memory_order_release);
            return;
        }
        for (int spins = 0; round_.load(std::memory_order_acquire) == round; spins++)
            spins < SPINS ? _mm_pause() : static_cast<void>(sched_yield());
    }

  private:
    const int count_;
    std::atomic<int> arrived_{0}, round_{0};
};

class Team {
  public:
    // A team of so many, the caller among them; the same one again while the number stays.
    static Team &of(int count) {
        // never ended with the process: threads may be at work then, or be another process's
        static Team *team = nullptr;
        // threads do not survive a fork: the child leaves the team alone and makes its own
        if (team && team->process_ != getpid()) team = nullptr;
        if (!team || team->count_ != count) {
            delete team;
            team = nullptr;
            team = new Team(count);
        }
        return *team;
    }

    // `work(number)` by every thread at once; returns when all are done.
    void run(const std::function<void(int)> &work) {
        if (count_ == 1) return work(0);
        leave_to_caller(sched_getcpu());
        left_.store(count_ - 1, std::memory_order_relaxed);
        {
            std::lock_guard<std::mutex> lock(mutex_);
            work_ = &work;
            round_.fetch_add(1, std::memory_order_release);
        }
        begun_.notify_all();
        work(0);
        for (int spins = 0; left_.load(std::memory_order_acquire); spins++)
            spins < SPINS ? _mm_pause() : static_cast<void>(sched_yield());
    }

    ~Team() { end(); }

  private:
    explicit Team(int count) : count_(count), process_(getpid()) {
        try {
            for (int number = 1; number < count; number++)
                threads_.emplace_back([this, number] { serve(number); });
        } catch (...) {
            end();
            throw;
        }
    }

    // The others may be anywhere but where the caller is: a kernel that wakes them there keeps them
    // there for milliseconds, all on one core.
    void leave_to_caller(int core) {
        if (core == callers_) return;
        callers_ = core;
        cpu_set_t cores = cores_of_caller();
        if (core < 0 || CPU_COUNT(&cores) < 2) return;
        CPU_CLR(core, &cores);
        for (std::thread &thread : threads_)
            pthread_setaffinity_np(thread.native_handle(), sizeof cores, &cores);
    }

    void end() {
        {
            std::lock_guard<std::mutex> lock(mutex_);
            over_ = true;
            round_.fetch_add(1, std::memory_order_release);
        }
        begun_.notify_all();
        for (std::thread &thread : threads_) thread.join();
    }

    void serve(int number) {
        for (int seen = 0;;) {
            for (int spins = 0; spins < SPINS && round_.load(std::memory_order_acquire) == seen;
                 spins++)
                _mm_pause();
            if (round_.load(std::memory_order_acquire) == seen) {
                std::unique_lock<std::mutex> lock(mutex_);
                begun_.wait(lock, [&] { return round_.load(std::memory_order_acquire) != seen; });
            }
            seen++;
            if (over_) return;
            (*work_)(number);
            left_.fetch_sub(1, std::memory_order_release);
        }
    }

    const int count_;
    const pid_t process_;
    int callers_ = -1;
    std::mutex mutex_;
    std::condition_variable begun_;
    const std::function<void(int)> *work_ = nullptr;
    std::atomic<int> round_{0}, left_{0};
    bool over_ = false;
    std::vector<std::thread> threads_;
};

}  // namespace litebert
