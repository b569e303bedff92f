/* One small interface over the four loops, so that one test can run in each of them. What is tested
 * is behind it: the reactors of examples-c, in the real loops.
 *
 * loop_begin, loop_end: makes and frees the loop. loop_reactor: the ready-made reactor for it.
 * loop_turn: one turn; with `wait` it does not return before something was ready.
 * loop_is_ready: would a turn call something, if a descriptor in the loop is readable? Where the loop
 * cannot be asked that, it tells whether there is a descriptor in it at all.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef LOOP_H
#define LOOP_H

#include "check.h"

#if defined LOOP_EPOLL

#include "reactor_epoll.h"

static struct reactor_epoll loop;

static void loop_begin(void)
{
    CHECK_OK(reactor_epoll_init(&loop));
}

static inotify_watcher_reactor loop_reactor(void)
{
    return reactor_epoll(&loop);
}

static void loop_turn(bool wait)
{
    CHECK_OK(reactor_epoll_turn(&loop, wait ? -1 : 0));
}

static bool loop_is_ready(void)
{
    struct epoll_event event;

    return CHECK_SYS(epoll_wait(loop.fd, &event, 1, 0)) > 0;
}

static void loop_end(void)
{
    reactor_epoll_free(&loop);
}

#elif defined LOOP_LIBEVENT

#include "reactor_libevent.h"

static struct event_base *loop;

/* It warns on standard error of what its callers could have known; nothing here gives it cause to. */
static void loop_says(int severity, const char *message)
{
    if (severity >= EVENT_LOG_WARN)
        check_fail(__FILE__, __LINE__, "libevent: %s", message);
}

static void loop_begin(void)
{
    event_set_log_callback(loop_says);
    loop = event_base_new();
    CHECK(loop != NULL);
}

static inotify_watcher_reactor loop_reactor(void)
{
    return reactor_libevent(loop);
}

static void loop_turn(bool wait)
{
    CHECK(event_base_loop(loop, wait ? EVLOOP_ONCE : EVLOOP_NONBLOCK) >= 0);
}

static bool loop_is_ready(void)
{
    return event_base_get_num_events(loop, EVENT_BASE_COUNT_ADDED) > 0;
}

static void loop_end(void)
{
    event_base_free(loop);
    libevent_global_shutdown();
}

#elif defined LOOP_LIBUV

#include "reactor_libuv.h"

static uv_loop_t loop;

static void loop_begin(void)
{
    CHECK_EQ(uv_loop_init(&loop), 0);
}

static inotify_watcher_reactor loop_reactor(void)
{
    return reactor_libuv(&loop);
}

static void loop_turn(bool wait)
{
    uv_run(&loop, wait ? UV_RUN_ONCE : UV_RUN_NOWAIT);
}

static void count_active(uv_handle_t *handle, void *count)
{
    if (uv_is_active(handle) && !uv_is_closing(handle))
        ++*(unsigned *)count;
}

static bool loop_is_ready(void)
{
    unsigned count = 0;

    uv_walk(&loop, count_active, &count);
    return count > 0;
}

static void loop_end(void)
{
    uv_run(&loop, UV_RUN_NOWAIT);
    CHECK_EQ(uv_loop_close(&loop), 0);
}

#elif defined LOOP_GLIB

#include "reactor_glib.h"

static GMainContext *loop;

static void loop_begin(void)
{
    loop = g_main_context_new();
}

static inotify_watcher_reactor loop_reactor(void)
{
    return reactor_glib(loop);
}

static void loop_turn(bool wait)
{
    g_main_context_iteration(loop, wait);
}

static bool loop_is_ready(void)
{
    return g_main_context_pending(loop);
}

static void loop_end(void)
{
    g_main_context_unref(loop);
}

#else
#error "which loop?"
#endif

#endif /* LOOP_H */
