/* Watchers and streams in a GLib main loop, and so in a GTK program.
 *
 *     inotify_watcher_reactor reactor = reactor_glib(NULL);
 *
 *     options.reactor = &reactor;
 *     watcher = inotify_watcher_create(&options);
 *     ... inotify_watcher_start_reading(watcher);
 *     g_main_loop_run(loop);
 *
 * Each is a source of the given context (NULL: the default one) with the default priority: one
 * bounded do_read or do_write a dispatch.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef REACTOR_GLIB_H
#define REACTOR_GLIB_H

#include <glib-unix.h>
#include <glib.h>
#include <rinotify.h>

static inline gboolean reactor_glib_readable(gint fd, GIOCondition condition, gpointer watcher)
{
    (void)fd;
    (void)condition;
    (void)inotify_watcher_do_read((inotify_watcher *)watcher);
    return G_SOURCE_CONTINUE;
}

static inline gboolean reactor_glib_writable(gint fd, GIOCondition condition, gpointer stream)
{
    (void)fd;
    (void)condition;
    (void)inotify_watcher_stream_do_write((inotify_watcher_stream *)stream);
    return G_SOURCE_CONTINUE;
}

static inline int reactor_glib_add(void *context, int fd, GIOCondition condition,
                                   GUnixFDSourceFunc function, void *object, void **slot)
{
    GSource *source = g_unix_fd_source_new(fd, condition);

    /* GLib wants every callback as this type, and calls it as what it is. */
    g_source_set_callback(source, G_SOURCE_FUNC(function), object, NULL);
    g_source_attach(source, (GMainContext *)context);
    *slot = source;
    return 0;
}

static inline int reactor_glib_remove(void **slot)
{
    GSource *source = (GSource *)*slot;

    /* It is not dispatched any more, also if it was ready already. */
    g_source_destroy(source);
    g_source_unref(source);
    *slot = NULL;
    return 0;
}

static inline int reactor_glib_add_reader(void *context, int fd, inotify_watcher *watcher,
                                          void **slot)
{
    return reactor_glib_add(context, fd, G_IO_IN, reactor_glib_readable, watcher, slot);
}

static inline int reactor_glib_remove_reader(void *context, int fd, inotify_watcher *watcher,
                                             void **slot)
{
    (void)context;
    (void)fd;
    (void)watcher;
    return reactor_glib_remove(slot);
}

static inline int reactor_glib_add_writer(void *context, int fd, inotify_watcher_stream *stream,
                                          void **slot)
{
    GIOCondition condition = (GIOCondition)(G_IO_OUT | G_IO_ERR | G_IO_HUP);

    return reactor_glib_add(context, fd, condition, reactor_glib_writable, stream, slot);
}

static inline int reactor_glib_remove_writer(void *context, int fd, inotify_watcher_stream *stream,
                                             void **slot)
{
    (void)context;
    (void)fd;
    (void)stream;
    return reactor_glib_remove(slot);
}

/* What goes into the options of a watcher or a stream. */
static inline inotify_watcher_reactor reactor_glib(GMainContext *context)
{
    inotify_watcher_reactor reactor;

    reactor.size = sizeof reactor;
    reactor.context = context;
    reactor.add_reader = reactor_glib_add_reader;
    reactor.remove_reader = reactor_glib_remove_reader;
    reactor.add_writer = reactor_glib_add_writer;
    reactor.remove_writer = reactor_glib_remove_writer;
    return reactor;
}

#endif /* REACTOR_GLIB_H */
