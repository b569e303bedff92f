/* Producers, push and pull: held back while the buffer is full, asked again when it is drained, told
 * when it is over.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "stream.h"

/* A producer of bytes that tell their place. */
struct source {
    inotify_watcher_stream *stream;
    size_t at;
    size_t end;
    bool paused;
    unsigned pauses;
    unsigned resumes;
    unsigned stops;
    bool unregister_at_end;
};

static void pause_it(void *context)
{
    struct source *source = context;

    CHECK_EQ(source->stops, 0);
    CHECK(inotify_watcher_stream_is_send_buffer_full(source->stream) == 1);
    source->paused = true;
    source->pauses++;
}

static void resume_it(void *context)
{
    struct source *source = context;

    CHECK_EQ(source->stops, 0);
    CHECK(source->paused);
    source->paused = false;
    source->resumes++;
}

/* Writes one piece each time it is asked. */
static void next_piece(void *context)
{
    struct source *source = context;

    CHECK_EQ(source->stops, 0);
    CHECK_EQ(inotify_watcher_stream_buffered(source->stream), 0);
    source->resumes++;
    if (source->at < source->end)
        put(source->stream, &source->at, 3000);
    else if (source->unregister_at_end)
        CHECK_OK(inotify_watcher_stream_unregister_producer(source->stream));
}

static void stop_it(void *context)
{
    struct source *source = context;

    source->stops++;
    CHECK_EQ(source->stops, 1);
    CHECK_EQ(inotify_watcher_stream_fileno(source->stream), -1);
}

static inotify_watcher_producer push_of(struct source *source)
{
    inotify_watcher_producer producer = {.size = sizeof producer, .context = source};

    producer.pause_producing = pause_it;
    producer.resume_producing = resume_it;
    producer.stop_producing = stop_it;
    return producer;
}

static inotify_watcher_producer pull_of(struct source *source)
{
    inotify_watcher_producer producer = {.size = sizeof producer, .context = source};

    producer.resume_producing = next_piece;
    producer.stop_producing = stop_it;
    return producer;
}

#define PUSH_STATE (RINOTIFY_STREAM_PRODUCER | RINOTIFY_STREAM_STREAMING_PRODUCER)

/* Ten megabytes through a push producer that obeys: the memory stays where it is. */
static void obedient_push(void)
{
    struct ends ends = small_pipe();
    struct life life;
    inotify_watcher_stream_options options = options_for(&life);
    struct source source = {0};
    inotify_watcher_producer producer = push_of(&source);
    inotify_watcher_stream *stream;
    size_t out = 0;

    stream = source.stream = make_stream(ends.writer, &options);
    CHECK_EQ(inotify_watcher_stream_register_producer(stream, &producer, 1), 0);
    CHECK_EQ(STATE(stream), RINOTIFY_STREAM_CONNECTED | PUSH_STATE);
    CHECK_EQ(inotify_watcher_stream_register_producer(stream, &producer, 1), -EBUSY);
    while (source.at < 10000000) {
        if (!source.paused) {
            put(stream, &source.at, 1000);
            continue;
        }
        CHECK(inotify_watcher_stream_buffered(stream) > 0);
        CHECK(STATE(stream) & RINOTIFY_STREAM_PRODUCER_PAUSED);
        CHECK_OK(inotify_watcher_stream_do_write(stream));
        take_all(ends.reader, &out);
    }
    CHECK(source.pauses > 100);
    CHECK_EQ(source.resumes, source.pauses);
    CHECK_EQ(stream_stats(stream).pauses, source.pauses);
    CHECK_EQ(stream_stats(stream).resumes, source.resumes);
    CHECK(stream_stats(stream).buffered_peak <= 65536 + 1000);
    CHECK(stream_stats(stream).memory < 300000);
    /* Unregistered while paused: it stays so, nobody resumes it. */
    while (!source.paused)
        put(stream, &source.at, 1000);
    CHECK_OK(inotify_watcher_stream_unregister_producer(stream));
    CHECK_OK(inotify_watcher_stream_unregister_producer(stream));
    while (inotify_watcher_stream_wants_write(stream)) {
        CHECK_OK(inotify_watcher_stream_do_write(stream));
        take_all(ends.reader, &out);
    }
    CHECK(source.paused);
    CHECK_EQ(out, source.at);
    inotify_watcher_stream_destroy(stream);
    CHECK_EQ(source.stops, 0);
    CHECK_SYS(close(ends.writer));
    CHECK_SYS(close(ends.reader));
}

/* One that does not: its bytes are taken, and each write says it again; up to the hard limit. */
static void stubborn_push(void)
{
    struct ends ends = small_pipe();
    struct life life;
    inotify_watcher_stream_options options = options_for(&life);
    struct source source = {0};
    inotify_watcher_producer producer = push_of(&source);
    static const char bytes[1000];
    inotify_watcher_stream *stream;

    options.buffer_size = 10000;
    options.max_buffer = 50000;
    stream = source.stream = make_stream(ends.writer, &options);
    CHECK_EQ(inotify_watcher_stream_register_producer(stream, &producer, 1), 0);
    for (unsigned i = 1; i <= 50; i++) {
        CHECK_EQ(inotify_watcher_stream_write(stream, bytes, sizeof bytes), i > 10);
        CHECK_EQ(source.pauses, i > 10 ? i - 10 : 0);
    }
    CHECK_EQ(inotify_watcher_stream_write(stream, bytes, sizeof bytes), -ENOBUFS);
    CHECK_EQ(inotify_watcher_stream_buffered(stream), 50000);
    CHECK_EQ(life.lost, 0);
    CHECK_OK(inotify_watcher_stream_abort(stream, ECONNABORTED));
    CHECK_EQ(source.stops, 1);
    inotify_watcher_stream_destroy(stream);
    CHECK_SYS(close(ends.writer));
    CHECK_SYS(close(ends.reader));
}

/* Asked for each piece, when all before it is written. */
static void pull(bool end_before_it_has_finished)
{
    struct ends ends = small_pipe();
    struct life life;
    inotify_watcher_stream_options options = options_for(&life);
    struct source source = {.end = 300000, .unregister_at_end = true};
    inotify_watcher_producer producer = pull_of(&source);
    inotify_watcher_stream *stream;
    size_t out = 0;

    options.flags = RINOTIFY_STREAM_CLOSE_FD;
    stream = source.stream = make_stream(ends.writer, &options);
    CHECK_EQ(inotify_watcher_stream_register_producer(stream, &producer, 0), 0);
    CHECK_EQ(STATE(stream), RINOTIFY_STREAM_CONNECTED | RINOTIFY_STREAM_PRODUCER);
    CHECK_EQ(source.at, 3000);
    if (end_before_it_has_finished)
        CHECK_OK(inotify_watcher_stream_lose_connection(stream));
    while (inotify_watcher_stream_wants_write(stream) == 1) {
        CHECK(inotify_watcher_stream_buffered(stream) <= 3000);
        CHECK_OK(inotify_watcher_stream_do_write(stream));
        take_all(ends.reader, &out);
    }
    CHECK_EQ(source.at, 300000);
    CHECK_EQ(source.resumes, 101);
    CHECK_EQ(life.lost, end_before_it_has_finished);
    if (!end_before_it_has_finished)
        CHECK_OK(inotify_watcher_stream_lose_connection(stream));
    CHECK_EQ(life.lost, 1);
    CHECK_EQ(life.reason, 0);
    CHECK_EQ(source.stops, 0);
    take_rest(ends.reader, &out, 300000);
    inotify_watcher_stream_destroy(stream);
    CHECK_SYS(close(ends.reader));
}

/* A pull producer that has nothing for now writes later, from outside. */
static void pull_later(void)
{
    struct ends ends = small_pipe();
    struct source source = {.end = 0};
    inotify_watcher_producer producer = pull_of(&source);
    inotify_watcher_stream *stream = source.stream = make_stream(ends.writer, NULL);
    size_t out = 0;

    CHECK_EQ(inotify_watcher_stream_register_producer(stream, &producer, 0), 0);
    CHECK_EQ(source.resumes, 1);
    CHECK_EQ(inotify_watcher_stream_wants_write(stream), 0);
    put(stream, &source.at, 10);
    CHECK_EQ(source.resumes, 1);
    flush(stream);
    CHECK_EQ(source.resumes, 2);
    take_all(ends.reader, &out);
    CHECK_EQ(out, 10);
    /* stop_consuming: no more from it, and the end. */
    CHECK_OK(inotify_watcher_stream_lose_connection(stream));
    CHECK_EQ(inotify_watcher_stream_fileno(stream), ends.writer);
    CHECK_OK(inotify_watcher_stream_stop_consuming(stream));
    CHECK_EQ(inotify_watcher_stream_fileno(stream), -1);
    CHECK_EQ(source.stops, 0);
    inotify_watcher_stream_destroy(stream);
    CHECK_SYS(close(ends.writer));
    CHECK_SYS(close(ends.reader));
}

/* It is told once when the connection is lost, before the program is. */
static void told_of_the_end(void)
{
    for (int streaming = 0; streaming <= 1; streaming++) {
        struct ends ends = small_socket();
        struct life life;
        inotify_watcher_stream_options options = options_for(&life);
        struct source source = {.end = 3000};
        inotify_watcher_producer producer = streaming ? push_of(&source) : pull_of(&source);
        inotify_watcher_stream *stream;

        options.flags = RINOTIFY_STREAM_CLOSE_FD;
        stream = source.stream = make_stream(ends.writer, &options);
        CHECK_EQ(inotify_watcher_stream_register_producer(stream, &producer, streaming), 0);
        put(stream, &source.at, 3000);
        CHECK_SYS(close(ends.reader));
        CHECK_EQ(inotify_watcher_stream_do_write(stream), -EPIPE);
        CHECK_EQ(source.stops, 1);
        CHECK_EQ(life.lost, 1);
        CHECK_EQ(life.reason, EPIPE);
        /* Too late: refused, and told so. */
        source.stops = 0;
        CHECK_EQ(inotify_watcher_stream_register_producer(stream, &producer, streaming), -EBADF);
        CHECK_EQ(source.stops, 1);
        inotify_watcher_stream_destroy(stream);
        CHECK_EQ(source.stops, 1);
    }
}

static unsigned stops;

static void count_stop(void *context)
{
    (void)context;
    stops++;
}

static void nothing(void *context)
{
    (void)context;
}

/* A push producer is not waited for, and stopped when the writing half is closed. */
static void half_close(void)
{
    struct ends ends = small_socket();
    inotify_watcher_producer producer = {.size = sizeof producer,
                                         .pause_producing = nothing,
                                         .resume_producing = nothing,
                                         .stop_producing = count_stop};
    inotify_watcher_stream *stream = make_stream(ends.writer, NULL);
    char byte;

    CHECK_OK(inotify_watcher_stream_register_producer(stream, &producer, 1));
    CHECK_OK(inotify_watcher_stream_lose_write_connection(stream));
    CHECK_EQ(stops, 1);
    CHECK_EQ(STATE(stream), RINOTIFY_STREAM_CONNECTED | RINOTIFY_STREAM_WRITE_DISCONNECTED);
    CHECK_EQ(read(ends.reader, &byte, 1), 0);
    CHECK_EQ(inotify_watcher_stream_register_producer(stream, &producer, 1), -EPIPE);
    CHECK_EQ(stops, 1);
    inotify_watcher_stream_destroy(stream);
    CHECK_EQ(stops, 1);
    CHECK_SYS(close(ends.writer));
    CHECK_SYS(close(ends.reader));
}

/* One that is paused when the end is asked for is stopped, not resumed: nothing that it could add
 * would be waited for. What was taken is written. */
static void not_resumed_for_the_end(void)
{
    struct ends ends = small_pipe();
    struct life life;
    inotify_watcher_stream_options options = options_for(&life);
    struct source source = {0};
    inotify_watcher_producer producer = push_of(&source);
    inotify_watcher_stream *stream;
    size_t out = 0;

    options.flags = RINOTIFY_STREAM_CLOSE_FD;
    /* Its turn would come before the buffer is empty. */
    options.buffer_size = 20000;
    options.resume_size = 10000;
    stream = source.stream = make_stream(ends.writer, &options);
    CHECK_OK(inotify_watcher_stream_register_producer(stream, &producer, 1));
    while (!source.paused)
        put(stream, &source.at, 1000);
    CHECK_OK(inotify_watcher_stream_lose_connection(stream));
    while (life.lost == 0) {
        CHECK_EQ(source.stops, 0);
        CHECK_OK(inotify_watcher_stream_do_write(stream));
        take_all(ends.reader, &out);
    }
    CHECK_EQ(life.reason, 0);
    CHECK_EQ(source.resumes, 0);
    CHECK_EQ(source.stops, 1);
    take_rest(ends.reader, &out, source.at);
    inotify_watcher_stream_destroy(stream);
    CHECK_SYS(close(ends.reader));
}

/* resume_size: back before the buffer is empty. */
static void early_resume(void)
{
    struct ends ends = small_pipe();
    struct life life;
    inotify_watcher_stream_options options = options_for(&life);
    struct source source = {0};
    inotify_watcher_producer producer = push_of(&source);
    inotify_watcher_stream *stream;
    size_t out = 0;

    options.buffer_size = 20000;
    options.resume_size = 10000;
    stream = source.stream = make_stream(ends.writer, &options);
    CHECK_OK(inotify_watcher_stream_register_producer(stream, &producer, 1));
    put(stream, &source.at, 30000);
    CHECK(source.paused);
    while (source.paused) {
        CHECK(inotify_watcher_stream_buffered(stream) > 10000);
        CHECK_OK(inotify_watcher_stream_do_write(stream));
        take_all(ends.reader, &out);
    }
    CHECK(inotify_watcher_stream_buffered(stream) > 0);
    CHECK(inotify_watcher_stream_buffered(stream) <= 10000);
    inotify_watcher_stream_destroy(stream);
    CHECK_SYS(close(ends.writer));
    CHECK_SYS(close(ends.reader));
}

int main(void)
{
    check_begin(240);
    obedient_push();
    stubborn_push();
    pull(false);
    pull(true);
    pull_later();
    told_of_the_end();
    half_close();
    not_resumed_for_the_end();
    early_resume();
    return 0;
}
