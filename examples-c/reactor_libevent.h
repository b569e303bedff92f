/* Watchers and streams in a libevent loop.
 *
 *     inotify_watcher_reactor reactor = reactor_libevent(base);
 *
 *     options.reactor = &reactor;
 *     watcher = inotify_watcher_create(&options);
 *     ... inotify_watcher_start_reading(watcher);
 *     event_base_dispatch(base);
 *
 * The events are persistent and level-triggered: one bounded do_read or do_write a call. Destroy the
 * watchers and streams before the base.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef REACTOR_LIBEVENT_H
#define REACTOR_LIBEVENT_H

#include <errno.h>
#include <event2/event.h>
#include <rinotify.h>
#include <sys/stat.h>

static inline void reactor_libevent_readable(evutil_socket_t fd, short what, void *watcher)
{
    (void)fd;
    (void)what;
    (void)inotify_watcher_do_read((inotify_watcher *)watcher);
}

static inline void reactor_libevent_writable(evutil_socket_t fd, short what, void *stream)
{
    (void)fd;
    (void)what;
    (void)inotify_watcher_stream_do_write((inotify_watcher_stream *)stream);
}

static inline int reactor_libevent_add(void *base, int fd, short what, event_callback_fn callback,
                                       void *object, void **slot)
{
    struct event *event = event_new((struct event_base *)base, fd, what | EV_PERSIST, callback, object);

    if (event == NULL)
        return -ENOMEM;
    errno = 0;
    if (event_add(event, NULL) == -1) {
        int error = errno != 0 ? errno : ENOMEM;

        event_free(event);
        return -error;
    }
    *slot = event;
    return 0;
}

static inline int reactor_libevent_remove(void **slot)
{
    /* Also forgets it if it is already in line to be called. */
    event_free((struct event *)*slot);
    *slot = NULL;
    return 0;
}

static inline int reactor_libevent_add_reader(void *base, int fd, inotify_watcher *watcher,
                                              void **slot)
{
    return reactor_libevent_add(base, fd, EV_READ, reactor_libevent_readable, watcher, slot);
}

static inline int reactor_libevent_remove_reader(void *base, int fd, inotify_watcher *watcher,
                                                 void **slot)
{
    (void)base;
    (void)fd;
    (void)watcher;
    return reactor_libevent_remove(slot);
}

static inline int reactor_libevent_add_writer(void *base, int fd, inotify_watcher_stream *stream,
                                              void **slot)
{
    struct stat status;

    /* Always ready, and epoll does not take it: better said before libevent warns about it. */
    if (fstat(fd, &status) == 0 && (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode)))
        return -EPERM;
    return reactor_libevent_add(base, fd, EV_WRITE, reactor_libevent_writable, stream, slot);
}

static inline int reactor_libevent_remove_writer(void *base, int fd, inotify_watcher_stream *stream,
                                                 void **slot)
{
    (void)base;
    (void)fd;
    (void)stream;
    return reactor_libevent_remove(slot);
}

/* What goes into the options of a watcher or a stream. */
static inline inotify_watcher_reactor reactor_libevent(struct event_base *base)
{
    inotify_watcher_reactor reactor;

    reactor.size = sizeof reactor;
    reactor.context = base;
    reactor.add_reader = reactor_libevent_add_reader;
    reactor.remove_reader = reactor_libevent_remove_reader;
    reactor.add_writer = reactor_libevent_add_writer;
    reactor.remove_writer = reactor_libevent_remove_writer;
    return reactor;
}

#endif /* REACTOR_LIBEVENT_H */
