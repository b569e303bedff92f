/* Very many directories that a limit left out: no call looks at all of them, neither when there is room
 * for them at last nor when they leave the tree. What it costs is compared within one run. The limit is
 * that of a user namespace of this process's own, so that nobody else feels it.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "reader.h"

#include <fcntl.h>
#include <sched.h>
#include <time.h>

static unsigned directories;

static void set_limit(unsigned limit)
{
    FILE *file = fopen("/proc/sys/user/max_inotify_watches", "we");

    if (file == NULL)
        check_skip("the limit of the namespace cannot be set");
    CHECK(fprintf(file, "%u\n", limit) > 0);
    if (fclose(file) != 0)
        check_skip("the limit of the namespace cannot be set");
}

static double cpu(void)
{
    struct timespec now;

    CHECK_SYS(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now));
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* Milliseconds of CPU time until nothing is left to do. */
static double read_all(inotify_watcher *watcher, double *longest)
{
    double begin = cpu(), last = begin;

    *longest = 0;
    while (CHECK_OK(inotify_watcher_do_read(watcher)) > 0) {
        double now = cpu();

        *longest = now - last > *longest ? now - last : *longest;
        last = now;
    }
    return last - begin;
}

static void make_many(void)
{
    int dir;

    make_dir("t");
    make_dir("many");
    dir = (int)CHECK_SYS(open("many", O_PATH | O_DIRECTORY | O_CLOEXEC));
    for (unsigned i = 0; i < directories; i++)
        CHECK_SYS(mkdirat(dir, format("%u", i), 0755));
    CHECK_SYS(close(dir));
}

static uint64_t uncovered(inotify_watcher *watcher)
{
    uint64_t count;

    (void)coverage_of(watcher, 1, &count);
    return count;
}

int main(void)
{
    struct recorder recorder = {.silent = true};
    inotify_watcher *watcher;
    double longest, whole, half, total;
    unsigned long system = 0;
    FILE *file;

    check_begin(300);
    check_case("many");
    directories = check_rounds(40000);
    file = fopen("/proc/sys/fs/inotify/max_user_watches", "re");
    if (file == NULL || fscanf(file, "%lu", &system) != 1 || system < directories + 1000)
        check_skip("max_user_watches is too low");
    fclose(file);
    make_many();
    if (unshare(CLONE_NEWUSER) == -1)
        check_skip("needs a user namespace of its own");
    watcher = create();
    watch(watcher, "t", IN_CREATE, TREE, &recorder);
    drain(watcher);

    /* All of them are watched, and leave. */
    set_limit(directories + 10);
    move("many", "t/many");
    (void)read_all(watcher, &longest);
    if (uncovered(watcher) != 0)
        check_skip("others have too many watches");
    move("t/many", "many");
    whole = read_all(watcher, &longest);
    CHECK_WATCHES(watcher, 1);

    /* Half of them are left out, and get the room of the others while all leave. */
    set_limit(directories / 2);
    move("many", "t/many");
    (void)read_all(watcher, &longest);
    CHECK(uncovered(watcher) > directories / 3);
    move("t/many", "many");
    half = read_all(watcher, &longest);
    printf("leaving: %.1f ms, half left out %.1f ms\n", whole, half);
    CHECK_EQ(uncovered(watcher), 0);
    CHECK_WATCHES(watcher, 1);

    /* Most are left out, until there is room. */
    set_limit(directories / 50);
    move("many", "t/many");
    (void)read_all(watcher, &longest);
    CHECK(uncovered(watcher) > directories / 2);
    set_limit(directories + 10);
    CHECK_OK(inotify_watcher_retry(watcher));
    total = read_all(watcher, &longest);
    printf("tried again: %.1f ms, longest call %.1f ms\n", total, longest);
    CHECK_EQ(coverage_of(watcher, 1, NULL), RINOTIFY_COVERAGE_COMPLETE);
    CHECK_EQ(get_stats(watcher).watchpoints, directories + 2);

    if (!check_under_valgrind()) {
        CHECK(half < 2 * whole);
        CHECK(longest < total / 10);
    }
    inotify_watcher_destroy(watcher);
    return 0;
}
