/* Watches directories with all below them and prints one line an event; a tool on the public
 * interface alone. `watch --help` says how.
 *
 *     cc watch.c show.c $(pkg-config --cflags --libs rinotify) -o watch
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "show.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <locale.h>
#include <poll.h>
#include <rinotify.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

static const char help[] =
    "Usage: watch [OPTION]... [DIRECTORY]...\n"
    "Print one line for each thing that happens in the directories (the current one,\n"
    "if none is given) and in all directories below them, new ones included.\n"
    "\n"
    "  -m EVENTS   only these events, by name and separated by commas: access, modify,\n"
    "              attrib, close_write, close_nowrite, open, moved_from, moved_to,\n"
    "              create, delete, delete_self, move_self; or all. May be given again.\n"
    "  -e          begin with what is there already\n"
    "  -x PATTERN  leave out directories of such a name, as node_modules or '.*'; with a\n"
    "              slash it is the path below DIRECTORY that counts, as in /build or\n"
    "              src/x*. May be given again.\n"
    "  -1          stay on the file system of each DIRECTORY\n"
    "  -p          say how far the initial scan has come, even if standard error is no\n"
    "              terminal\n"
    "  -q          nothing but events and errors\n"
    "  --help      this text\n"
    "  --version   the version of the library\n"
    "\n"
    "A line is the events' names, a space and the path; for the second half of a rename\n"
    "the old path, an arrow and the new one. \"synthetic\" among the names says that the\n"
    "entry was found rather than seen to appear. A path with characters that could be\n"
    "taken for something else stands in double quotes, those characters as \\n or \\x1b.\n"
    "Ends on SIGINT and SIGTERM with a summary, or when all directories are gone.\n"
    "Exit status: 0, or 1 after an error, or 2 if the arguments are wrong.\n";

static struct {
    inotify_watcher *watcher;
    int signals; /* a signalfd */
    bool interrupted;
    bool existing;
    bool one_file_system;
    bool progress;
    bool quiet;
    bool terminal; /* standard error is one */
    uint32_t mask;
    const char **excludes; /* ended by NULL */
    size_t exclude_count;
    uint64_t before; /* directories watched when the one at hand was begun */
    uint64_t shown;  /* the last figure of the progress line */
    uint64_t events;
} tool = {.signals = -1};

static void complain(const char *what)
{
    inotify_watcher_error error;

    memset(&error, 0, sizeof error);
    error.size = sizeof error;
    inotify_watcher_last_error(tool.watcher, &error);
    fprintf(stderr, "watch: %s: ", what);
    show_text(stderr, error.message);
    fputc('\n', stderr);
}

/* ---- Events. */

static void print_event(const inotify_watcher_event *event)
{
    char words[256];

    if ((event->flags & RINOTIFY_EVENT_ERROR) != 0) {
        fputs("error ", stdout);
        show_path(stdout, event->path);
        printf(": %s\n", strerror(event->error));
        return;
    }
    inotify_watcher_mask_names(event->mask, words, sizeof words);
    fputs(words, stdout);
    if ((event->flags & RINOTIFY_EVENT_COVERAGE) != 0)
        fputs(event->coverage == RINOTIFY_COVERAGE_COMPLETE  ? "complete"
              : event->coverage == RINOTIFY_COVERAGE_PARTIAL ? "partial"
                                                             : "out_of_step",
              stdout);
    if ((event->flags & RINOTIFY_EVENT_ROOT) != 0)
        fputs("|root", stdout);
    if ((event->flags & RINOTIFY_EVENT_SYNTHETIC) != 0)
        fputs("|synthetic", stdout);
    if ((event->flags & RINOTIFY_EVENT_RESCAN_BEGIN) != 0)
        fputs(words[0] != '\0' ? "|rescan_begin" : "rescan_begin", stdout);
    if ((event->flags & RINOTIFY_EVENT_RESCAN_END) != 0)
        fputs(words[0] != '\0' ? "|rescan_end" : "rescan_end", stdout);
    fputc(' ', stdout);
    if (event->old_path != NULL) {
        show_path(stdout, event->old_path);
        fputs(" -> ", stdout);
    }
    show_path(stdout, event->path);
    fputc('\n', stdout);
}

static void on_event(inotify_watcher *watcher, const inotify_watcher_event *event, void *user_data)
{
    (void)watcher;
    (void)user_data;
    tool.events++;
    print_event(event);
}

static inotify_watcher_stats get_stats(void)
{
    inotify_watcher_stats stats;

    memset(&stats, 0, sizeof stats);
    stats.size = sizeof stats;
    inotify_watcher_get_stats(tool.watcher, &stats);
    return stats;
}

/* ---- Signals, asked for rather than waited for. */

static bool interrupted(void)
{
    struct signalfd_siginfo info;

    while (read(tool.signals, &info, sizeof info) == sizeof info)
        tool.interrupted = true;
    return tool.interrupted;
}

static int block_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    if (sigprocmask(SIG_BLOCK, &set, NULL) == -1)
        return -1;
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* ---- Adding the directories. */

static int on_progress(uint64_t directories, void *user_data)
{
    (void)user_data;
    /* A line for every step would be more to write than the step was to do. */
    if (tool.progress && tool.before + directories >= tool.shown + 1000) {
        tool.shown = tool.before + directories;
        fprintf(stderr,
                tool.terminal ? "\r\033[Kinitial scan: %" PRIu64 " directories"
                              : "initial scan: %" PRIu64 " directories\n",
                tool.shown);
    }
    /* A large tree takes its time: it can be given up. */
    return interrupted() ? 1 : 0;
}

static int64_t add(const char *path)
{
    inotify_watcher_watch_options options;
    int64_t id;

    tool.before = get_stats().watchpoints;
    memset(&options, 0, sizeof options);
    options.size = sizeof options;
    options.mask = tool.mask;
    options.flags = RINOTIFY_WATCH_RECURSIVE | RINOTIFY_WATCH_AUTO_ADD;
    if (tool.existing)
        options.flags |= RINOTIFY_WATCH_EMIT_EXISTING;
    if (tool.one_file_system)
        options.flags |= RINOTIFY_WATCH_ONE_FILE_SYSTEM;
    options.excludes = tool.excludes;
    options.callback = on_event;
    /* The same callback and user data for all: a path that is given twice is one watch. */
    options.progress = on_progress;
    id = inotify_watcher_watch_with(tool.watcher, path, &options);
    if (id == -ENOTDIR) {
        /* A file: there is nothing below it. */
        options.flags = 0;
        id = inotify_watcher_watch_with(tool.watcher, path, &options);
    }
    if (tool.progress && tool.terminal)
        fputs("\r\033[K", stderr);
    return id;
}

/* ---- Names of events, as the library spells them. */

static uint32_t bit_of(const char *name, size_t length)
{
    for (uint32_t bit = 1; bit != 0 && (bit & IN_ALL_EVENTS) != 0; bit <<= 1) {
        char word[32];

        if (inotify_watcher_mask_names(bit, word, sizeof word) == length &&
            strncmp(word, name, length) == 0)
            return bit;
    }
    return length == 3 && strncmp(name, "all", 3) == 0 ? IN_ALL_EVENTS : 0;
}

static bool parse_events(const char *text)
{
    for (;;) {
        size_t length = strcspn(text, ",|");
        uint32_t bit = bit_of(text, length);

        if (bit == 0) {
            fprintf(stderr, "watch: no event has the name '%.*s'\n", (int)length, text);
            return false;
        }
        tool.mask |= bit;
        if (text[length] == '\0')
            return true;
        text += length + 1;
    }
}

static bool exclude(const char *pattern)
{
    const char **list = realloc(tool.excludes, (tool.exclude_count + 2) * sizeof *list);

    if (list == NULL)
        return false;
    tool.excludes = list;
    list[tool.exclude_count++] = pattern;
    list[tool.exclude_count] = NULL;
    return true;
}

/* Exit status, or -1 to go on. */
static int parse_arguments(int argc, char **argv)
{
    static const struct option longs[] = {{"help", no_argument, NULL, 'h'},
                                          {"version", no_argument, NULL, 'v'},
                                          {NULL, 0, NULL, 0}};
    int option;

    while ((option = getopt_long(argc, argv, "m:x:1epqh", longs, NULL)) != -1) {
        switch (option) {
        case 'm':
            if (!parse_events(optarg))
                return 2;
            break;
        case 'x':
            if (!exclude(optarg)) {
                perror("watch");
                return 1;
            }
            break;
        case '1':
            tool.one_file_system = true;
            break;
        case 'e':
            tool.existing = true;
            break;
        case 'p':
            tool.progress = true;
            break;
        case 'q':
            tool.quiet = true;
            break;
        case 'h':
            fputs(help, stdout);
            return 0;
        case 'v':
            printf("rinotify %s\n", rinotify_version());
            return 0;
        default:
            fputs("Try 'watch --help'.\n", stderr);
            return 2;
        }
    }
    if (tool.mask == 0)
        tool.mask = RINOTIFY_WATCH_MASK;
    tool.terminal = isatty(STDERR_FILENO);
    tool.progress = (tool.progress || tool.terminal) && !tool.quiet;
    return -1;
}

/* ---- The loop. */

static int loop(void)
{
    struct pollfd fds[2] = {{.fd = inotify_watcher_fileno(tool.watcher), .events = POLLIN},
                            {.fd = tool.signals, .events = POLLIN}};

    while (get_stats().watches > 0 && !interrupted()) {
        int result;

        if (poll(fds, 2, -1) == -1 && errno != EINTR) {
            perror("watch: poll");
            return 1;
        }
        result = inotify_watcher_do_read(tool.watcher);
        if (result < 0) {
            complain("reading events");
            return 1;
        }
        if (fflush(stdout) == EOF) {
            perror("watch: standard output");
            return 1;
        }
    }
    if (!tool.interrupted && !tool.quiet)
        fputs("nothing left to watch\n", stderr);
    return 0;
}

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int run(char **paths)
{
    static char *here[] = {".", NULL};
    double begin = seconds();
    int status = 0;

    tool.signals = block_signals();
    tool.watcher = inotify_watcher_create(NULL);
    if (tool.signals == -1 || tool.watcher == NULL) {
        perror("watch");
        return 1;
    }
    for (char **path = *paths != NULL ? paths : here; *path != NULL && !tool.interrupted; path++) {
        int64_t id = add(*path);

        if (id == -ECANCELED)
            break;
        if (id < 0) {
            complain("cannot watch");
            return 1;
        }
    }
    if (!tool.interrupted) {
        if (!tool.quiet)
            fprintf(stderr, "ready: %" PRIu64 " directories in %.2f s, Ctrl-C ends\n", get_stats().watchpoints,
                    seconds() - begin);
        status = loop();
    }
    if (!tool.quiet)
        fprintf(stderr, "%" PRIu64 " events, %" PRIu64 " directories watched, %.1f s\n",
                tool.events, get_stats().watchpoints, seconds() - begin);
    return status;
}

int main(int argc, char **argv)
{
    int status;

    setlocale(LC_CTYPE, "");
    status = parse_arguments(argc, argv);
    if (status == -1) {
        status = run(argv + optind);
        inotify_watcher_destroy(tool.watcher);
        if (tool.signals != -1)
            close(tool.signals);
    }
    free(tool.excludes);
    return status;
}
