/* storm: many seeds, one after the other, each in a process of its own, so that one which crashes
 * or hangs is a failure like any other.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#include "storm.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct options opt = {
    .seed = 1, .seeds = 1, .repeat = 1, .loop = -1, .second = -1, .timeout = 60,
};
struct shared *shared;

static char command_line[2048];
static volatile sig_atomic_t interrupted;

enum { OPT_SEED = 256, OPT_SEEDS, OPT_REPEAT, OPT_WRITERS, OPT_OPS, OPT_PHASES, OPT_READ,
       OPT_EVENTS, OPT_SCAN, OPT_LOOP, OPT_SLOW, OPT_SECOND, OPT_QUEUE, OPT_TIMEOUT, OPT_DIR,
       OPT_DUMP, OPT_SABOTAGE, OPT_SABOTAGES, OPT_WITHOUT, OPT_ONLY, OPT_NO_EXCHANGE, OPT_KEEP,
       OPT_IN_PROCESS, OPT_FAIL_FAST, OPT_QUIET, OPT_IDENTITY, OPT_ORDER, OPT_OVERFLOW,
       OPT_ERRORS, OPT_TRACK, OPT_STOP, OPT_CONTENTS, OPT_SOAK,
       OPT_FAULTS, OPT_HELP };

static const struct option long_options[] = {
    {"seed", 1, NULL, OPT_SEED},
    {"seeds", 1, NULL, OPT_SEEDS},
    {"repeat", 1, NULL, OPT_REPEAT},
    {"writers", 1, NULL, OPT_WRITERS},
    {"ops", 1, NULL, OPT_OPS},
    {"phases", 1, NULL, OPT_PHASES},
    {"read-size", 1, NULL, OPT_READ},
    {"max-events", 1, NULL, OPT_EVENTS},
    {"max-scan", 1, NULL, OPT_SCAN},
    {"loop", 1, NULL, OPT_LOOP},
    {"slow", 0, NULL, OPT_SLOW},
    {"second", 1, NULL, OPT_SECOND},
    {"queue", 1, NULL, OPT_QUEUE},
    {"timeout", 1, NULL, OPT_TIMEOUT},
    {"dir", 1, NULL, OPT_DIR},
    {"dump", 1, NULL, OPT_DUMP},
    {"sabotage", 1, NULL, OPT_SABOTAGE},
    {"list-sabotage", 0, NULL, OPT_SABOTAGES},
    {"without", 1, NULL, OPT_WITHOUT},
    {"only", 1, NULL, OPT_ONLY},
    {"no-exchange", 0, NULL, OPT_NO_EXCHANGE},
    {"keep", 0, NULL, OPT_KEEP},
    {"in-process", 0, NULL, OPT_IN_PROCESS},
    {"fail-fast", 0, NULL, OPT_FAIL_FAST},
    {"quiet", 0, NULL, OPT_QUIET},
    {"strict-identity", 0, NULL, OPT_IDENTITY},
    {"strict-order", 0, NULL, OPT_ORDER},
    {"allow-overflow", 0, NULL, OPT_OVERFLOW},
    {"allow-errors", 0, NULL, OPT_ERRORS},
    {"track-entries", 0, NULL, OPT_TRACK},
    {"stop-reader", 0, NULL, OPT_STOP},
    {"contents", 0, NULL, OPT_CONTENTS},
    {"soak", 1, NULL, OPT_SOAK},
    {"faults", 0, NULL, OPT_FAULTS},
    {"help", 0, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

static void help(FILE *out)
{
    fputs("usage: storm [options]\n"
          "  --seed N --seeds COUNT   the seeds N to N + COUNT - 1 (1, 1)\n"
          "  --repeat N               each of them N times: the writers race, a seed is not\n"
          "                           the same twice\n"
          "What a seed draws unless it is given here:\n"
          "  --writers N --ops N --phases N --read-size BYTES --max-events N --max-scan N\n"
          "  --loop epoll|edge|poll|busy|slow     how the reader waits (--slow: the last)\n"
          "  --second none|same|link|stable|volatile|flat|structure|close|filter|ask\n"
          "                           a second watch over the first\n"
          "  --only OP,... --without OP,... --no-exchange     what the writers do\n"
          "Around it:\n"
          "  --dir DIR                where the trees are (/dev/shm, else $TMPDIR, else /tmp)\n"
          "  --queue N                max_queued_events for the watcher (root; else as it is)\n"
          "  --allow-overflow --allow-errors --track-entries\n"
          "  --faults                 the library's system calls fail at random meanwhile\n"
          "  --stop-reader            the reader is stopped (SIGSTOP) now and then\n"
          "  --contents               inode, mode, size and time of each file must be what they\n"
          "                           were at the last event about it\n"
          "  --soak SECONDS           go on with each seed for so long; at every rest the tree is\n"
          "                           emptied, and memory, descriptors, watches and idle time told\n"
          "  --strict-identity        what the events call the same file must be the same, even\n"
          "                           where the kernel's events do not tell\n"
          "  --strict-order           each event must fit what the mirror has at its place\n"
          "  --timeout SECONDS        a seed that takes longer hangs (60)\n"
          "  --dump DIR               write what happened in a failed seed there\n"
          "  --sabotage KIND          damage one thing a seed (--list-sabotage)\n"
          "  --in-process             no process for each seed: for valgrind and debuggers\n"
          "  --keep --fail-fast --quiet\n"
          "Operations:",
          out);
    for (int i = 0; i < op_count; i++)
        fprintf(out, " %s", ops[i].name);
    fputc('\n', out);
}

static uint64_t number(const char *text)
{
    char *end;

    errno = 0;
    unsigned long long value = strtoull(text, &end, 0);
    if (errno || *end || end == text)
        die("not a number: %s", text);
    return value;
}

static int word(const char *text, const char *(*name)(int), int count)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(text, name(i)) == 0)
            return i;
    }
    die("unknown word: %s", text);
}

static const char *loop_word(int i)
{
    return loop_name((enum loop_kind)i);
}

static const char *second_word(int i)
{
    return second_name((enum second_kind)i);
}

static const char *op_word(int i)
{
    return ops[i].name;
}

static void switch_ops(const char *list, bool off)
{
    char *copy = must_print("%s", list), *rest = copy;

    for (char *name; (name = strsep(&rest, ","));)
        opt.off[word(name, op_word, op_count)] = off;
    free(copy);
}

static void parse(int argc, char **argv)
{
    size_t len = 0;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--seed") == 0 || strcmp(argv[i], "--seeds") == 0 ||
            strcmp(argv[i], "--repeat") == 0) {
            i++; /* the command to repeat a seed has its own */
            continue;
        }
        if (len < sizeof(command_line))
            len += (size_t)snprintf(command_line + len, sizeof(command_line) - len, " %s",
                                    argv[i]);
    }
    for (int c; (c = getopt_long(argc, argv, "", long_options, NULL)) != -1;) {
        switch (c) {
        case OPT_SEED: opt.seed = number(optarg); break;
        case OPT_SEEDS: opt.seeds = number(optarg); break;
        case OPT_REPEAT: opt.repeat = number(optarg); break;
        case OPT_WRITERS: opt.writers = (int)number(optarg); break;
        case OPT_OPS: opt.ops = (int)number(optarg); break;
        case OPT_PHASES: opt.phases = (int)number(optarg); break;
        case OPT_READ: opt.read_size = (uint32_t)number(optarg); break;
        case OPT_EVENTS: opt.max_events = (uint32_t)number(optarg); break;
        case OPT_SCAN: opt.max_scan = (uint32_t)number(optarg); break;
        case OPT_LOOP: opt.loop = word(optarg, loop_word, LOOP_KINDS); break;
        case OPT_SLOW: opt.loop = LOOP_SLOW; break;
        case OPT_SECOND: opt.second = word(optarg, second_word, SECOND_KINDS); break;
        case OPT_QUEUE: opt.queue = number(optarg); break;
        case OPT_TIMEOUT: opt.timeout = (unsigned)number(optarg); break;
        case OPT_DIR: opt.dir = optarg; break;
        case OPT_DUMP: opt.dump = optarg; break;
        case OPT_SABOTAGE: opt.sabotage = optarg; break;
        case OPT_SABOTAGES: sabotage_list(stdout); exit(0);
        case OPT_WITHOUT: switch_ops(optarg, true); break;
        case OPT_ONLY:
            for (int i = 0; i < op_count; i++)
                opt.off[i] = true;
            switch_ops(optarg, false);
            break;
        case OPT_NO_EXCHANGE: switch_ops("exchange", true); break;
        case OPT_KEEP: opt.keep = true; break;
        case OPT_IN_PROCESS: opt.in_process = true; break;
        case OPT_FAIL_FAST: opt.fail_fast = true; break;
        case OPT_QUIET: opt.quiet = true; break;
        case OPT_IDENTITY: opt.strict_identity = true; break;
        case OPT_ORDER: opt.strict_order = true; break;
        case OPT_OVERFLOW: opt.allow_overflow = true; break;
        case OPT_ERRORS: opt.allow_errors = true; break;
        case OPT_TRACK: opt.track_entries = true; break;
        case OPT_STOP: opt.stop_reader = true; break;
        case OPT_CONTENTS:
            /* A file that is changed by another name, or in an exchange that the kernel's events
             * do not show, changes without a word. */
            opt.contents = true;
            switch_ops("link,exchange,shuffle", true);
            break;
        case OPT_SOAK: opt.soak = number(optarg); break;
        case OPT_FAULTS: opt.faults = true; break;
        case OPT_HELP: help(stdout); exit(0);
        default: help(stderr); exit(99);
        }
    }
    if (optind != argc || opt.writers < 0 || opt.writers > MAX_WRITERS) {
        help(stderr);
        exit(99);
    }
    if (opt.sabotage && !sabotage_known(opt.sabotage))
        die("no such sabotage: %s", opt.sabotage);
    if (opt.faults && !faults_possible())
        die("this storm is built with a library whose system calls do not fail on demand");
#ifndef RINOTIFY_WATCH_TRACK_ENTRIES
    if (opt.track_entries)
        die("this library has no RINOTIFY_WATCH_TRACK_ENTRIES");
#endif
}

static void report(uint64_t seed, const char *class, const char *text)
{
    fflush(stderr);
    printf("FAIL seed %llu [%s] %s\n  repeat: storm --seed %llu --repeat 200%s\n",
           (unsigned long long)seed, class, text, (unsigned long long)seed, command_line);
    fflush(stdout);
}

static void dump(uint64_t seed)
{
    static struct plan plan;
    char *path;
    FILE *out;

    if (!opt.dump)
        return;
    path = must_print("%s/storm-%llu.log", opt.dump, (unsigned long long)seed);
    out = fopen(path, "we");
    if (!out)
        die("cannot write %s: %s", path, strerror(errno));
    plan_make(&plan, seed);
    log_dump(&plan, out);
    fclose(out);
    printf("  what happened: %s\n", path);
    fflush(stdout);
    free(path);
}

static uint64_t hanging_seed;

/* The seed's process does not come to its end: say where it is, and go. */
static void on_alarm(int signal)
{
    char text[256];

    (void)signal;
    alarm(10); /* should this hang as well, the default action ends it */
    sigaction(SIGALRM, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    snprintf(text, sizeof(text), "at '%s' in phase %d, %d writers are done, %llu events", step,
             running ? running->phase : -1, running ? running->done_count : -1,
             running ? (unsigned long long)running->delivered : 0);
    log_note("FAILURE [hang] %s", text);
    report(hanging_seed, "hang", text);
    dump(hanging_seed);
    _exit(1);
}

/* 0 passed, 1 failed, 2 overflowed. */
static int one_seed(uint64_t seed)
{
    hanging_seed = seed;
    sigaction(SIGALRM, &(struct sigaction){.sa_handler = on_alarm}, NULL);
    alarm(opt.timeout);
    int failed = seed_run(seed);
    alarm(0);
    if (!failed)
        return 0;
    if (strcmp(fail_class, CLASS_OVERFLOW) == 0)
        return 2;
    report(seed, fail_class, fail_text);
    dump(seed);
    return 1;
}

static int one_process(uint64_t seed)
{
    pid_t parent = getpid(), pid;
    int status;

    if (opt.in_process)
        return one_seed(seed);
    fflush(stdout);
    pid = fork();
    if (pid < 0)
        die("cannot fork: %s", strerror(errno));
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(0);
        int result = one_seed(seed);
        fflush(stdout);
        _exit(result);
    }
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            die("lost a process: %s", strerror(errno));
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) <= 2)
        return WEXITSTATUS(status);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 99)
        exit(99); /* the test itself cannot go on, and has said why */
    char *text = WIFSIGNALED(status) ? must_print("signal %d", WTERMSIG(status))
                                     : must_print("exit status %d", WEXITSTATUS(status));
    report(seed, "crash", text);
    free(text);
    return 1;
}

static void on_interrupt(int signal)
{
    (void)signal;
    interrupted = 1;
}

static void print_totals(void)
{
    const struct totals *t = &shared->totals;
#define N(field) (unsigned long long)t->field

    printf("writers: %llu operations, %llu system calls that did something, %llu renames, "
           "%llu of them exchanges\n",
           N(ops), N(calls), N(renames), N(exchanges));
    printf("events: %llu delivered, %llu synthetic, %llu moves, %llu kernel events in %llu reads\n",
           N(events), N(synthetic), N(moves), N(kernel_events), N(reads));
    printf("checks: %llu trees, %llu directories, %llu probes\n", N(checks), N(directories),
           N(probes));
    printf("odd: %llu late, %llu of another type, %llu over what cannot be replaced, "
           "%llu files and %llu directories of another identity\n",
           N(late), N(odd_type), N(odd_over), N(identity_file), N(identity_dir));
    if (opt.faults)
        printf("faults: %llu calls refused, %llu errors told, %llu calls of the library and %llu "
               "watches failed, %llu contradictions excused, %llu trees brought back in step by "
               "trying again, %llu by watching again\n",
               N(faults), N(fault_errors), N(fault_calls), N(fault_watches), N(fault_excused),
               N(fault_retried), N(fault_again));
    if (opt.allow_overflow)
        printf("overflows: %llu, rescans told %llu, %llu contradictions in between\n",
               N(overflows), N(rescans), N(odd_lost));
    if (opt.contents)
        printf("contents: %llu looks, %llu files compared\n", N(looks), N(contents));
    if (opt.sabotage)
        printf("sabotaged: %llu\n", N(sabotaged));
    if (t->overflowed)
        printf("overflow: %llu seeds, which prove nothing\n", N(overflowed));
    printf("%llu passed, %llu failed\n", N(passed), N(failed));
#undef N
}

int main(int argc, char **argv)
{
    const char *temporary = getenv("TMPDIR");
    char place[PATH_MAX];

    parse(argc, argv);
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                  0);
    if (shared == MAP_FAILED)
        die("no shared memory: %s", strerror(errno));
    if (opt.dump) {
        opt.dump = realpath(opt.dump, NULL);
        if (!opt.dump)
            die("no such directory for --dump");
    }
    if (!opt.dir)
        opt.dir = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : temporary ? temporary : "/tmp";
    snprintf(place, sizeof(place), "%s/storm-XXXXXX", opt.dir);
    if (!mkdtemp(place) || chdir(place) != 0)
        die("cannot make %s: %s", place, strerror(errno));
    signal(SIGPIPE, SIG_IGN);
    sigaction(SIGINT, &(struct sigaction){.sa_handler = on_interrupt}, NULL);
    sigaction(SIGTERM, &(struct sigaction){.sa_handler = on_interrupt}, NULL);

    for (uint64_t seed = opt.seed; seed < opt.seed + opt.seeds && !interrupted; seed++) {
        for (uint64_t n = 0; n < opt.repeat && !interrupted; n++) {
            int result = one_process(seed);

            shared->totals.passed += result == 0;
            shared->totals.failed += result == 1;
            shared->totals.overflowed += result == 2;
            if (result == 1 && opt.fail_fast)
                interrupted = 1;
            if (!opt.keep) {
                char name[32];
                snprintf(name, sizeof(name), "s%llu", (unsigned long long)seed);
                (void)remove_tree(AT_FDCWD, name);
            }
        }
    }
    if (interrupted && !opt.fail_fast)
        printf("interrupted\n");
    if (!opt.keep && (chdir("/") != 0 || remove_tree(AT_FDCWD, place) != 0))
        fprintf(stderr, "storm: %s could not be removed\n", place);
    if (opt.keep)
        printf("kept: %s\n", place);
    if (!opt.quiet || shared->totals.failed)
        print_totals();
    return shared->totals.failed ? 1 : shared->totals.passed ? 0 : 77;
}
