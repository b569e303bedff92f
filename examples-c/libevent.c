/* A watcher in a libevent loop, beside two signals that end it.
 *
 *     cc libevent.c $(pkg-config --cflags --libs rinotify libevent) -o libevent
 *     ./libevent some/directory
 *
 * One read event is all that a watcher needs: its descriptor stays readable while there is work,
 * so one bounded do_read a call is enough, and other events of the loop come in between.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include <event2/event.h>
#include <rinotify.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

struct program {
    struct event_base *base;
    inotify_watcher *watcher;
    unsigned long count;
    int status;
};

static void on_event(inotify_watcher *watcher, const inotify_watcher_event *event, void *user_data)
{
    struct program *program = user_data;
    char words[256];

    (void)watcher;
    inotify_watcher_mask_names(event->mask, words, sizeof words);
    if (event->flags & RINOTIFY_EVENT_ERROR)
        printf("error %s: %s\n", event->path, strerror(event->error));
    else if (event->old_path != NULL)
        printf("%s %s -> %s\n", words, event->old_path, event->path);
    else
        printf("%s %s\n", words, event->path);
    program->count++;
}

static void on_readable(evutil_socket_t fd, short what, void *user_data)
{
    struct program *program = user_data;
    int result = inotify_watcher_do_read(program->watcher);

    (void)fd;
    (void)what;
    if (result < 0) {
        fprintf(stderr, "do_read: %s\n", strerror(-result));
        program->status = 1;
        event_base_loopbreak(program->base);
    }
    fflush(stdout);
}

static void on_signal(evutil_socket_t number, short what, void *user_data)
{
    struct program *program = user_data;

    (void)number;
    (void)what;
    event_base_loopbreak(program->base);
}

int main(int argc, char **argv)
{
    struct program program = {event_base_new(), inotify_watcher_create(NULL), 0, 0};
    struct event *readable, *interrupt, *terminate;

    if (program.base == NULL || program.watcher == NULL) {
        fprintf(stderr, "no event base, or no watcher\n");
        return 1;
    }
    readable = event_new(program.base, inotify_watcher_fileno(program.watcher),
                         EV_READ | EV_PERSIST, on_readable, &program);
    interrupt = evsignal_new(program.base, SIGINT, on_signal, &program);
    terminate = evsignal_new(program.base, SIGTERM, on_signal, &program);
    event_add(readable, NULL);
    event_add(interrupt, NULL);
    event_add(terminate, NULL);

    if (inotify_watcher_watch(program.watcher, argc > 1 ? argv[1] : ".", RINOTIFY_WATCH_MASK,
                              RINOTIFY_WATCH_RECURSIVE | RINOTIFY_WATCH_AUTO_ADD, on_event,
                              &program) < 0) {
        inotify_watcher_error error = {.size = sizeof error};

        inotify_watcher_last_error(program.watcher, &error);
        fprintf(stderr, "%s\n", error.message);
        program.status = 1;
    } else {
        printf("ready\n");
        fflush(stdout);
        event_base_dispatch(program.base);
        printf("%lu events\n", program.count);
    }
    /* The event that uses the descriptor goes before the descriptor does. */
    event_free(readable);
    event_free(interrupt);
    event_free(terminate);
    inotify_watcher_destroy(program.watcher);
    event_base_free(program.base);
    libevent_global_shutdown();
    return program.status;
}
