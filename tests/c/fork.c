/* A forked child may only destroy; that leaves the parent's watches alone.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "check.h"

#include <sys/wait.h>

static struct recorder recorder;

static void fork_and_destroy(inotify_watcher *watcher)
{
    pid_t child;
    int status;

    fflush(NULL);
    child = (pid_t)CHECK_SYS(fork());
    if (child == 0) {
        int fd = inotify_watcher_fileno(watcher);

        inotify_watcher_destroy(watcher);
        /* The child's descriptor is closed. */
        if (access(format("/proc/self/fd/%d", fd), F_OK) == 0)
            _exit(1);
        /* As most children do; what the parent's frames still hold goes with its memory. */
        execlp("true", "true", (char *)NULL);
        _exit(2);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
}

static void forks(inotify_watcher *watcher, const inotify_watcher_event *event, void *user_data)
{
    record(watcher, event, user_data);
    fork_and_destroy(watcher);
}

int main(void)
{
    inotify_watcher *watcher;
    struct recorder inner = {0};

    check_begin(240);
    check_case("fork");
    watcher = create();
    make_dirs("t/d/e");
    make_dir("u");
    watch_released(watcher, "t", RINOTIFY_WATCH_MASK, TREE, &recorder);
    CHECK_OK(inotify_watcher_sync(watcher));
    make_file("t/before");
    fork_and_destroy(watcher);
    CHECK_EQ(recorder.released, 0);
    CHECK_WATCHES(watcher, 3);
    make_dirs("t/d/e/f/g");
    make_file("t/d/e/f/g/h");
    /* What stood in the queue is still the parent's. */
    EXPECT(watcher, &recorder, "create t/before", "create|is_dir t/d/e/f",
           "create|is_dir t/d/e/f/g [synthetic]", "create t/d/e/f/g/h [synthetic]");
    CHECK_TABLES(watcher);

    /* From inside a callback, with the reading under way. */
    CHECK_OK(inotify_watcher_watch(watcher, "u", IN_CREATE, 0, forks, &inner));
    make_file("u/a");
    make_file("u/b");
    EXPECT(watcher, &inner, "create u/a", "create u/b");
    make_file("t/d/e/f/g/i");
    EXPECT(watcher, &recorder, "create t/d/e/f/g/i");
    CHECK_EQ(recorder.released, 0);
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
    CHECK_EQ(recorder.released, 1);
    return 0;
}
