/* One stream, many threads: writers, a loop, producers that come and go, a formatter, and an end
 * from outside at any moment. Lines stay whole and in order, and after the end nothing is called
 * (which valgrind and the address sanitizer see: the user data are freed then).
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "stream.h"

#include <pthread.h>
#include <stdatomic.h>

#define WRITERS 3

struct shared {
    inotify_watcher_stream *stream;
    struct ends ends;
    atomic_bool over;
    atomic_uint lost;
    char *heap; /* freed when the stream says that it is over */
};

static void touch(struct shared *shared)
{
    CHECK_EQ(atomic_load(&shared->lost), 0);
    shared->heap[0] ^= 1;
}

static void on_lost(inotify_watcher_stream *stream, int reason, void *user_data)
{
    struct shared *shared = user_data;

    (void)stream;
    (void)reason;
    touch(shared);
    CHECK_EQ(atomic_fetch_add(&shared->lost, 1), 0);
    free(shared->heap);
    shared->heap = NULL;
    atomic_store(&shared->over, true);
}

static size_t on_format(const inotify_watcher_event *event, char *buffer, size_t size,
                        void *user_data)
{
    struct shared *shared = user_data;

    CHECK_EQ(atomic_load(&shared->lost), 0);
    sched_yield();
    CHECK_EQ(atomic_load(&shared->lost), 0);
    CHECK(((volatile char *)shared->heap)[1] == 'x');
    return (size_t)snprintf(buffer, size, "event %lld\n", (long long)event->watch);
}

static void *write_lines(void *user_data)
{
    struct shared *shared = user_data;
    inotify_watcher_event event = {.size = sizeof event, .path = "p", .path_len = 1};
    int result;

    do {
        result = inotify_watcher_stream_write(shared->stream, "line\n", 5);
        CHECK(result >= 0 || result == -EBADF || result == -EPIPE || result == -ENOBUFS);
        event.watch++;
        inotify_watcher_stream_callback(NULL, &event, shared->stream);
    } while (result >= 0 && !atomic_load(&shared->over));
    return NULL;
}

static void *run_loop(void *user_data)
{
    struct shared *shared = user_data;
    char bytes[65536];
    int result;

    do {
        result = inotify_watcher_stream_do_write(shared->stream);
        if (read(shared->ends.reader, bytes, sizeof bytes) == 0)
            break;
    } while (result >= 0);
    return NULL;
}

static void said(void *context)
{
    CHECK(((volatile char *)context)[0] == 'p');
}

static void *change_producers(void *user_data)
{
    struct shared *shared = user_data;
    int result;

    do {
        /* Freed as soon as it is unregistered, or told to stop. */
        char *context = strdup("producer");
        inotify_watcher_producer producer = {.size = sizeof producer, .context = context};

        producer.pause_producing = said;
        producer.resume_producing = said;
        producer.stop_producing = said;
        result = inotify_watcher_stream_register_producer(shared->stream, &producer, 1);
        CHECK(result == 0 || result == -EBADF || result == -EPIPE);
        sched_yield();
        inotify_watcher_stream_unregister_producer(shared->stream);
        free(context);
    } while (result == 0 && !atomic_load(&shared->over));
    return NULL;
}

static void ending(unsigned round)
{
    inotify_watcher_stream_options options = {.size = sizeof options};
    pthread_t threads[WRITERS + 2];
    struct shared shared = {0};

    shared.ends = small_pipe();
    shared.heap = strdup("xx");
    options.buffer_size = 2000;
    options.max_buffer = 1 << 20;
    options.flags = RINOTIFY_STREAM_CLOSE_FD;
    options.connection_lost = on_lost;
    options.formatter = on_format;
    options.user_data = &shared;
    shared.stream = make_stream(shared.ends.writer, &options);
    for (int i = 0; i < WRITERS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, write_lines, &shared), 0);
    CHECK_EQ(pthread_create(&threads[WRITERS], NULL, run_loop, &shared), 0);
    CHECK_EQ(pthread_create(&threads[WRITERS + 1], NULL, change_producers, &shared), 0);
    for (unsigned i = 0; i < round % 50; i++)
        sched_yield();
    switch (round % 4) {
    case 0:
        CHECK_OK(inotify_watcher_stream_lose_connection(shared.stream));
        break;
    case 1:
        CHECK_OK(inotify_watcher_stream_abort(shared.stream, ETIMEDOUT));
        break;
    case 2:
        inotify_watcher_stream_destroy(shared.stream);
        CHECK_EQ(atomic_load(&shared.lost), 1);
        break;
    default:
        CHECK_OK(inotify_watcher_stream_lose_write_connection(shared.stream));
    }
    /* An end that flushes first comes when the writers let it. */
    if (round % 4 == 0 || round % 4 == 3)
        atomic_store(&shared.over, true);
    for (size_t i = 0; i < sizeof threads / sizeof threads[0]; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    if (round % 4 == 0 || round % 4 == 3)
        CHECK_EQ(atomic_load(&shared.lost), 1);
    inotify_watcher_stream_destroy(shared.stream);
    CHECK_EQ(atomic_load(&shared.lost), 1);
    CHECK_SYS(close(shared.ends.reader));
}

/* ---- Lines of several threads arrive whole, each thread's in its order, while the buffer is full
 * and drained again and again. */

#define LINES 20000

static inotify_watcher_stream *common;

static void *number_lines(void *user_data)
{
    int writer = *(int *)user_data;

    for (int i = 0; i < LINES; i++) {
        char line[40];
        int length = snprintf(line, sizeof line, "%d %d\n", writer, i);

        CHECK(inotify_watcher_stream_write(common, line, (size_t)length) >= 0);
    }
    return NULL;
}

static void whole_lines(void)
{
    inotify_watcher_stream_options options = {.size = sizeof options, .buffer_size = 1000};
    struct ends ends = small_pipe();
    int numbers[WRITERS], next[WRITERS] = {0};
    pthread_t threads[WRITERS];
    unsigned left = WRITERS * LINES;
    char text[65536];
    size_t length = 0;

    common = make_stream(ends.writer, &options);
    for (int i = 0; i < WRITERS; i++) {
        numbers[i] = i;
        CHECK_EQ(pthread_create(&threads[i], NULL, number_lines, &numbers[i]), 0);
    }
    while (left > 0) {
        ssize_t count;
        char *line = text, *end;

        CHECK(inotify_watcher_stream_do_write(common) >= 0);
        count = read(ends.reader, text + length, sizeof text - length - 1);
        if (count == -1)
            continue;
        length += (size_t)count;
        text[length] = '\0';
        while ((end = strchr(line, '\n')) != NULL) {
            int writer, number;

            CHECK_EQ(sscanf(line, "%d %d\n", &writer, &number), 2);
            CHECK(writer >= 0 && writer < WRITERS);
            CHECK_EQ(number, next[writer]);
            next[writer]++;
            left--;
            line = end + 1;
        }
        length -= (size_t)(line - text);
        memmove(text, line, length);
    }
    for (int i = 0; i < WRITERS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    inotify_watcher_stream_destroy(common);
    CHECK_SYS(close(ends.writer));
    CHECK_SYS(close(ends.reader));
}

int main(void)
{
    unsigned rounds = check_rounds(300);

    check_begin(240);
    for (unsigned round = 0; round < rounds; round++)
        ending(round);
    whole_lines();
    return 0;
}
