/* Writers that rename, replace, delete and make again every component of some paths, and make the
 * links on the way lead elsewhere, at full speed; and watches that follow these paths. Whenever the
 * writers rest, each watch must be on exactly the inode that its path leads to, or know that there
 * is none; and a program that reads the file whenever it is told to must have read what is there.
 * The seed of a run is printed when it fails; follow_storm SEED begins with it, and CHECK_ROUNDS is
 * the number of runs.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "check.h"

#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#define PATHS 6
static const char *const paths[PATHS] = {"a/b/x", "l/x", "y", "a/b", "l/../b/x", "p"};

/* A program that keeps what it has read. */
struct consumer {
    const char *path;
    int64_t id;
    bool there;
    bool read;
    char text[64];
    unsigned long events;
    /* The last ones, to be shown when something is wrong. */
    char last[16][120];
};

static uint64_t seed;
static inotify_watcher *watcher;
static struct consumer consumers[PATHS];
static atomic_uint serial;

static uint64_t next(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

/* ---- The writers. What fails because another one was faster fails. */

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *ftw)
{
    (void)status;
    (void)kind;
    (void)ftw;
    remove(path);
    return 0;
}

static void remove_all(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void save(const char *path, int flags, bool slowly)
{
    char text[32];
    int fd = open(path, flags | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0644);

    if (fd == -1)
        return;
    snprintf(text, sizeof text, "%u", atomic_fetch_add(&serial, 1));
    if (slowly)
        sched_yield();
    if (write(fd, text, strlen(text)) == -1)
        check_fail(__FILE__, __LINE__, "write: %s", strerror(errno));
    if (slowly)
        sched_yield();
    close(fd);
}

static void swap(const char *one, const char *other)
{
    syscall(SYS_renameat2, AT_FDCWD, one, AT_FDCWD, other, 2 /* RENAME_EXCHANGE */);
}

static void change(uint64_t *state, unsigned writer)
{
    static const char *const dirs[] = {"a", "a/b", "n", "n/b", "m", "a/b/c"};
    static const char *const files[] = {"a/b/x", "n/b/x", "a/x", "n/x", "m/x", "x"};
    static const char *const links[] = {"l", "y", "p", "a/b", "a/b/x"};
    static const char *const targets[] = {"a/b", "n/b", "a/b/x", "n/b/x", "x", "l", "../n/b",
                                          "nowhere", "l/x", ".", "y", "../x"};
    char temporary[16], kept[16];
    const char *dir = dirs[next(state) % 6], *other = dirs[next(state) % 6];
    const char *file = files[next(state) % 6], *to = files[next(state) % 6];
    const char *link_at = links[next(state) % 5];
    uint64_t chance = next(state);
    bool slowly = next(state) % 4 == 0;

    snprintf(temporary, sizeof temporary, "t%u", writer);
    snprintf(kept, sizeof kept, "k%u", atomic_fetch_add(&serial, 1));
    switch (chance % 20) {
    case 0: case 1:
        mkdir(dir, 0755);
        break;
    case 2:
        rename(dir, other);
        break;
    case 3:
        swap(dir, other);
        break;
    case 4:
        if (slowly)
            remove_all(dir);
        break;
    case 5:
        mkdir("n", 0755);
        mkdir("n/b", 0755);
        save("n/b/x", O_CREAT | O_EXCL, slowly);
        break;
    case 6:
        rename("n", "a");
        rename("n/b", "a/b");
        break;
    case 7: case 8:
        save(file, O_CREAT | O_EXCL, slowly);
        break;
    case 9: case 10:
        save(file, O_TRUNC, slowly);
        break;
    case 11: case 12:
        save(temporary, O_CREAT | O_TRUNC, false);
        rename(temporary, file);
        break;
    case 13:
        unlink(file);
        break;
    case 14:
        rename(file, to);
        break;
    case 15:
        swap(file, to);
        break;
    case 16:
        /* Its other name stays until the writers rest. */
        save(kept, O_CREAT | O_EXCL, false);
        if (link(kept, file) == -1)
            unlink(kept);
        break;
    case 17: case 18:
        unlink(temporary);
        if (symlink(targets[next(state) % 12], temporary) == 0 && rename(temporary, link_at) == -1)
            unlink(temporary);
        break;
    case 19:
        unlink(link_at);
        if (symlink(targets[next(state) % 12], link_at) == -1)
            return;
        break;
    }
}

struct writer {
    pthread_t thread;
    unsigned number;
    uint64_t state;
    unsigned changes;
};

static atomic_uint writing;

static void *write_on(void *argument)
{
    struct writer *writer = argument;

    for (unsigned i = 0; i < writer->changes; i++)
        change(&writer->state, writer->number);
    atomic_fetch_sub(&writing, 1);
    return NULL;
}

/* ---- The program. */

static bool read_file(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t got;

    if (fd == -1)
        return false;
    got = read(fd, text, size - 1);
    close(fd);
    if (got < 0)
        return false;
    text[got] = '\0';
    return true;
}

static void reload(struct consumer *consumer)
{
    consumer->read = read_file(consumer->path, consumer->text, sizeof consumer->text);
}

static void keep(struct consumer *consumer, const inotify_watcher_event *event)
{
    char *line = consumer->last[consumer->events++ % 16];
    char words[64], text[64];

    inotify_watcher_mask_names(event->mask, words, sizeof words);
    if (!read_file(consumer->path, text, sizeof text))
        snprintf(text, sizeof text, "%s", strerror(errno));
    snprintf(line, sizeof consumer->last[0], "%s%s%s %s (%.20s)", words,
             (event->flags & RINOTIFY_EVENT_ROOT) != 0 ? " [root]" : "",
             (event->flags & RINOTIFY_EVENT_SYNTHETIC) != 0 ? " [synthetic]" : "",
             event->name != NULL ? event->name : "", text);
}

static void told(inotify_watcher *of, const inotify_watcher_event *event, void *user_data)
{
    struct consumer *consumer = user_data;
    bool whole = (event->mask & (IN_MOVED_TO | IN_CLOSE_WRITE)) != 0;

    (void)of;
    keep(consumer, event);
    CHECK_EQ(event->watch, consumer->id);
    CHECK((event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED)) == 0);
    if ((event->mask & IN_Q_OVERFLOW) != 0) {
        reload(consumer);
        return;
    }
    if ((event->flags & (RINOTIFY_EVENT_ERROR | RINOTIFY_EVENT_COVERAGE)) != 0)
        return;
    if (event->name != NULL)
        return;
    CHECK_STR(event->path, consumer->path);
    if ((event->flags & RINOTIFY_EVENT_ROOT) != 0) {
        consumer->there = (event->mask & (IN_CREATE | IN_MOVED_TO)) != 0;
        consumer->read = false;
    } else {
        CHECK(consumer->there);
    }
    if (whole)
        reload(consumer);
}

/* ---- At rest. */

struct found {
    int64_t id;
    int wd;
};

static int find(const inotify_watcher_watchpoint *watchpoint, void *user_data)
{
    struct found *found = user_data;

    if (watchpoint->watch == found->id) {
        if (found->wd != 0)
            check_fail(__FILE__, __LINE__, "seed %" PRIu64 ": a second watchpoint, %s, wd %d and %d", seed,
                       watchpoint->path, found->wd, watchpoint->wd);
        found->wd = watchpoint->wd;
    }
    return 0;
}

static void complain(const struct consumer *consumer, const char *what)
{
    for (unsigned long i = consumer->events > 16 ? consumer->events - 16 : 0; i < consumer->events;
         i++)
        fprintf(stderr, "    %s\n", consumer->last[i % 16]);
    check_fail(__FILE__, __LINE__, "seed %" PRIu64 ", %s: %s", seed, consumer->path, what);
}

static void compare(const struct consumer *consumer)
{
    struct found found = {.id = consumer->id};
    struct kernel_watch list[256];
    size_t count = kernel_watches(inotify_watcher_fileno(watcher), list, 256);
    struct stat status;
    char text[64];
    bool there = stat(consumer->path, &status) == 0;

    CHECK_OK(inotify_watcher_for_each_watchpoint(watcher, find, &found));
    if (there != consumer->there)
        complain(consumer, there ? "it is there, and that was not told"
                                 : "it is not there, and that was not told");
    if (there != (found.wd != 0))
        complain(consumer, there ? "it is there and not watched" : "what is not there is watched");
    if (!there)
        return;
    for (size_t i = 0; i < count; i++)
        if (list[i].wd == found.wd && list[i].inode != status.st_ino)
            complain(consumer, "another file is watched");
    if (!S_ISREG(status.st_mode))
        return;
    CHECK(read_file(consumer->path, text, sizeof text));
    if (!consumer->read)
        complain(consumer, format("it has %s, and there was no reason to read it", text));
    if (strcmp(text, consumer->text) != 0)
        complain(consumer, format("it has %s, and %s was read", text, consumer->text));
}

static void remove_kept(void)
{
    remove_all("a");
    remove_all("n");
    remove_all("m");
    remove_all("l");
    CHECK_EQ(system("rm -rf ./*"), 0);
}

static unsigned long events;

static void run(uint64_t number)
{
    inotify_watcher_options options = {.size = sizeof options};
    struct writer writers[2] = {{.number = 0}, {.number = 1}};
    struct recorder whole = {.silent = true};
    uint64_t state = seed = number;
    unsigned count = 1 + (unsigned)(next(&state) % 2);
    bool late = next(&state) % 4 == 0;
    unsigned rounds = 10;

    if (next(&state) % 3 == 0)
        options.read_size = 512;
    if (next(&state) % 3 == 0)
        options.max_events = 3;
    watcher = inotify_watcher_create(&options);
    CHECK(watcher != NULL);
    for (unsigned i = 0; i < 30; i++)
        change(&state, 0);
    for (int i = 0; i < PATHS; i++) {
        struct consumer *consumer = &consumers[i];
        uint32_t mask = next(&state) % 2 == 0 ? IN_CLOSE_WRITE : IN_CLOSE_WRITE | RINOTIFY_WATCH_MASK;

        memset(consumer, 0, sizeof *consumer);
        consumer->path = paths[i];
        consumer->id = inotify_watcher_watch(watcher, paths[i], mask, RINOTIFY_WATCH_FOLLOW_NAME,
                                             told, consumer);
        if (consumer->id == -ELOOP) {
            unlink(paths[i]);
            unlink("l");
            consumer->id = inotify_watcher_watch(watcher, paths[i], mask,
                                                 RINOTIFY_WATCH_FOLLOW_NAME, told, consumer);
        }
        CHECK_OK(consumer->id);
        consumer->there = access(paths[i], F_OK) == 0;
        reload(consumer);
    }
    /* The same directories for somebody else. */
    if (next(&state) % 2 == 0)
        watch(watcher, ".", RINOTIFY_WATCH_MASK, TREE, &whole);
    for (unsigned round = 0; round < rounds; round++) {
        atomic_store(&writing, count);
        for (unsigned i = 0; i < count; i++) {
            writers[i].state = next(&state);
            writers[i].changes = 1 + (unsigned)(next(&state) % 60);
            CHECK_EQ(pthread_create(&writers[i].thread, NULL, write_on, &writers[i]), 0);
        }
        while (!late && atomic_load(&writing) > 0)
            CHECK_OK(inotify_watcher_do_read(watcher));
        for (unsigned i = 0; i < count; i++)
            CHECK_EQ(pthread_join(writers[i].thread, NULL), 0);
        CHECK_OK(inotify_watcher_sync(watcher));
        for (int i = 0; i < PATHS; i++)
            compare(&consumers[i]);
    }
    drain(watcher);
    /* With a short queue, set by hand: the overlapping watch is another matter. */
    if (get_stats(watcher).overflows == 0)
        CHECK_TABLES(watcher);
    for (int i = 0; i < PATHS; i++) {
        CHECK_OK(inotify_watcher_ignore_watch(watcher, consumers[i].id));
        events += consumers[i].events;
    }
    inotify_watcher_ignore(watcher, ".");
    drain(watcher);
    if (kernel_watch_count(watcher) != 0 || get_stats(watcher).internal_watchpoints != 2)
        check_fail(__FILE__, __LINE__,
                   "seed %" PRIu64 ": %zu kernel watches are left, and %" PRIu64 " internal ones, "
                   "after %" PRIu64 " overflows",
                   seed, kernel_watch_count(watcher), get_stats(watcher).internal_watchpoints,
                   get_stats(watcher).overflows);
    inotify_watcher_destroy(watcher);
    remove_kept();
}

int main(int argc, char **argv)
{
    unsigned runs = check_rounds(24);
    uint64_t first = 0x5eed0000;

    check_begin(500);
    check_case("storm");
    if (argc > 1)
        first = strtoull(argv[1], NULL, 0);
    for (unsigned i = 0; i < runs; i++)
        run(first + i);
    printf("%u runs of 10 rounds, %lu events\n", runs, events);
    return 0;
}
