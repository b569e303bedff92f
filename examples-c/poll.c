/* The smallest program there is: watches one directory with all below it, prints what happens, and
 * ends when the directory is deleted.
 *
 *     cc poll.c $(pkg-config --cflags --libs rinotify) -o poll && ./poll some/directory
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include <poll.h>
#include <rinotify.h>
#include <stdio.h>

static void on_event(inotify_watcher *watcher, const inotify_watcher_event *event, void *user_data)
{
    char words[256];

    inotify_watcher_mask_names(event->mask, words, sizeof words);
    printf("%s %s\n", words, event->path);
    /* The last event of a watch whose root is gone. */
    if (event->mask & IN_IGNORED)
        *(int *)user_data = 1;
    (void)watcher;
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : ".";
    int gone = 0;
    inotify_watcher *watcher = inotify_watcher_create(NULL);
    struct pollfd readable = {inotify_watcher_fileno(watcher), POLLIN, 0};

    if (watcher == NULL ||
        inotify_watcher_watch(watcher, path, RINOTIFY_WATCH_MASK,
                              RINOTIFY_WATCH_RECURSIVE | RINOTIFY_WATCH_AUTO_ADD, on_event,
                              &gone) < 0) {
        inotify_watcher_error error = {.size = sizeof error};

        inotify_watcher_last_error(watcher, &error);
        fprintf(stderr, "%s\n", error.message);
        inotify_watcher_destroy(watcher);
        return 1;
    }
    printf("ready\n");
    fflush(stdout);
    while (!gone && poll(&readable, 1, -1) == 1 && inotify_watcher_do_read(watcher) >= 0)
        fflush(stdout);
    inotify_watcher_destroy(watcher);
    return 0;
}
