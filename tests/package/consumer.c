/* A program of somebody who has installed the library and knows no more than its header. It makes
 * its tree in the current directory. */
#define _XOPEN_SOURCE 700

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <rinotify.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct expected {
    const char *path;
    int times;
};

static void fail(const char *what, long long result)
{
    fprintf(stderr, "%s: %lld\n", what, result);
    exit(1);
}

static void on_event(inotify_watcher *watcher, const inotify_watcher_event *event, void *user_data)
{
    struct expected *expected = user_data;

    (void)watcher;
    if ((event->mask & IN_CREATE) && strcmp(event->path, expected->path) == 0)
        expected->times++;
}

int main(void)
{
    char root[] = "consumer-XXXXXX", directory[64], file[64], version[32];
    struct expected expected = {file, 0};
    inotify_watcher *watcher;
    struct pollfd ready;
    int64_t watch;
    int result, fd;

    alarm(30);

    snprintf(version, sizeof(version), "%d.%d.%d", RINOTIFY_VERSION_MAJOR, RINOTIFY_VERSION_MINOR,
             RINOTIFY_VERSION_PATCH);
    if (strcmp(version, rinotify_version()) != 0)
        fail(rinotify_version(), 0);

    if (mkdtemp(root) == NULL)
        fail("mkdtemp", errno);
    snprintf(directory, sizeof(directory), "%s/new", root);
    snprintf(file, sizeof(file), "%s/new/file", root);

    watcher = inotify_watcher_create(NULL);
    if (watcher == NULL)
        fail("inotify_watcher_create", errno);
    watch = inotify_watcher_watch(watcher, root, RINOTIFY_WATCH_MASK,
                                  RINOTIFY_WATCH_RECURSIVE | RINOTIFY_WATCH_AUTO_ADD, on_event,
                                  &expected);
    if (watch <= 0)
        fail("inotify_watcher_watch", watch);

    if (mkdir(directory, 0700) != 0)
        fail("mkdir", errno);
    fd = open(file, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (fd < 0)
        fail("open", errno);
    close(fd);

    ready.fd = inotify_watcher_fileno(watcher);
    ready.events = POLLIN;
    while (expected.times == 0) {
        if (poll(&ready, 1, -1) < 0)
            fail("poll", errno);
        result = inotify_watcher_do_read(watcher);
        if (result < 0)
            fail("inotify_watcher_do_read", result);
    }
    result = inotify_watcher_sync(watcher);
    if (result != 0)
        fail("inotify_watcher_sync", result);
    if (expected.times != 1)
        fail("the file was announced more than once", expected.times);

    inotify_watcher_destroy(watcher);
    unlink(file);
    rmdir(directory);
    rmdir(root);
    return 0;
}
