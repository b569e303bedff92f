/* An edge-triggered epoll loop with two descriptors: the watcher's, and a signalfd that ends the
 * program on SIGINT or SIGTERM.
 *
 *     cc epoll.c $(pkg-config --cflags --libs rinotify) -o epoll && ./epoll some/directory
 *
 * An edge says "there is something" once. So the watcher is read until do_read returns 0; but one
 * bounded do_read at a time, with a look at the other descriptors in between, so that a tree where
 * something happens all the time does not keep them waiting.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include <errno.h>
#include <rinotify.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

static void on_event(inotify_watcher *watcher, const inotify_watcher_event *event, void *user_data)
{
    char words[256];
    unsigned long *count = user_data;

    (void)watcher;
    inotify_watcher_mask_names(event->mask, words, sizeof words);
    if (event->flags & RINOTIFY_EVENT_ERROR)
        printf("error %s: %s\n", event->path, strerror(event->error));
    else if (event->old_path != NULL)
        printf("%s %s -> %s\n", words, event->old_path, event->path);
    else
        printf("%s %s\n", words, event->path);
    ++*count;
}

static int signal_descriptor(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    if (sigprocmask(SIG_BLOCK, &set, NULL) == -1)
        return -1;
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int add(int epoll, int fd)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.fd = fd};

    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

static int loop(inotify_watcher *watcher, int epoll, int signals)
{
    bool more = false; /* the last do_read said that there may be */

    for (;;) {
        struct epoll_event events[2];
        int count = epoll_wait(epoll, events, 2, more ? 0 : -1);

        if (count == -1 && errno != EINTR) {
            perror("epoll_wait");
            return 1;
        }
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == signals)
                return 0;
            more = true;
        }
        if (more) {
            int result = inotify_watcher_do_read(watcher);

            if (result < 0) {
                fprintf(stderr, "do_read: %s\n", strerror(-result));
                return 1;
            }
            more = result > 0;
            fflush(stdout);
        }
    }
}

int main(int argc, char **argv)
{
    int signals = signal_descriptor();
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    inotify_watcher *watcher = inotify_watcher_create(NULL);
    unsigned long count = 0;
    int status = 1;

    if (signals == -1 || epoll == -1 || watcher == NULL || add(epoll, signals) == -1 ||
        add(epoll, inotify_watcher_fileno(watcher)) == -1) {
        perror("epoll");
    } else if (inotify_watcher_watch(watcher, argc > 1 ? argv[1] : ".", RINOTIFY_WATCH_MASK,
                                     RINOTIFY_WATCH_RECURSIVE | RINOTIFY_WATCH_AUTO_ADD, on_event,
                                     &count) < 0) {
        inotify_watcher_error error = {.size = sizeof error};

        inotify_watcher_last_error(watcher, &error);
        fprintf(stderr, "%s\n", error.message);
    } else {
        printf("ready\n");
        fflush(stdout);
        status = loop(watcher, epoll, signals);
        printf("%lu events\n", count);
    }
    inotify_watcher_destroy(watcher);
    if (epoll != -1)
        close(epoll);
    if (signals != -1)
        close(signals);
    return status;
}
