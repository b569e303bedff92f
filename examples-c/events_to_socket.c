/* Serves the events of a tree to any number of clients on a Unix socket, one JSON object a line.
 *
 *     cc events_to_socket.c $(pkg-config --cflags --libs rinotify libevent) -o events_to_socket
 *     ./events_to_socket some/directory events.sock &
 *     nc -U events.sock
 *
 * A client gets what is there first, and then what happens. It may read as slowly as it likes, or
 * stop, or die: that costs the others nothing. For each one has a watcher and a stream of its own,
 * and the watcher is the stream's producer. When the client does not read, the socket fills, then
 * the stream's buffer (64 KiB), then the watcher is paused and the kernel's queue takes the events;
 * if that overflows too, the client is told so in its place. Nothing grows beyond that.
 *
 * With one watcher for all, it would have to wait for the slowest of them, or the program keep what
 * the slow ones have not had yet, without a bound. The price is an inotify instance and the kernel's
 * watches of the tree for each client (max_user_instances, max_user_watches): a client that is over
 * a limit is turned away.
 *
 * When the program has no descriptor left to accept a client with, those who come wait until another
 * has gone.
 *
 * The program ends on SIGINT and SIGTERM. If the directory goes, the clients are told, and see the
 * end of the data.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "reactor_libevent.h"

#include <event2/listener.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct client;

struct server {
    struct event_base *base;
    inotify_watcher_reactor reactor;
    const char *directory;
    struct client *clients;
    struct evconnlistener *listener;
};

struct client {
    struct server *server;
    int fd;
    inotify_watcher *watcher;
    inotify_watcher_stream *stream;
    struct event *input;
    struct client *next, **place;
};

static void log_line(uint32_t level, const char *prefix, const char *message, void *client)
{
    (void)level;
    (void)client;
    fprintf(stderr, "%s: %s\n", prefix, message);
}

static void say_why(const char *what)
{
    inotify_watcher_error error = {.size = sizeof error};

    inotify_watcher_last_error(NULL, &error);
    fprintf(stderr, "%s: %s\n", what, error.message);
}

static void forget(struct client *client)
{
    *client->place = client->next;
    if (client->next != NULL)
        client->next->place = client->place;
    if (client->input != NULL)
        event_free(client->input);
    inotify_watcher_stream_destroy(client->stream);
    inotify_watcher_destroy(client->watcher);
    close(client->fd);
    /* There is room for another now, if there was none. */
    evconnlistener_enable(client->server->listener);
    free(client);
}

/* The client is gone, or everything was written to it; its watcher was stopped before. Each of the
 * two objects may be destroyed in here. */
static void on_stream_lost(inotify_watcher_stream *stream, int reason, void *client)
{
    (void)stream;
    /* ECANCELED: it is being forgotten already. */
    if (reason != ECANCELED)
        forget(client);
}

/* The directory is gone, or the client is. What the stream still has is written, and then it ends. */
static void on_watcher_lost(inotify_watcher *watcher, int reason, void *user_data)
{
    struct client *client = user_data;

    (void)watcher;
    if (reason != ECANCELED)
        inotify_watcher_stream_stop_consuming(client->stream);
}

/* Clients have nothing to say, but this is how their end is seen when no event comes. */
static void on_input(evutil_socket_t fd, short what, void *user_data)
{
    struct client *client = user_data;
    struct pollfd status = {.fd = fd};
    char unused[512];
    ssize_t count = recv(fd, unused, sizeof unused, MSG_DONTWAIT);

    (void)what;
    if (count > 0 || (count == -1 && (errno == EAGAIN || errno == EINTR)))
        return;
    if (count == 0 && poll(&status, 1, 0) == 0) {
        /* It only closed its writing half, and can still read. Its end is seen at a write, then. */
        event_del(client->input);
        return;
    }
    inotify_watcher_stream_abort(client->stream, count == 0 ? 0 : errno);
}

static int begin(struct client *client)
{
    struct server *server = client->server;
    inotify_watcher_options watcher_options = {
        .size = sizeof watcher_options,
        .flags = RINOTIFY_LOSE_CONNECTION_ON_DELETE_SELF,
        .reactor = &server->reactor,
        .connection_lost = on_watcher_lost,
        .log = log_line,
        .user_data = client,
    };
    inotify_watcher_stream_options stream_options = {
        .size = sizeof stream_options,
        .reactor = &server->reactor,
        .connection_lost = on_stream_lost,
        .log = log_line,
        .user_data = client,
    };

    client->stream = inotify_watcher_stream_create(client->fd, &stream_options);
    if (client->stream == NULL)
        return -1;
    client->watcher = inotify_watcher_create(&watcher_options);
    if (client->watcher == NULL ||
        inotify_watcher_stream_register_watcher(client->stream, client->watcher) < 0 ||
        inotify_watcher_stream_watch(client->stream, client->watcher, server->directory,
                                     RINOTIFY_WATCH_MASK,
                                     RINOTIFY_WATCH_RECURSIVE | RINOTIFY_WATCH_AUTO_ADD |
                                         RINOTIFY_WATCH_EMIT_EXISTING) < 0 ||
        inotify_watcher_start_reading(client->watcher) < 0)
        return -1;
    client->input = event_new(server->base, client->fd, EV_READ | EV_PERSIST, on_input, client);
    return client->input != NULL ? event_add(client->input, NULL) : -1;
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address,
                      int length, void *user_data)
{
    struct server *server = user_data;
    struct client *client = calloc(1, sizeof *client);

    (void)listener;
    (void)address;
    (void)length;
    if (client == NULL) {
        close(fd);
        return;
    }
    client->server = server;
    client->fd = fd;
    client->place = &server->clients;
    client->next = server->clients;
    if (client->next != NULL)
        client->next->place = &client->next;
    server->clients = client;
    if (begin(client) != 0) {
        say_why("a client is turned away");
        forget(client);
    }
}

/* The client stays in the queue, and the listener ready: it would be called again at once. */
static void on_accept_failed(struct evconnlistener *listener, void *user_data)
{
    struct server *server = user_data;

    fprintf(stderr, "a client has to wait: %s\n", strerror(EVUTIL_SOCKET_ERROR()));
    if (server->clients != NULL)
        evconnlistener_disable(listener);
    else
        event_base_loopbreak(server->base);
}

static void on_signal(evutil_socket_t number, short what, void *base)
{
    (void)number;
    (void)what;
    event_base_loopbreak(base);
}

static int serve(struct server *server, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct evconnlistener *listener;
    struct event *interrupt, *terminate;

    if (strlen(path) >= sizeof address.sun_path) {
        fprintf(stderr, "%s: too long for a socket\n", path);
        return 1;
    }
    strcpy(address.sun_path, path);
    listener = evconnlistener_new_bind(server->base, on_accept, server,
                                       LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, -1,
                                       (struct sockaddr *)&address, sizeof address);
    if (listener == NULL) {
        perror(path);
        return 1;
    }
    evconnlistener_set_error_cb(listener, on_accept_failed);
    server->listener = listener;
    interrupt = evsignal_new(server->base, SIGINT, on_signal, server->base);
    terminate = evsignal_new(server->base, SIGTERM, on_signal, server->base);
    event_add(interrupt, NULL);
    event_add(terminate, NULL);
    printf("ready\n");
    fflush(stdout);
    event_base_dispatch(server->base);
    while (server->clients != NULL)
        forget(server->clients);
    event_free(interrupt);
    event_free(terminate);
    evconnlistener_free(listener);
    unlink(path);
    return 0;
}

int main(int argc, char **argv)
{
    struct server server = {0};
    int status;

    if (argc != 3) {
        fprintf(stderr, "usage: %s DIRECTORY SOCKET\n", argv[0]);
        return 2;
    }
    server.base = event_base_new();
    if (server.base == NULL) {
        fprintf(stderr, "no event base\n");
        return 1;
    }
    server.reactor = reactor_libevent(server.base);
    server.directory = argv[1];
    status = serve(&server, argv[2]);
    event_base_free(server.base);
    libevent_global_shutdown();
    return status;
}
