/* Writers shut directories to a reader and open them again, while they and others make, move and
 * remove what is in them. Whoever only applies events has the real tree when all are open.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "mirror.h"
#include "reader.h"

#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <sys/wait.h>

enum { WRITERS = 2, OPERATIONS = 400 };

static unsigned next(unsigned *state, unsigned below)
{
    *state = *state * 1103515245 + 12345;
    return (*state >> 16) % below;
}

/* A path of one to four components of three names each. */
static const char *some_path(unsigned *state)
{
    const char *path = "t";

    for (unsigned i = next(state, 4) + 1; i > 0; i--)
        path = format("%s/%c", path, 'a' + (char)next(state, 3));
    return path;
}

/* Whatever fails was in the way of another writer. */
static void write_some(unsigned seed)
{
    static const mode_t modes[] = {0, 0, 0111, 0444, 0755, 0755};
    unsigned state = seed;

    for (int i = 0; i < OPERATIONS; i++) {
        const char *path = some_path(&state);

        switch (next(&state, 8)) {
        case 0:
        case 1:
            if (mkdir(path, 0755) == 0)
                mkdir(format("%s/a", path), 0755);
            break;
        case 2: {
            int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

            if (file >= 0)
                close(file);
            break;
        }
        case 3:
            if (unlink(path) == -1)
                rmdir(path);
            break;
        case 4: {
            char from[64];

            snprintf(from, sizeof from, "%s", path);
            rename(from, some_path(&state));
            break;
        }
        default: {
            struct stat status;

            if (lstat(path, &status) == 0 && S_ISDIR(status.st_mode))
                chmod(path, modes[next(&state, 6)]);
            break;
        }
        }
        if (next(&state, 16) == 0)
            sched_yield();
    }
}

static pid_t writer(inotify_watcher *watcher, unsigned seed)
{
    pid_t child = fork();

    CHECK(child >= 0);
    if (child == 0) {
        if (getuid() == 0 && seteuid(0) == -1)
            _exit(1);
        inotify_watcher_destroy(watcher);
        write_some(seed);
        _exit(0);
    }
    return child;
}

static int show(const inotify_watcher_uncovered *gap, void *user_data)
{
    struct stat status;

    (void)user_data;
    fprintf(stderr, "%s: %s, %s; ", gap->path, strerrorname_np(gap->error), gap->step);
    if (lstat(gap->path, &status) == 0)
        fprintf(stderr, "mode %o\n", status.st_mode);
    else
        fprintf(stderr, "%s\n", strerrorname_np(errno));
    return 0;
}

static int open_up(const char *path, const struct stat *status, int kind, struct FTW *at)
{
    (void)at;
    if ((kind == FTW_D || kind == FTW_DNR) && (status->st_mode & 0755) != 0755)
        CHECK_SYS(chmod(path, 0755));
    return kind == FTW_DNR ? nftw(path, open_up, 16, FTW_PHYS) : 0;
}

static void storm(unsigned seed)
{
    inotify_watcher *watcher;
    struct mirror mirror = {.many_writers = true};
    pid_t writers[WRITERS];
    int64_t id;

    make_dirs("t/a/a/a");
    make_dirs("t/b/b");
    as_reader();
    watcher = create();
    id = mirror_watch(watcher, "t", &mirror);
    for (unsigned round = 0; round < 3; round++) {
        unsigned left = WRITERS;

        for (unsigned i = 0; i < WRITERS; i++)
            writers[i] = writer(watcher, seed * 100 + round * 10 + i);
        while (left > 0) {
            CHECK_OK(inotify_watcher_do_read(watcher));
            for (unsigned i = 0; i < WRITERS; i++) {
                int status;

                if (writers[i] > 0 && waitpid(writers[i], &status, WNOHANG) == writers[i]) {
                    CHECK_EQ(status, 0);
                    writers[i] = 0;
                    left--;
                }
            }
        }
        as_writer();
        CHECK_EQ(nftw("t", open_up, 16, FTW_PHYS), 0);
        as_reader();
        CHECK_OK(inotify_watcher_sync(watcher));
        if (coverage_of(watcher, id, NULL) != RINOTIFY_COVERAGE_COMPLETE) {
            CHECK_OK(inotify_watcher_for_each_uncovered(watcher, id, show, NULL));
            check_fail(__FILE__, __LINE__, "seed %u: not complete", seed);
        }
        MIRROR_EXPECT(watcher, &mirror, "t");
        CHECK_TABLES(watcher);
    }
    inotify_watcher_destroy(watcher);
    mirror_clear(&mirror);
    as_writer();
}

int main(int argc, char **argv)
{
    unsigned seeds = check_rounds(20);
    unsigned first = argc > 1 ? (unsigned)atoi(argv[1]) : 1;

    check_begin(300);
    for (unsigned seed = first; seed < first + seeds; seed++) {
        check_case(format("seed-%u", seed));
        storm(seed);
        CHECK_SYS(chdir(".."));
        remove_tree(format("seed-%u", seed));
    }
    return 0;
}
