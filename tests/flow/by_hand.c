/* Flow control without a reactor, from other threads too; options, the log, and an end that nobody
 * asked for.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/resource.h>

struct life {
    unsigned lost;
    int reason;
    pthread_t thread; /* where it was told */
    unsigned lines;
    char line[1024];
};

static void note_lost(inotify_watcher *watcher, int reason, void *user_data)
{
    struct life *life = user_data;

    CHECK(watcher != NULL);
    CHECK_EQ(life->lost, 0);
    life->lost = 1;
    life->reason = reason;
    life->thread = pthread_self();
}

static void note_line(uint32_t level, const char *prefix, const char *message, void *user_data)
{
    struct life *life = user_data;

    life->lines++;
    snprintf(life->line, sizeof life->line, "%s %u %s", prefix, (unsigned)level, message);
}

static inotify_watcher_options options_for(struct life *life)
{
    inotify_watcher_options options = {
        .size = sizeof options,
        .connection_lost = note_lost,
        .log = note_line,
        .user_data = life,
    };

    memset(life, 0, sizeof *life);
    return options;
}

static inotify_watcher *made(const inotify_watcher_options *options)
{
    inotify_watcher *watcher = inotify_watcher_create(options);

    CHECK(watcher != NULL);
    return watcher;
}

/* ---- Options. */

static int never(void *context, int fd, inotify_watcher *watcher, void **slot)
{
    (void)context;
    (void)fd;
    (void)watcher;
    (void)slot;
    check_fail(__FILE__, __LINE__, "the reactor was called");
}

static void refused(const inotify_watcher_options *options, int error, const char *step)
{
    CHECK(inotify_watcher_create(options) == NULL);
    CHECK_EQ(errno, error);
    CHECK_STR(last_error(NULL).step, step);
}

static void bad_options(void)
{
    struct life life;
    inotify_watcher_options options = options_for(&life);
    struct {
        inotify_watcher_reactor known;
        uint64_t later;
    } reactor = {.known = {.size = sizeof reactor}};

    options.reactor = &reactor.known;
    refused(&options, EINVAL, "options.reactor");
    reactor.known.add_reader = never;
    refused(&options, EINVAL, "options.reactor");
    reactor.known.add_reader = NULL;
    reactor.known.remove_reader = never;
    refused(&options, EINVAL, "options.reactor");
    reactor.known.add_reader = never;
    inotify_watcher_destroy(made(&options));
    reactor.later = 1;
    refused(&options, E2BIG, "options.reactor");
    reactor.later = 0;
    reactor.known.size = sizeof(size_t) - 1;
    refused(&options, EINVAL, "options.reactor");
    options.reactor = NULL;
    options.log_level = 8;
    refused(&options, EINVAL, "options.log_level");
    options.log_level = 7;
    options.reserved = 1;
    refused(&options, EINVAL, "options.reserved");
    options.reserved = 0;
    options.flags = 2;
    refused(&options, EINVAL, "options.flags");
    /* A watcher that was never made has no end. */
    CHECK_EQ(inotify_watcher_start_reading(NULL), -EINVAL);
    CHECK_EQ(inotify_watcher_stop_reading(NULL), -EINVAL);
    CHECK_EQ(inotify_watcher_pause_producing(NULL), -EINVAL);
    CHECK_EQ(inotify_watcher_resume_producing(NULL), -EINVAL);
    CHECK_EQ(inotify_watcher_stop_producing(NULL), -EINVAL);
    CHECK_EQ(inotify_watcher_lose_connection(NULL), -EINVAL);
    CHECK_EQ(inotify_watcher_wants_read(NULL), -EINVAL);
    CHECK_EQ(life.lines, 0);
    CHECK_EQ(life.lost, 1);
}

/* ---- Without a reactor. */

static void states(void)
{
    struct life life;
    inotify_watcher_options options = options_for(&life);
    inotify_watcher *watcher = made(&options);
    struct recorder recorder = {0};
    struct pollfd readable = {.fd = inotify_watcher_fileno(watcher), .events = POLLIN};

    check_case("states");
    make_dir("t");
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE, &recorder);
    CHECK_EQ(inotify_watcher_wants_read(watcher), 1);
    CHECK_OK(inotify_watcher_start_reading(watcher));
    CHECK_OK(inotify_watcher_stop_reading(watcher));
    CHECK_EQ(inotify_watcher_wants_read(watcher), 0);
    make_file("t/a");
    CHECK_EQ(inotify_watcher_do_read(watcher), 0);
    CHECK_EQ(inotify_watcher_sync(watcher), -EAGAIN);
    CHECK_OK(inotify_watcher_pause_producing(watcher));
    CHECK_OK(inotify_watcher_start_reading(watcher));
    CHECK_EQ(inotify_watcher_wants_read(watcher), 0);
    CHECK_EQ(inotify_watcher_do_read(watcher), 0);
    CHECK_EQ(recorder.count, 0);
    CHECK_OK(inotify_watcher_resume_producing(watcher));
    CHECK_EQ(inotify_watcher_wants_read(watcher), 1);
    CHECK_EQ(CHECK_SYS(poll(&readable, 1, 0)), 1);
    EXPECT(watcher, &recorder, "create t/a");
    /* Watches can be made and ended meanwhile. */
    CHECK_OK(inotify_watcher_pause_producing(watcher));
    make_dirs("t/d/e");
    make_dir("u");
    watch(watcher, "u", IN_CREATE, TREE | RINOTIFY_WATCH_EMIT_EXISTING, &recorder);
    make_file("u/f");
    CHECK_EQ(inotify_watcher_is_watched(watcher, "u"), 1);
    CHECK_OK(inotify_watcher_ignore(watcher, "t"));
    CHECK_EQ(inotify_watcher_do_read(watcher), 0);
    CHECK_OK(inotify_watcher_resume_producing(watcher));
    EXPECT(watcher, &recorder, "create u/f");
    inotify_watcher_destroy(watcher);
    CHECK_EQ(life.lost, 1);
    CHECK_EQ(life.reason, ECANCELED);
    CHECK_EQ(life.lines, 0);
}

/* What the descriptor leads to is no inotify instance any more: nothing can be read again. */
static void broken_descriptor(void)
{
    struct life life;
    inotify_watcher_options options = options_for(&life);
    inotify_watcher *watcher;
    struct recorder recorder = {0};
    int directory;

    check_case("broken_descriptor");
    options.log_prefix = "broken";
    watcher = made(&options);
    watch_released(watcher, ".", IN_CREATE, 0, &recorder);
    directory = (int)CHECK_SYS(open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    CHECK_SYS(dup3(directory, inotify_watcher_fileno(watcher), O_CLOEXEC));
    CHECK_EQ(inotify_watcher_do_read(watcher), -EISDIR);
    CHECK_EQ(life.lost, 1);
    CHECK_EQ(life.reason, EISDIR);
    CHECK_STR(life.line, "broken 4 connection lost: Is a directory");
    CHECK_EQ(recorder.released, 1);
    CHECK_EQ(inotify_watcher_do_read(watcher), -EBADF);
    inotify_watcher_destroy(watcher);
    CHECK_SYS(close(directory));
}

/* ---- The log. */

static bool not_watched(uint32_t level, const char *prefix, struct life *life)
{
    inotify_watcher_options options = options_for(life);
    inotify_watcher *watcher;
    struct recorder recorder = {0};
    struct rlimit before, none;
    bool told;

    options.log_level = level;
    options.log_prefix = prefix;
    watcher = made(&options);
    make_dir("t");
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE, &recorder);
    /* No descriptor is left to list a new directory with. */
    CHECK_SYS(getrlimit(RLIMIT_NOFILE, &before));
    none = before;
    none.rlim_cur = 3;
    make_dirs("t/new\nline/below");
    CHECK_SYS(setrlimit(RLIMIT_NOFILE, &none));
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_SYS(setrlimit(RLIMIT_NOFILE, &before));
    told = recorder_find(&recorder, "is_dir t/new\nline [error EMFILE]") >= 0;
    inotify_watcher_destroy(watcher);
    recorder_clear(&recorder);
    remove_tree("t");
    return told;
}

static void log_lines(void)
{
    struct life life;

    check_case("log_lines");
    CHECK(not_watched(0, NULL, &life));
    CHECK_EQ(life.lines, 1);
    CHECK_STR(life.line, "inotify_watcher 4 t/new\\x0aline: Too many open files "
                         "(RLIMIT_NOFILE, the limit in force, is 3)");
    CHECK(not_watched(RINOTIFY_LOG_WARNING, "files", &life));
    CHECK_EQ(life.lines, 1);
    CHECK(strncmp(life.line, "files 4 t/new\\x0aline: ", 22) == 0);
    CHECK(not_watched(RINOTIFY_LOG_ERROR, NULL, &life));
    CHECK_EQ(life.lines, 0);
}

/* ---- Another thread ends what this one is calling back from. */

static sem_t inside, go_on;

static void waits(inotify_watcher *watcher, const inotify_watcher_event *event, void *user_data)
{
    record(watcher, event, user_data);
    CHECK_SYS(sem_post(&inside));
    while (sem_wait(&go_on) == -1)
        ;
}

static void *reads(void *watcher)
{
    CHECK_EQ(inotify_watcher_do_read(watcher), -EBADF);
    return NULL;
}

struct destroying {
    inotify_watcher *watcher;
    struct life *life;
};

static void *destroys(void *user_data)
{
    struct destroying *destroying = user_data;

    inotify_watcher_destroy(destroying->watcher);
    /* The callback has returned, and the end was told. */
    CHECK_EQ(destroying->life->lost, 1);
    return NULL;
}

static void end_from_another_thread(bool destroy_too)
{
    struct life life;
    inotify_watcher_options options = options_for(&life);
    inotify_watcher *watcher = made(&options);
    struct recorder recorder = {0};
    struct destroying destroying = {watcher, &life};
    pthread_t reader, other;

    check_case(destroy_too ? "end_and_destroy" : "end_from_another_thread");
    make_dir("t");
    CHECK_OK(inotify_watcher_watch(watcher, "t", IN_CREATE, 0, waits, &recorder));
    make_file("t/a");
    make_file("t/b");
    CHECK_EQ(pthread_create(&reader, NULL, reads, watcher), 0);
    while (sem_wait(&inside) == -1)
        ;
    CHECK_EQ(inotify_watcher_lose_connection(watcher), 0);
    CHECK_EQ(inotify_watcher_fileno(watcher), -1);
    CHECK_EQ(life.lost, 0);
    if (destroy_too)
        CHECK_EQ(pthread_create(&other, NULL, destroys, &destroying), 0);
    CHECK_SYS(sem_post(&go_on));
    CHECK_EQ(pthread_join(reader, NULL), 0);
    if (destroy_too)
        CHECK_EQ(pthread_join(other, NULL), 0);
    CHECK_EQ(recorder.count, 1);
    CHECK_EQ(life.lost, 1);
    CHECK_EQ(life.reason, 0);
    /* On the thread that was in the way, unless the other one was waiting for it. */
    if (!destroy_too)
        CHECK(pthread_equal(life.thread, reader));
    if (!destroy_too)
        inotify_watcher_destroy(watcher);
    recorder_clear(&recorder);
}

/* Many threads turn every knob while one reads; nothing is lost for it. */
static inotify_watcher *shared;
static bool done;

static void *turns_knobs(void *number)
{
    unsigned seed = (unsigned)(size_t)number;

    while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE)) {
        seed = seed * 1103515245 + 12345;
        switch (seed >> 16 & 3) {
        case 0:
            CHECK_OK(inotify_watcher_pause_producing(shared));
            break;
        case 1:
            CHECK_OK(inotify_watcher_stop_reading(shared));
            break;
        case 2:
            CHECK_OK(inotify_watcher_start_reading(shared));
            break;
        default:
            CHECK_OK(inotify_watcher_resume_producing(shared));
        }
    }
    return NULL;
}

static void many_threads(void)
{
    struct recorder recorder = {0};
    pthread_t threads[3];
    unsigned files = check_rounds(5000);

    check_case("many_threads");
    shared = create();
    make_dir("t");
    watch(shared, "t", IN_CREATE, 0, &recorder);
    for (size_t i = 0; i < 3; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, turns_knobs, (void *)(i + 1)), 0);
    for (unsigned i = 0; i < files; i++) {
        make_file(format("t/%u", i));
        CHECK_OK(inotify_watcher_do_read(shared));
    }
    __atomic_store_n(&done, true, __ATOMIC_RELEASE);
    for (size_t i = 0; i < 3; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK_OK(inotify_watcher_start_reading(shared));
    CHECK_OK(inotify_watcher_resume_producing(shared));
    CHECK_OK(inotify_watcher_sync(shared));
    CHECK_EQ(recorder.count, files);
    for (unsigned i = 0; i < files; i++)
        CHECK_STR(recorder.lines[i], format("create t/%u", i));
    inotify_watcher_destroy(shared);
    recorder_clear(&recorder);
}

int main(void)
{
    check_begin(240);
    CHECK_SYS(sem_init(&inside, 0, 0));
    CHECK_SYS(sem_init(&go_on, 0, 0));
    bad_options();
    states();
    broken_descriptor();
    log_lines();
    end_from_another_thread(false);
    end_from_another_thread(true);
    many_threads();
    return 0;
}
