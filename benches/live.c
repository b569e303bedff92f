/* The watcher's loops: beside a running writer, and until everything has been told.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

static sem_t gate;
static atomic_bool gate_shut;
static void (*gate_hook)(uint32_t, const char *, size_t);

static void pause_ns(long ns)
{
    struct timespec t = {ns / 1000000000, ns % 1000000000};
    while (nanosleep(&t, &t) && errno == EINTR)
        ;
}

static int pump_checked(void)
{
    int r = impl.pump();
    if (r < 0)
        die("pump", r);
    return r;
}

uint64_t drain_all(void)
{
    uint64_t calls = 0;
    if (impl.threaded) {
        settle();
        return 0;
    }
    do
        calls++;
    while (pump_checked() > 0);
    return calls;
}

/* Nothing says when a threaded implementation is done: it is when it used no CPU for 100 ms. */
void settle(void)
{
    if (!impl.threaded) {
        drain_all();
        return;
    }
    int64_t before = cpu_ns();
    for (int quiet = 0; quiet < 10;) {
        pause_ns(10000000);
        int64_t after = cpu_ns();
        /* This loop itself takes some ten microseconds a turn. */
        quiet = after - before < 200000 ? quiet + 1 : 0;
        before = after;
    }
}

void live_run(void)
{
    struct epoll_event ev[2];
    bool over = false;
    if (impl.threaded) {
        writer_await();
        settle();
        return;
    }
    int ep = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event a = {.events = EPOLLIN, .data.fd = impl.fd()};
    struct epoll_event b = {.events = EPOLLIN, .data.fd = writer_fd()};
    if (ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, a.data.fd, &a) ||
        epoll_ctl(ep, EPOLL_CTL_ADD, b.data.fd, &b))
        die("epoll", errno);
    while (!over) {
        int n = epoll_wait(ep, ev, 2, -1);
        for (int i = 0; i < n; i++) {
            if (ev[i].data.fd == writer_fd()) {
                writer_await();
                over = true;
                continue;
            }
            if (opt.delay_us)
                pause_ns((long)opt.delay_us * 1000);
            pump_checked();
        }
    }
    close(ep);
    drain_all();
}

static void gate_wait(uint32_t mask, const char *path, size_t path_len)
{
    if (atomic_load_explicit(&gate_shut, memory_order_acquire))
        while (sem_wait(&gate))
            ;
    if (gate_hook)
        gate_hook(mask, path, path_len);
}

void gate_close(void)
{
    static bool ready;
    if (!impl.threaded)
        return;
    if (!ready) {
        sem_init(&gate, 0, 0);
        gate_hook = told.hook;
        told.hook = gate_wait;
        ready = true;
    }
    atomic_store_explicit(&gate_shut, true, memory_order_release);
}

void gate_open(void)
{
    if (!impl.threaded)
        return;
    atomic_store_explicit(&gate_shut, false, memory_order_release);
    sem_post(&gate);
}

int cmp_i64(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}
