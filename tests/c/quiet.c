/* The library leaves the process as it is: no thread after a call, no signal handler, no change of
 * directory, umask, environment or signal mask, no descriptor left behind, nothing printed.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>

extern char **environ;

static unsigned entries(const char *path)
{
    DIR *directory = opendir(path);
    unsigned count = 0;

    CHECK(directory != NULL);
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}

struct process {
    struct stat directory, root;
    mode_t mask;
    sigset_t blocked;
    struct sigaction actions[65];
    unsigned threads;
    unsigned descriptors;
    char **environment;
    char environment_text[65536];
};

static void take(struct process *process)
{
    size_t used = 0;

    memset(process, 0, sizeof *process);
    CHECK_SYS(stat(".", &process->directory));
    CHECK_SYS(stat("/", &process->root));
    process->mask = umask(0);
    umask(process->mask);
    CHECK_SYS(sigprocmask(SIG_BLOCK, NULL, &process->blocked));
    for (int i = 1; i < 65; i++)
        (void)sigaction(i, NULL, &process->actions[i]);
    process->threads = entries("/proc/self/task");
    process->descriptors = entries("/proc/self/fd");
    process->environment = environ;
    for (char **one = environ; *one != NULL; one++)
        used += (size_t)snprintf(process->environment_text + used,
                                 sizeof process->environment_text - used, "%s\n", *one);
}

static void compare(const struct process *before, unsigned more_descriptors)
{
    static struct process after;

    take(&after);
    CHECK_EQ(after.directory.st_ino, before->directory.st_ino);
    CHECK_EQ(after.root.st_ino, before->root.st_ino);
    CHECK_EQ(after.mask, before->mask);
    CHECK(memcmp(&after.blocked, &before->blocked, sizeof after.blocked) == 0);
    for (int i = 1; i < 65; i++) {
        CHECK(after.actions[i].sa_handler == before->actions[i].sa_handler);
        CHECK_EQ(after.actions[i].sa_flags, before->actions[i].sa_flags);
    }
    CHECK_EQ(after.threads, before->threads);
    CHECK_EQ(after.descriptors, before->descriptors + more_descriptors);
    CHECK(after.environment == before->environment);
    CHECK_STR(after.environment_text, before->environment_text);
}

int main(void)
{
    static struct process before;
    inotify_watcher *watcher;
    struct recorder recorder = {.silent = true};
    int printed, out, err;
    unsigned own;
    sigset_t some;

    check_begin(240);
    check_case("quiet");
    make_dir("t");
    for (int i = 0; i < 60; i++) {
        make_dir(format("t/%d", i));
        for (int j = 0; j < 60; j++)
            make_dir(format("t/%d/%d", i, j));
    }
    make_dir("away");

    /* From here on whatever is printed lands in a file. */
    printed = (int)CHECK_SYS(open("printed", O_RDWR | O_CREAT | O_CLOEXEC | O_APPEND, 0600));
    fflush(NULL);
    out = (int)CHECK_SYS(fcntl(1, F_DUPFD_CLOEXEC, 10));
    /* What the test itself has to say still goes where it should. */
    err = (int)CHECK_SYS(fcntl(2, F_DUPFD_CLOEXEC, 10));
    stderr = fdopen(err, "w");
    CHECK(stderr != NULL);
    CHECK_SYS(dup2(printed, 1));
    CHECK_SYS(dup2(printed, 2));

    umask(027);
    sigemptyset(&some);
    sigaddset(&some, SIGUSR1);
    CHECK_SYS(sigprocmask(SIG_BLOCK, &some, NULL));
    take(&before);

    watcher = create();
    own = entries("/proc/self/fd") - before.descriptors;
    compare(&before, own);
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE | RINOTIFY_WATCH_EMIT_EXISTING, &recorder);
    compare(&before, own);
    /* The least that can be said of the descriptors it needs: they do not grow with the tree. */
    CHECK(own <= 4);
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(recorder.count, 60 * 61);
    compare(&before, own);
    make_dirs("t/new/deep");
    move("t/7", "away/7");
    move("t/8", "t/new/8");
    drain(watcher);
    compare(&before, own);
    move("away/7", "t/7");
    remove_tree("t/9");
    CHECK_OK(inotify_watcher_sync(watcher));
    compare(&before, own);
    CHECK_EQ(inotify_watcher_watch(watcher, "t/1", IN_CREATE, 99, record, &recorder), -EINVAL);
    CHECK_EQ(inotify_watcher_watch(watcher, "missing", IN_CREATE, TREE, record, &recorder),
             -ENOENT);
    CHECK_EQ(inotify_watcher_ignore(watcher, "missing"), -ENOENT);
    CHECK_OK(inotify_watcher_ignore(watcher, "t/5"));
    CHECK_OK(inotify_watcher_ignore(watcher, "t"));
    compare(&before, own);
    inotify_watcher_destroy(watcher);
    compare(&before, 0);

    fflush(NULL);
    CHECK_SYS(dup2(out, 1));
    CHECK_SYS(dup2(err, 2));
    CHECK_EQ(lseek(printed, 0, SEEK_END), 0);
    return 0;
}
