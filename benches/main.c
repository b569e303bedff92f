/* One work item a process: bench_<implementation> WORK [OPTION...], one line of key=value pairs.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct bench_options opt = {.variant = "", .files = 5, .rounds = 1};
struct bench_told told;

static const struct {
    const char *name;
    void (*run)(void);
    const char *what;
} works[] = {
    {"setup", work_setup, "watch dir and all below, then close; dir/tree has --dirs directories"},
    {"ignore", work_ignore, "end the watch of such a tree"},
    {"drain", work_drain, "deliver --events events that wait in the queue, over --dirs or --flat"},
    {"latency", work_latency, "creat(2) to callback, --events files, one each 200 us"},
    {"storm", work_storm, "--dirs nested new directories with --files files each"},
    {"removal", work_removal, "rm -rf of --dirs watched directories, --queued: first all queued"},
    {"rename", work_rename, "rename of dir/tree until the next right path, --rounds times"},
    {"move", work_move, "dir/tree moved to --outside and back, --rounds times"},
};

static int usage(FILE *to)
{
    fprintf(to, "usage: bench_%s WORK --dir DIR [OPTION...]\n\nworks:\n", impl.name);
    for (size_t i = 0; i < sizeof works / sizeof *works; i++)
        fprintf(to, "  %-8s %s\n", works[i].name, works[i].what);
    fprintf(to, "\noptions: --dir DIR --outside DIR --variant NAME --dirs N --files N --events N\n"
                "  --rounds N --delay-us N --read-size N --existing --track --queued --flat\n"
                "\n  bench_%s make-tree --dir DIR --dirs N --files N   make dir/tree\n"
                "  bench_%s remove-tree --dir DIR                    remove it\n",
            impl.name, impl.name);
    return to == stdout ? 0 : 2;
}

static unsigned long number(const char *text)
{
    char *end;
    errno = 0;
    unsigned long n = strtoul(text, &end, 10);
    if (errno || *end || end == text) {
        fprintf(stderr, "bench_%s: not a number: %s\n", impl.name, text);
        exit(2);
    }
    return n;
}

static void parse(int argc, char **argv)
{
    static const struct option options[] = {
        {"dir", 1, 0, 'd'},      {"outside", 1, 0, 'o'},   {"variant", 1, 0, 'v'},
        {"dirs", 1, 0, 'n'},     {"files", 1, 0, 'f'},     {"events", 1, 0, 'e'},
        {"rounds", 1, 0, 'r'},   {"delay-us", 1, 0, 'u'},  {"read-size", 1, 0, 's'},
        {"existing", 0, 0, 'x'}, {"track", 0, 0, 't'},     {"queued", 0, 0, 'q'},
        {"flat", 0, 0, 'l'},     {0, 0, 0, 0},
    };
    int c;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 'd': opt.dir = optarg; break;
        case 'o': opt.outside = optarg; break;
        case 'v': opt.variant = optarg; break;
        case 'n': opt.dirs = number(optarg); break;
        case 'f': opt.files = number(optarg); break;
        case 'e': opt.events = number(optarg); break;
        case 'r': opt.rounds = number(optarg); break;
        case 'u': opt.delay_us = number(optarg); break;
        case 's': opt.read_size = number(optarg); break;
        case 'x': opt.existing = true; break;
        case 't': opt.track = true; break;
        case 'q': opt.queued = true; break;
        case 'l': opt.flat = true; break;
        default: exit(usage(stderr));
        }
    }
    if (optind + 1 != argc || !opt.dir)
        exit(usage(stderr));
    opt.work = argv[optind];
}

int main(int argc, char **argv)
{
    char tree[4096];
    if (argc == 2 && !strcmp(argv[1], "--help"))
        return usage(stdout);
    parse(argc, argv);
    path_join(tree, sizeof tree, opt.dir, BENCH_TREE);
    if (!strcmp(opt.work, "make-tree")) {
        tree_make(tree, opt.dirs, opt.files);
        return 0;
    }
    if (!strcmp(opt.work, "remove-tree")) {
        tree_remove(tree);
        return 0;
    }
    for (size_t i = 0; i < sizeof works / sizeof *works; i++) {
        if (!strcmp(opt.work, works[i].name)) {
            works[i].run();
            return 0;
        }
    }
    return usage(stderr);
}
