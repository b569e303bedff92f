/* One seed: a tree, its writers, a watcher, some phases of storm and the checks after each.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#include "storm.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct run *running;
const char *volatile step = "start";

/* Linux may be built without the header's newer bits; the option is refused then, see main.c. */
#ifdef RINOTIFY_WATCH_TRACK_ENTRIES
#define TRACK RINOTIFY_WATCH_TRACK_ENTRIES
#else
#define TRACK 0
#endif

static char *root_path(const struct run *run, const char *name)
{
    char here[PATH_MAX];

    if (run->plan->relative || !getcwd(here, sizeof(here)))
        return must_print("%s", name);
    return must_print("%s/%s", here, name);
}

static int filter(inotify_watcher *watcher, const inotify_watcher_directory *directory, void *data)
{
    const struct watch *watch = data;

    if (watcher != running->watcher || (watch->id != 0 && directory->watch != watch->id) ||
        strlen(directory->path) != directory->path_len ||
        strncmp(directory->path, watch->root, watch->root_len) != 0 ||
        directory->name != strrchr(directory->path, '/') + 1)
        fail("filter", "asked about %s", directory->path);
    if (watch->id != 0 && !watch->alive)
        fail("ended", "%s: asked about after the watch was ignored", directory->path);
    return mirror_wants(watch, directory->path + watch->root_len + 1);
}

static int64_t call_watch(struct run *run, struct watch *watch)
{
    static const char *const patterns[] = {"/S/c/", "[bB]", NULL};
    inotify_watcher_watch_options options;

    if (watch->kind != SECOND_FILTER && watch->kind != SECOND_ASK)
        return inotify_watcher_watch(run->watcher, watch->root, watch->mask, watch->flags,
                                     reader_callback, watch);
    memset(&options, 0, sizeof(options));
    options.size = sizeof(options);
    options.mask = watch->mask;
    options.flags = watch->flags;
    options.callback = reader_callback;
    options.user_data = watch;
    if (watch->kind == SECOND_ASK)
        options.filter = filter;
    else
        options.excludes = patterns;
    return inotify_watcher_watch_with(run->watcher, watch->root, &options);
}

static void begin_watch(struct run *run, struct watch *watch)
{
    inotify_watcher_stats stats = {.size = sizeof(stats)};
    int64_t id;

    step = "watch";
    log_note("watch %s as %s", watch->root, watch->label);
    if (inotify_watcher_get_stats(run->watcher, &stats) == 0)
        watch->overflows_before = stats.overflows;
    id = call_watch(run, watch);
    log_note("watch %s = %lld", watch->root, (long long)id);
    if (watch->events)
        fail("watch", "%s: callbacks from inside the call", watch->root);
    if (id <= 0 && faults_on && !fail_class) {
        /* Left nothing behind, and can be made when the faults are over. */
        shared->totals.fault_watches++;
        faults_end();
        begin_watch(run, watch);
        faults_begin(run->plan->seed, run->phase);
        return;
    }
    if (id <= 0) {
        fail("watch", "%s: %lld", watch->root, (long long)id);
        return;
    }
    watch->id = id;
    watch->alive = true;
}

void watch_first(struct run *run)
{
    char *root = root_path(run, "T");

    watch_start(&run->first, "first", root, RINOTIFY_WATCH_MASK,
                RINOTIFY_WATCH_RECURSIVE | RINOTIFY_WATCH_AUTO_ADD |
                    RINOTIFY_WATCH_EMIT_EXISTING | (opt.track_entries ? TRACK : 0),
                SECOND_NONE);
    free(root);
    run->first_started = true;
    begin_watch(run, &run->first);
}

void watch_second(struct run *run)
{
    static struct writer self;
    enum second_kind kind = run->plan->second;
    uint32_t mask = RINOTIFY_WATCH_MASK;
    uint32_t flags = RINOTIFY_WATCH_RECURSIVE | RINOTIFY_WATCH_AUTO_ADD |
                     RINOTIFY_WATCH_EMIT_EXISTING | (opt.track_entries ? TRACK : 0);
    const char *name = "T";
    struct identity identity = {0};

    run->second_started = true;
    if (kind == SECOND_LINK) {
        name = "L";
    } else if (kind == SECOND_STABLE) {
        name = "T/S";
    } else if (kind == SECOND_VOLATILE) {
        name = "T/a";
        writer_start(&self, run->plan, POPULATOR);
        (void)do_mkdir(&self, name);
        if (!identity_of(name, &identity))
            return;
    } else if (kind == SECOND_FLAT) {
        flags &= ~(uint32_t)(RINOTIFY_WATCH_RECURSIVE | RINOTIFY_WATCH_AUTO_ADD);
    } else if (kind == SECOND_STRUCTURE) {
        mask = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO;
    } else if (kind == SECOND_CLOSE) {
        mask = IN_CLOSE_WRITE;
        flags &= ~(uint32_t)RINOTIFY_WATCH_EMIT_EXISTING;
    }
    char *root = root_path(run, name);
    watch_start(&run->second, "second", root, mask, flags, kind);
    free(root);
    run->second.root_identity = identity;
    begin_watch(run, &run->second);
}

static void check_chmods(const struct run *run)
{
    uint64_t chmods = shared->writer[POPULATOR].chmods;

    for (int i = 0; i < run->plan->writers; i++)
        chmods += shared->writer[i].chmods;
    if (run->first.attribs > chmods)
        fail("twice", "%llu ATTRIB were told, there were %llu chmod",
             (unsigned long long)run->first.attribs, (unsigned long long)chmods);
}

/* Does anybody do what only a look can tell from something else? */
static bool swaps(const struct plan *plan)
{
    for (int i = 0; i < op_count; i++) {
        if (plan->weights[i] &&
            (strcmp(ops[i].name, "exchange") == 0 || strcmp(ops[i].name, "shuffle") == 0))
            return true;
    }
    return false;
}

/* What this process has open, and the kernel's watches, for the report of a failure. */
static void note_fds(int watcher_fd)
{
    DIR *dir = opendir("/proc/self/fd");
    char path[64], target[PATH_MAX], line[512];

    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        snprintf(path, sizeof(path), "/proc/self/fd/%.20s", entry->d_name);
        ssize_t len = readlink(path, target, sizeof(target) - 1);
        if (len > 0) {
            target[len] = '\0';
            log_note("fd %.20s %.1000s", entry->d_name, target);
        }
    }
    if (dir)
        closedir(dir);
    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", watcher_fd);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof(line), file))
        log_note("fdinfo %.*s", (int)strcspn(line, "\n"), line);
    if (file)
        fclose(file);
}

/* Nothing moves and nothing is left to be delivered: everything must agree. */
void check_all(struct run *run)
{
    struct watch *watches[] = {&run->first, &run->second};

    if (fail_class)
        return;
    step = "check";
    log_note("check");
    sabotage_tables(run->watcher);
    for (int i = 0; i < 2; i++) {
        struct watch *watch = watches[i];
        char *place;

        if (!watch->alive || watch->ended || watch->kind == SECOND_CLOSE)
            continue;
        mirror_settle(watch);
        if (watch->lost) {
            if (!watch->self_moved && !watch->self_gone)
                fail("lost", "watch %s lost its way, but its root was not moved", watch->root);
            continue;
        }
        if (watch->self_moved && swaps(run->plan)) {
            watch->lost = true;
            continue;
        }
        place = watch->kind == SECOND_VOLATILE ? root_place(watch)
                : watch->kind == SECOND_STABLE ? must_print("T/S")
                                               : must_print("T");
        if (place)
            compare_tree(watch, place);
        free(place);
    }
    check_tables(run->watcher, watches, 2);
    check_chmods(run);
    if (fail_class)
        note_fds(run->fd);
}

static void expect_covered(struct run *run, const struct watch *watch)
{
    inotify_watcher_status status;

    memset(&status, 0, sizeof(status));
    status.size = sizeof(status);
    if (inotify_watcher_get_status(run->watcher, watch->id, &status) != 0 ||
        status.coverage != RINOTIFY_COVERAGE_COMPLETE)
        fail("covered", "watch %s: coverage %u, %llu directories are not covered after a retry",
             watch->label, status.coverage, (unsigned long long)status.uncovered);
}

/* Brings what was not covered, because something was refused, back in step. A mirror that met what
 * it had not been told of begins anew, with a new watch. */
void recover(struct run *run)
{
    struct watch *watches[] = {&run->first, &run->second};
    bool retried[2] = {false, false};

    if (opt.faults && inotify_watcher_retry(run->watcher) != 0)
        fail("retry", "it cannot be tried again");
    for (int i = 0; i < 2 && !fail_class; i++) {
        struct watch *watch = watches[i], old = *watches[i];

        if (!watch->alive || watch->ended)
            continue;
        if (watch->confused && !watch->faulted && watch->kind != SECOND_VOLATILE)
            fail("silent", "watch %s: nobody said that something is not covered", watch->label);
        if (!watch->faulted)
            continue;
        step = "recover";
        watch->faulted = false;
        if (!watch->confused && watch->kind != SECOND_VOLATILE) {
            shared->totals.fault_retried++;
            retried[i] = true;
            continue;
        }
        shared->totals.fault_again++;
        watch->alive = false;
        if (inotify_watcher_ignore_watch(run->watcher, watch->id) != 0)
            fail("ignore", "the watch that is to be made again does not end");
        if (watch->kind == SECOND_VOLATILE)
            continue; /* nobody knows where its root is */
        watch_start(watch, old.label, old.root, old.mask, old.flags, old.kind);
        begin_watch(run, watch);
        old.alive = false;
        watch_free(&old);
    }
    faults_excuse = false;
    if (!fail_class)
        quiesce(run, 0);
    for (int i = 0; i < 2 && !fail_class; i++) {
        if (retried[i])
            expect_covered(run, watches[i]);
    }
}

static void storm(struct run *run, const int *commands)
{
    const struct plan *plan = run->plan;

    if (!plan->watch_after)
        watch_first(run);
    if (run->first_started && plan->check_existing && !fail_class) {
        quiesce(run, (int)rng_below(&run->rng, 3));
        if (run->first.changes)
            fail("existing", "%llu events that are no synthetic CREATE, before any change",
                 (unsigned long long)run->first.changes);
        check_all(run);
    }
    for (run->phase = 0; (run->phase < plan->phases || soak_goes_on()) && !fail_class;
         run->phase++) {
        if (run->first_started && plan->second != SECOND_NONE && !plan->second_after &&
            !run->second_started && run->phase >= plan->second_from)
            watch_second(run);
        log_note("phase %d", run->phase);
        faults_begin(plan->seed, run->phase);
        run->done_count = 0;
        for (int i = 0; i < plan->writers; i++) {
            if (write(commands[i], "g", 1) != 1)
                die("a writer is gone");
        }
        read_phase(run);
        if (fail_class)
            return;
        log_note("the writers rest");
        int how = (int)rng_below(&run->rng, plan->loop == LOOP_EDGE ? 5 : 3);
        if (!run->first_started) {
            watch_first(run);
            how = how < 3 ? how : 1; /* no edge of this watch has been waited for */
        }
        /* A call that failed has not said that there is something left to do. */
        if (opt.faults)
            how = how < 2 ? how : 1;
        quiesce(run, how < 3 ? how : 3);
        recover(run);
        check_all(run);
        if (opt.soak && !fail_class)
            soak_rest(run);
    }
}

int open_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int count = 0;

    while (dir && readdir(dir))
        count++;
    if (dir)
        closedir(dir);
    return count;
}

/* An instance keeps the limit that was in force when it was made: the rest of the system has its own
 * back at once. */
static inotify_watcher *create_with_queue(const inotify_watcher_options *options)
{
    int fd = opt.queue ? open("/proc/sys/fs/inotify/max_queued_events", O_RDWR | O_CLOEXEC) : -1;
    inotify_watcher *watcher;
    char before[32];
    ssize_t len;

    if (fd < 0)
        return inotify_watcher_create(options);
    while (flock(fd, LOCK_EX) != 0) {
        if (errno != EINTR)
            die("cannot lock the limit: %s", strerror(errno));
    }
    len = pread(fd, before, sizeof(before), 0);
    if (len <= 0 || dprintf(fd, "%llu\n", (unsigned long long)opt.queue) < 0)
        die("cannot set the limit: %s", strerror(errno));
    watcher = inotify_watcher_create(options);
    int error = errno;
    if (pwrite(fd, before, (size_t)len, 0) != len)
        die("cannot restore the limit: %s", strerror(errno));
    close(fd);
    errno = error;
    return watcher;
}

static void start_watcher(struct run *run)
{
    inotify_watcher_options options;

    memset(&options, 0, sizeof(options));
    options.size = sizeof(options);
    options.read_size = run->plan->read_size;
    options.max_events = run->plan->max_events;
    options.max_scan = run->plan->max_scan;
    run->watcher = create_with_queue(&options);
    if (!run->watcher)
        die("cannot create a watcher: %s", strerror(errno));
    run->fd = inotify_watcher_fileno(run->watcher);
    trace_fd = run->fd;
}

static void end_watcher(struct run *run, int fds_before)
{
    inotify_watcher_stats stats;

    memset(&stats, 0, sizeof(stats));
    stats.size = sizeof(stats);
    if (inotify_watcher_get_stats(run->watcher, &stats) == 0) {
        shared->totals.kernel_events += stats.kernel_events;
        shared->totals.reads += stats.reads;
        shared->totals.overflows += stats.overflows;
    }
    step = "destroy";
    trace_fd = -1;
    inotify_watcher_destroy(run->watcher);
    if (fcntl(run->fd, F_GETFD) != -1)
        fail("leak", "the descriptor is open after destroy");
    int fds = open_fds();
    if (fds != fds_before)
        fail("leak", "%d descriptors before, %d after", fds_before, fds);
}

static pid_t start_writer(const struct plan *plan, int index, int commands[][2],
                          const int *done)
{
    pid_t parent = getpid(), pid = fork();

    if (pid < 0)
        die("cannot fork: %s", strerror(errno));
    if (pid > 0)
        return pid;
    alarm(0);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(0);
    for (int i = 0; i < plan->writers; i++)
        close(commands[i][1]);
    close(done[0]);
    writer_process(plan, index, commands[index][0], done[1]);
}

static void make_places(uint64_t seed)
{
    char name[32];

    snprintf(name, sizeof(name), "s%llu", (unsigned long long)seed);
    if (remove_tree(AT_FDCWD, name) != 0 || mkdir(name, 0755) != 0 || chdir(name) != 0 ||
        mkdir("T", 0755) != 0 || mkdir("T/S", 0755) != 0 || mkdir("O", 0755) != 0 ||
        mkdir("X", 0755) != 0 || symlink("T", "L") != 0)
        die("cannot make the tree of seed %s: %s", name, strerror(errno));
}

static void reset_logs(void)
{
    for (int i = 0; i <= MAX_WRITERS; i++) {
        struct writer_log *log = &shared->writer[i];
        log->ops = 0;
        log->used = 0;
        log->calls = log->chmods = log->renames = log->exchanges = 0;
        log->unexpected = 0;
        memset(log->inode, 0, sizeof(log->inode));
    }
}

static void count_writers(const struct plan *plan)
{
    for (int i = 0; i < plan->writers; i++) {
        shared->totals.ops += shared->writer[i].ops;
        shared->totals.calls += shared->writer[i].calls;
        shared->totals.renames += shared->writer[i].renames;
        shared->totals.exchanges += shared->writer[i].exchanges;
        if (shared->writer[i].unexpected)
            fail("writer", "writer %d: %s: %s", i, shared->writer[i].unexpected_at,
                 strerror(shared->writer[i].unexpected));
    }
}

/* Runs one seed below the current directory. 0: all was right; else fail_class says what not. */
int seed_run(uint64_t seed)
{
    static struct plan plan;
    static struct writer populator;
    struct run run = {.plan = &plan};
    int commands[MAX_WRITERS][2], done[2], write_ends[MAX_WRITERS];
    pid_t writers[MAX_WRITERS];

    fail_class = NULL;
    running = &run;
    step = "start";
    log_reset();
    reset_logs();
    plan_make(&plan, seed);
    sabotage_reset(seed);
    rng_seed(&run.rng, seed, 2);
    make_places(seed);
    writer_start(&populator, &plan, POPULATOR);
    writer_ops(&populator, plan.populate);

    if (pipe2(done, O_CLOEXEC) != 0)
        die("no pipe: %s", strerror(errno));
    for (int i = 0; i < plan.writers; i++) {
        if (pipe2(commands[i], O_CLOEXEC) != 0)
            die("no pipe: %s", strerror(errno));
    }
    for (int i = 0; i < plan.writers; i++)
        writers[i] = start_writer(&plan, i, commands, done);
    for (int i = 0; i < plan.writers; i++) {
        close(commands[i][0]);
        write_ends[i] = commands[i][1];
    }
    close(done[1]);
    (void)fcntl(done[0], F_SETFL, O_NONBLOCK);
    run.done_fd = done[0];

    int fds = open_fds();
    start_watcher(&run);
    storm(&run, write_ends);

    step = "end of the writers";
    for (int i = 0; i < plan.writers; i++)
        close(write_ends[i]);
    for (int i = 0; i < plan.writers; i++) {
        int status;
        if (waitpid(writers[i], &status, 0) != writers[i] || !WIFEXITED(status))
            fail("writer", "writer %d ended with status 0x%x", i, status);
    }
    end_watcher(&run, fds - plan.writers);
    close(done[0]);
    count_writers(&plan);
    watch_free(&run.first);
    watch_free(&run.second);
    running = NULL;
    if (chdir("..") != 0)
        die("cannot leave the tree of a seed");
    return fail_class != NULL;
}
