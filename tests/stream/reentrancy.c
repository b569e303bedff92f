/* Every function inside every callback of the same stream, destroy included. Whatever is done, the
 * end is told exactly once, after it nothing is called, and nothing is leaked or used when freed
 * (which valgrind sees).
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "stream.h"

enum callback {
    IN_WRITE,
    IN_ADD,
    IN_REMOVE,
    IN_PAUSE,
    IN_RESUME,
    IN_STOP,
    IN_FORMATTER,
    IN_LOG,
    IN_LOST,
    CALLBACKS
};

/* On the heap, and gone as soon as the interface says that it is not needed any more. */
struct actor {
    inotify_watcher_stream *stream;
    enum callback where;
    void (*act)(struct actor *);
    bool acted;
    unsigned lost;
    bool added;
    bool full;
    bool destroyed;
};

static struct actor *actor;

static void at(enum callback where, void *user_data)
{
    struct actor *self = user_data;

    /* It is freed after the last callback: none comes later. */
    CHECK(self == actor);
    CHECK(!self->destroyed);
    if (where == self->where && !self->acted) {
        self->acted = true;
        self->act(self);
    }
}

static ptrdiff_t on_write(inotify_watcher_stream *stream, int fd, const void *data, size_t size,
                          void *user_data)
{
    struct actor *self = user_data;
    bool full = self->full;

    (void)stream;
    (void)fd;
    (void)data;
    CHECK_EQ(self->lost, 0);
    self->full = !full;
    at(IN_WRITE, user_data);
    return full ? -EPIPE : (ptrdiff_t)(size < 30 ? size : 30);
}

static int on_add(void *context, int fd, inotify_watcher_stream *stream, void **slot)
{
    struct actor *self = context;

    (void)fd;
    CHECK(stream == self->stream);
    CHECK(!self->added);
    CHECK(*slot == NULL);
    CHECK_EQ(self->lost, 0);
    *slot = self;
    self->added = true;
    at(IN_ADD, self);
    return 0;
}

static int on_remove(void *context, int fd, inotify_watcher_stream *stream, void **slot)
{
    struct actor *self = context;

    (void)fd;
    CHECK(stream == self->stream);
    CHECK(self->added);
    CHECK(*slot == self);
    CHECK_EQ(self->lost, 0);
    *slot = NULL;
    self->added = false;
    at(IN_REMOVE, self);
    return 0;
}

static void on_pause(void *context)
{
    at(IN_PAUSE, context);
}

static void on_resume(void *context)
{
    at(IN_RESUME, context);
}

static void on_stop(void *context)
{
    const struct actor *self = context;

    /* One that is refused after the end is told so, too. */
    CHECK(self->lost == 0 || self->where == IN_LOST);
    at(IN_STOP, context);
}

static size_t on_format(const inotify_watcher_event *event, char *buffer, size_t size,
                        void *user_data)
{
    CHECK_EQ(event->watch, 5);
    at(IN_FORMATTER, user_data);
    return (size_t)snprintf(buffer, size, "event\n");
}

static void on_log(uint32_t level, const char *prefix, const char *message, void *user_data)
{
    (void)level;
    (void)message;
    CHECK_STR(prefix, "test");
    at(IN_LOG, user_data);
}

static void on_lost(inotify_watcher_stream *stream, int reason, void *user_data)
{
    struct actor *self = user_data;

    (void)reason;
    CHECK(stream == self->stream);
    CHECK(!self->added);
    CHECK_EQ(self->lost, 0);
    self->lost = 1;
    at(IN_LOST, user_data);
}

/* ---- The acts. */

static inotify_watcher_producer producer_of(struct actor *self)
{
    inotify_watcher_producer producer = {.size = sizeof producer, .context = self};

    producer.pause_producing = on_pause;
    producer.resume_producing = on_resume;
    producer.stop_producing = on_stop;
    return producer;
}

static void do_write(struct actor *self)
{
    int result = inotify_watcher_stream_do_write(self->stream);

    if (self->where == IN_WRITE)
        CHECK_EQ(result, -EBUSY);
}

static void write_much(struct actor *self)
{
    static const char bytes[200];

    inotify_watcher_stream_write(self->stream, bytes, sizeof bytes);
}

static void write_sequence(struct actor *self)
{
    inotify_watcher_stream_piece pieces[] = {{"ab", 2}, {"c", 1}};

    inotify_watcher_stream_write_sequence(self->stream, pieces, 2);
}

static void write_some_data(struct actor *self)
{
    inotify_watcher_stream_write_some_data(self->stream, "direct", 6);
}

static void start_writing(struct actor *self)
{
    inotify_watcher_stream_start_writing(self->stream);
}

static void stop_writing(struct actor *self)
{
    inotify_watcher_stream_stop_writing(self->stream);
}

static void lose_connection(struct actor *self)
{
    inotify_watcher_stream_lose_connection(self->stream);
}

static void lose_write_connection(struct actor *self)
{
    inotify_watcher_stream_lose_write_connection(self->stream);
}

static void abort_it(struct actor *self)
{
    inotify_watcher_stream_abort(self->stream, ECONNRESET);
}

static void destroy(struct actor *self)
{
    inotify_watcher_stream_destroy(self->stream);
    CHECK_EQ(self->lost, 1);
    self->destroyed = true;
}

static void register_push(struct actor *self)
{
    inotify_watcher_producer producer = producer_of(self);

    inotify_watcher_stream_register_producer(self->stream, &producer, 1);
}

static void register_pull(struct actor *self)
{
    inotify_watcher_producer producer = producer_of(self);

    inotify_watcher_stream_unregister_producer(self->stream);
    inotify_watcher_stream_register_producer(self->stream, &producer, 0);
}

static void unregister(struct actor *self)
{
    inotify_watcher_stream_unregister_producer(self->stream);
}

static void stop_consuming(struct actor *self)
{
    inotify_watcher_stream_stop_consuming(self->stream);
}

static void event(struct actor *self)
{
    inotify_watcher_event some = {.size = sizeof some, .watch = 5, .path = "p", .path_len = 1};

    inotify_watcher_stream_callback(NULL, &some, self->stream);
}

static void ask(struct actor *self)
{
    inotify_watcher_stream_stats stats = {.size = sizeof stats};

    inotify_watcher_stream_fileno(self->stream);
    inotify_watcher_stream_wants_write(self->stream);
    inotify_watcher_stream_is_send_buffer_full(self->stream);
    inotify_watcher_stream_buffered(self->stream);
    CHECK_EQ(inotify_watcher_stream_get_stats(self->stream, &stats), 0);
}

/* Another stream, inside a callback of this one. */
static void another(struct actor *self)
{
    struct ends ends = small_pipe();
    inotify_watcher_stream *stream = make_stream(ends.writer, NULL);

    (void)self;
    CHECK_OK(inotify_watcher_stream_write(stream, "x", 1));
    CHECK_OK(inotify_watcher_stream_do_write(stream));
    inotify_watcher_stream_destroy(stream);
    CHECK_SYS(close(ends.writer));
    CHECK_SYS(close(ends.reader));
}

static void (*const acts[])(struct actor *) = {
    do_write,      write_much,      write_sequence,        write_some_data, start_writing,
    stop_writing,  lose_connection, lose_write_connection, abort_it,        destroy,
    register_push, register_pull,   unregister,            stop_consuming,  event,
    ask,           another,
};

/* A life in which every callback occurs, for one kind of producer or the other. Was there an
 * occasion to act? */
static bool live(enum callback where, void (*act)(struct actor *), int streaming)
{
    inotify_watcher_reactor reactor = {.size = sizeof reactor};
    inotify_watcher_stream_options options = {.size = sizeof options};
    inotify_watcher_producer producer;
    struct ends ends = small_pipe();
    bool acted;

    actor = calloc(1, sizeof *actor);
    CHECK(actor != NULL);
    actor->where = where;
    actor->act = act;
    reactor.context = actor;
    reactor.add_writer = on_add;
    reactor.remove_writer = on_remove;
    options.flags = RINOTIFY_STREAM_CLOSE_FD;
    options.buffer_size = 50;
    options.reactor = &reactor;
    options.write = on_write;
    options.connection_lost = on_lost;
    options.formatter = on_format;
    options.log = on_log;
    options.log_prefix = "test";
    options.user_data = actor;
    actor->stream = make_stream(ends.writer, &options);
    producer = producer_of(actor);

    inotify_watcher_stream_register_producer(actor->stream, &producer, streaming);
    if (!actor->destroyed)
        event(actor);
    for (int i = 0; i < 4 && !actor->destroyed; i++) {
        actor->full = false;
        inotify_watcher_stream_write(actor->stream, "twenty bytes or more", 20);
        if (!actor->destroyed && actor->added)
            inotify_watcher_stream_do_write(actor->stream);
    }
    for (int i = 0; i < 20 && !actor->destroyed; i++) {
        actor->full = false;
        inotify_watcher_stream_do_write(actor->stream);
    }
    if (!actor->destroyed)
        write_much(actor);
    /* The end, by a failure of the third write. */
    for (int i = 0; i < 5 && !actor->destroyed; i++) {
        actor->full = i >= 2;
        inotify_watcher_stream_do_write(actor->stream);
    }
    if (!actor->destroyed)
        inotify_watcher_stream_destroy(actor->stream);
    CHECK_EQ(actor->lost, 1);
    CHECK(!is_open(ends.writer));
    CHECK_SYS(close(ends.reader));
    acted = actor->acted;
    free(actor);
    return acted;
}

int main(void)
{
    check_begin(240);
    for (int where = 0; where < CALLBACKS; where++)
        for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++)
            CHECK(live((enum callback)where, acts[i], 1) | live((enum callback)where, acts[i], 0));
    return 0;
}
