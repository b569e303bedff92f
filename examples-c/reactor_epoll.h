/* Watchers and streams in an epoll loop of the program's own.
 *
 *     struct reactor_epoll loop;
 *     inotify_watcher_reactor reactor;
 *
 *     if (reactor_epoll_init(&loop) < 0) ...
 *     reactor = reactor_epoll(&loop);
 *     options.reactor = &reactor;
 *     watcher = inotify_watcher_create(&options);
 *     ... inotify_watcher_start_reading(watcher);
 *     while (...)
 *         reactor_epoll_turn(&loop, -1);
 *     inotify_watcher_destroy(watcher);
 *     reactor_epoll_free(&loop);
 *
 * Level-triggered, so that one bounded do_read or do_write a turn is enough and every descriptor
 * gets its share. All on one thread. epoll holds a descriptor only once: a stream over a socket that
 * the program also reads in this loop needs a dup(2) of it.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef REACTOR_EPOLL_H
#define REACTOR_EPOLL_H

#include <errno.h>
#include <rinotify.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

struct reactor_epoll_entry {
    inotify_watcher *watcher; /* one of the two; both NULL: removed */
    inotify_watcher_stream *stream;
    struct reactor_epoll_entry *next;
};

struct reactor_epoll {
    int fd;
    /* Removed, but a turn may still have an event for it. */
    struct reactor_epoll_entry *removed;
};

static inline int reactor_epoll_init(struct reactor_epoll *loop)
{
    loop->removed = NULL;
    loop->fd = epoll_create1(EPOLL_CLOEXEC);
    return loop->fd == -1 ? -errno : 0;
}

static inline void reactor_epoll_sweep(struct reactor_epoll *loop)
{
    while (loop->removed != NULL) {
        struct reactor_epoll_entry *entry = loop->removed;

        loop->removed = entry->next;
        free(entry);
    }
}

/* After the last watcher and stream. */
static inline void reactor_epoll_free(struct reactor_epoll *loop)
{
    reactor_epoll_sweep(loop);
    close(loop->fd);
}

/* Waits, at most so many milliseconds (-1: for ever), and calls whatever is ready. Returns how many
 * descriptors were, or a negative errno. */
static inline int reactor_epoll_turn(struct reactor_epoll *loop, int milliseconds)
{
    struct epoll_event events[16];
    int count = epoll_wait(loop->fd, events, 16, milliseconds);

    if (count == -1)
        return errno == EINTR ? 0 : -errno;
    for (int i = 0; i < count; i++) {
        struct reactor_epoll_entry *entry = (struct reactor_epoll_entry *)events[i].data.ptr;

        /* What one of them calls may remove any other. */
        if (entry->watcher != NULL)
            (void)inotify_watcher_do_read(entry->watcher);
        else if (entry->stream != NULL)
            (void)inotify_watcher_stream_do_write(entry->stream);
    }
    reactor_epoll_sweep(loop);
    return count;
}

static inline int reactor_epoll_add(struct reactor_epoll *loop, int fd, inotify_watcher *watcher,
                                    inotify_watcher_stream *stream, void **slot)
{
    struct reactor_epoll_entry *entry = (struct reactor_epoll_entry *)malloc(sizeof *entry);
    struct epoll_event event;

    if (entry == NULL)
        return -ENOMEM;
    entry->watcher = watcher;
    entry->stream = stream;
    event.events = watcher != NULL ? EPOLLIN : EPOLLOUT;
    event.data.ptr = entry;
    if (epoll_ctl(loop->fd, EPOLL_CTL_ADD, fd, &event) == -1) {
        int error = errno; /* EPERM: a regular file, which is always ready */

        free(entry);
        return -error;
    }
    *slot = entry;
    return 0;
}

static inline int reactor_epoll_remove(struct reactor_epoll *loop, int fd, void **slot)
{
    struct reactor_epoll_entry *entry = (struct reactor_epoll_entry *)*slot;
    int result = epoll_ctl(loop->fd, EPOLL_CTL_DEL, fd, NULL);

    entry->watcher = NULL;
    entry->stream = NULL;
    entry->next = loop->removed;
    loop->removed = entry;
    *slot = NULL;
    return result == -1 ? -errno : 0;
}

static inline int reactor_epoll_add_reader(void *loop, int fd, inotify_watcher *watcher, void **slot)
{
    return reactor_epoll_add((struct reactor_epoll *)loop, fd, watcher, NULL, slot);
}

static inline int reactor_epoll_remove_reader(void *loop, int fd, inotify_watcher *watcher,
                                              void **slot)
{
    (void)watcher;
    return reactor_epoll_remove((struct reactor_epoll *)loop, fd, slot);
}

static inline int reactor_epoll_add_writer(void *loop, int fd, inotify_watcher_stream *stream,
                                           void **slot)
{
    return reactor_epoll_add((struct reactor_epoll *)loop, fd, NULL, stream, slot);
}

static inline int reactor_epoll_remove_writer(void *loop, int fd, inotify_watcher_stream *stream,
                                              void **slot)
{
    (void)stream;
    return reactor_epoll_remove((struct reactor_epoll *)loop, fd, slot);
}

/* What goes into the options of a watcher or a stream. The loop must outlive them. */
static inline inotify_watcher_reactor reactor_epoll(struct reactor_epoll *loop)
{
    inotify_watcher_reactor reactor;

    reactor.size = sizeof reactor;
    reactor.context = loop;
    reactor.add_reader = reactor_epoll_add_reader;
    reactor.remove_reader = reactor_epoll_remove_reader;
    reactor.add_writer = reactor_epoll_add_writer;
    reactor.remove_writer = reactor_epoll_remove_writer;
    return reactor;
}

#endif /* REACTOR_EPOLL_H */
