/* Watchers and streams in a libuv loop.
 *
 *     inotify_watcher_reactor reactor = reactor_libuv(uv_default_loop());
 *
 *     options.reactor = &reactor;
 *     watcher = inotify_watcher_create(&options);
 *     ... inotify_watcher_start_reading(watcher);
 *     uv_run(uv_default_loop(), UV_RUN_DEFAULT);
 *
 * Polling is level-triggered: one bounded do_read or do_write a call. A paused watcher does not keep
 * uv_run() going. Destroy the watchers and streams, then run the loop once more before it is closed,
 * as libuv wants it for every handle.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef REACTOR_LIBUV_H
#define REACTOR_LIBUV_H

#include <errno.h>
#include <rinotify.h>
#include <stdlib.h>
#include <uv.h>

static inline void reactor_libuv_readable(uv_poll_t *poll, int status, int events)
{
    /* A failure, too, is for do_read to find. */
    (void)status;
    (void)events;
    (void)inotify_watcher_do_read((inotify_watcher *)poll->data);
}

static inline void reactor_libuv_writable(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    (void)inotify_watcher_stream_do_write((inotify_watcher_stream *)poll->data);
}

static inline void reactor_libuv_closed(uv_handle_t *handle)
{
    free(handle);
}

static inline int reactor_libuv_add(void *loop, int fd, int events, uv_poll_cb callback, void *object,
                                    void **slot)
{
    uv_poll_t *poll = (uv_poll_t *)malloc(sizeof *poll);
    int result;

    if (poll == NULL)
        return -ENOMEM;
    /* libuv's errors are negative errno values; a regular file is UV_EPERM. */
    result = uv_poll_init((uv_loop_t *)loop, poll, fd);
    if (result != 0) {
        free(poll);
        return result;
    }
    poll->data = object;
    result = uv_poll_start(poll, events, callback);
    if (result != 0) {
        uv_close((uv_handle_t *)poll, reactor_libuv_closed);
        return result;
    }
    *slot = poll;
    return 0;
}

static inline int reactor_libuv_remove(void **slot)
{
    /* It polls no more from here on; the memory is the loop's until its next turn. */
    uv_close((uv_handle_t *)*slot, reactor_libuv_closed);
    *slot = NULL;
    return 0;
}

static inline int reactor_libuv_add_reader(void *loop, int fd, inotify_watcher *watcher, void **slot)
{
    return reactor_libuv_add(loop, fd, UV_READABLE, reactor_libuv_readable, watcher, slot);
}

static inline int reactor_libuv_remove_reader(void *loop, int fd, inotify_watcher *watcher,
                                              void **slot)
{
    (void)loop;
    (void)fd;
    (void)watcher;
    return reactor_libuv_remove(slot);
}

static inline int reactor_libuv_add_writer(void *loop, int fd, inotify_watcher_stream *stream,
                                           void **slot)
{
    return reactor_libuv_add(loop, fd, UV_WRITABLE, reactor_libuv_writable, stream, slot);
}

static inline int reactor_libuv_remove_writer(void *loop, int fd, inotify_watcher_stream *stream,
                                              void **slot)
{
    (void)loop;
    (void)fd;
    (void)stream;
    return reactor_libuv_remove(slot);
}

/* What goes into the options of a watcher or a stream. */
static inline inotify_watcher_reactor reactor_libuv(uv_loop_t *loop)
{
    inotify_watcher_reactor reactor;

    reactor.size = sizeof reactor;
    reactor.context = loop;
    reactor.add_reader = reactor_libuv_add_reader;
    reactor.remove_reader = reactor_libuv_remove_reader;
    reactor.add_writer = reactor_libuv_add_writer;
    reactor.remove_writer = reactor_libuv_remove_writer;
    return reactor;
}

#endif /* REACTOR_LIBUV_H */
