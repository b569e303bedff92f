/* mixed [-v] [SEED [COUNT [+WORD|-WORD]...]]
 *
 * Each seed says what its run mixes; +WORD and -WORD (follow, track, filter, callback, limit, modes,
 * descriptors, overflows, mounts) insist on a part or leave it out. A run that fails prints its seed
 * and the last steps; -v prints all of them. Without a seed, CHECK_ROUNDS is the number of runs.
 *
 * A run is a process of its own, and where that is allowed in a user and a mount namespace of its
 * own: nobody else feels its limit on watches, or sees what it mounts.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "mixed.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>

struct plan plan;

/* ---- Chance. */

static uint64_t chance;

unsigned below(unsigned limit)
{
    uint64_t z = (chance += 0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return (unsigned)((z ^ (z >> 31)) % limit);
}

/* ---- The last steps, in memory that outlives the run. */

#define LINES 150
static struct steps {
    unsigned long count;
    char lines[LINES][200];
} *steps;
static bool verbose;

void note(const char *pattern, ...)
{
    char *line = steps->lines[steps->count++ % LINES];
    va_list arguments;

    va_start(arguments, pattern);
    vsnprintf(line, sizeof steps->lines[0], pattern, arguments);
    va_end(arguments);
    if (verbose) {
        puts(line);
        fflush(stdout);
    }
}

static void print_steps(void)
{
    unsigned long first = steps->count > LINES ? steps->count - LINES : 0;

    for (unsigned long i = first; i < steps->count && !verbose; i++)
        fprintf(stderr, "%s\n", steps->lines[i % LINES]);
}

/* ---- The plan of a seed. */

/* What can be had here. */
static bool with_namespaces, with_overflows;

static char **words;
static int word_count;

static struct part {
    const char *word;
    bool *on;
} const parts[] = {
    {"follow", &plan.follow},           {"track", &plan.track},
    {"filter", &plan.filter},           {"callback", &plan.callback},
    {"limit", &plan.limit},             {"modes", &plan.modes},
    {"descriptors", &plan.descriptors}, {"overflows", &plan.overflows},
    {"mounts", &plan.mounts},
};
enum { PARTS = sizeof parts / sizeof parts[0] };

static void check_words(void)
{
    for (int i = 0; i < word_count; i++) {
        bool known = false;

        for (int j = 0; j < PARTS; j++)
            known |= strcmp(words[i] + 1, parts[j].word) == 0;
        if (!known || (words[i][0] != '+' && words[i][0] != '-'))
            FAIL("what is %s?", words[i]);
    }
}

static void choose(void)
{
    char text[200] = "";

    for (int i = 0; i < PARTS; i++)
        *parts[i].on = below(2) == 0;
    /* These are the slow ones. */
    if (below(2) == 0)
        plan.mounts = plan.overflows = false;
    for (int i = 0; i < word_count; i++)
        for (int j = 0; j < PARTS; j++)
            if (strcmp(words[i] + 1, parts[j].word) == 0)
                *parts[j].on = words[i][0] == '+';
    plan.limit &= with_namespaces;
    plan.mounts &= with_namespaces;
    plan.overflows &= with_overflows;
    for (int i = 0; i < PARTS; i++)
        if (*parts[i].on)
            snprintf(text + strlen(text), sizeof text - strlen(text), " %s", parts[i].word);
    note("mixes:%s", text);
}

/* ---- A process of its own. */

static void map_ids(pid_t child, const char *which)
{
    int fd = open(format("/proc/%d/%s", (int)child, which), O_WRONLY | O_CLOEXEC);

    /* If it may not be written the child finds out. */
    if (fd >= 0) {
        (void)!write(fd, "0 0 65536\n", 10);
        close(fd);
    }
}

/* Runs it in a child, in namespaces of its own or not, and returns the child's status. Namespaces
 * that are to be had only with other ids than these are no good: nobody else would be the reader. */
static int in_a_child(void (*run)(uint64_t), uint64_t argument, bool namespaces)
{
    int there[2], mapped[2], status;
    char byte = 0;
    pid_t child;

    CHECK_SYS(pipe2(there, O_CLOEXEC));
    CHECK_SYS(pipe2(mapped, O_CLOEXEC));
    fflush(NULL);
    child = (pid_t)CHECK_SYS(fork());
    if (child == 0) {
        CHECK_SYS(prctl(PR_SET_PDEATHSIG, SIGKILL));
        (void)signal(SIGALRM, SIG_DFL);
        alarm(60 * (check_under_valgrind() ? 10 : 1));
        if (namespaces && unshare(CLONE_NEWUSER | CLONE_NEWNS) == -1)
            exit(77);
        CHECK_EQ(write(there[1], &byte, 1), 1);
        CHECK_EQ(read(mapped[0], &byte, 1), 1);
        if (namespaces && (getuid() != 0 || setgid(0) == -1 || setuid(0) == -1 ||
                           mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == -1))
            exit(77);
        close(there[0]);
        close(there[1]);
        close(mapped[0]);
        close(mapped[1]);
        run(argument);
        exit(0);
    }
    close(there[1]);
    close(mapped[0]);
    if (read(there[0], &byte, 1) == 1 && namespaces) {
        map_ids(child, "uid_map");
        map_ids(child, "gid_map");
    }
    (void)signal(SIGPIPE, SIG_IGN);
    (void)!write(mapped[1], &byte, 1);
    close(there[0]);
    close(mapped[1]);
    CHECK_EQ(waitpid(child, &status, 0), child);
    return status;
}

static void try_limit(uint64_t unused)
{
    FILE *file = fopen("/proc/sys/user/max_inotify_watches", "we");

    (void)unused;
    if (file == NULL || fprintf(file, "1000000\n") < 0 || fclose(file) != 0)
        exit(77);
}

/* ---- A run. */

static void run(uint64_t seed)
{
    chance = seed * 7919;
    choose();
    copy_begin();
    make_first_tree();
    if (plan.limit)
        set_watch_limit(false);
    reader_create();
    reader_watch();
    for (int phase = 0; phase < 6 && !copy.ended; phase++) {
        for (unsigned left = 20 + below(120); left > 0; left--) {
            unsigned then;

            change_something();
            then = below(12);
            if (then < 3)
                reader_read();
            else if (then == 3)
                reader_drain();
        }
        compare_at_rest();
    }
    reader_end();
}

/* Returns the number of steps. */
static unsigned long run_seed(uint64_t seed)
{
    int status;

    steps->count = 0;
    check_case(format("%" PRIu64, seed));
    CHECK_SYS(chmod(".", 0777));
    status = in_a_child(run, seed, with_namespaces);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        char more[500] = "";

        print_steps();
        for (int i = 0; i < word_count; i++)
            snprintf(more + strlen(more), sizeof more - strlen(more), " %s", words[i]);
        if (WIFSIGNALED(status))
            fprintf(stderr, "signal %d: %s\n", WTERMSIG(status), strsignal(WTERMSIG(status)));
        FAIL("seed %" PRIu64 "; once more, with all steps: mixed -v %" PRIu64 " 1%s", seed, seed,
             more);
    }
    CHECK_SYS(chdir(".."));
    remove_tree(check_where());
    return steps->count;
}

int main(int argc, char **argv)
{
    unsigned runs = check_rounds(80);
    uint64_t first = 0x5eed0000;
    unsigned long count = 0;
    int status;

    check_begin(500);
    steps = mmap(NULL, sizeof *steps, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(steps != MAP_FAILED);
    if (argc > 1 && strcmp(argv[1], "-v") == 0) {
        verbose = true;
        argv++;
        argc--;
    }
    if (argc > 1)
        first = strtoull(argv[1], NULL, 0);
    if (argc > 2)
        runs = (unsigned)strtoul(argv[2], NULL, 0);
    words = argv + 3;
    word_count = argc > 3 ? argc - 3 : 0;
    check_words();
    CHECK_SYS(chmod(".", 0755));
    CHECK_SYS(chmod(check_where(), 0755));
    status = getuid() == 0 ? in_a_child(try_limit, 0, true) : 77 << 8;
    with_namespaces = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    with_overflows = can_overflow();
    for (unsigned i = 0; i < runs; i++)
        count += run_seed(first + i);
    printf("%u runs, %lu steps\n", runs, count);
    if (!with_overflows)
        check_skip("the queue is too long to be filled; the rest has passed");
    if (!with_namespaces)
        check_skip("a limit on watches and mounts of its own take root; the rest has passed");
    return 0;
}
