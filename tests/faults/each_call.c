/* Each system call that the library makes in the life of a watcher, refused once: the first, the
 * second, and so on, with each of the errors that it might have; then refused from some moment on
 * for good. No crash, no hang, nothing left behind, and either what was asked for is done whole or
 * somebody is told what is not.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "believe.h"
#include "faults.h"

#include <dirent.h>
#include <sys/wait.h>

#define FOR_EVER UINT64_MAX
#define TURNS 100000

static const int errors[] = {ENOMEM, ENOSPC, EMFILE, ENFILE, EACCES, EPERM, ENOSYS, EINTR};
#define ERRORS (sizeof errors / sizeof errors[0])

static unsigned long lives;

struct life {
    inotify_watcher *watcher;
    struct belief tree, small;
    uint32_t call;    /* the one that is refused */
    uint64_t refused; /* how often it was */
    bool closed; /* and that was the end of the watcher */
};

static void note(struct life *life, const char *step, long long result)
{
    inotify_watcher_error error;

    if (result >= 0 || life->closed)
        return;
    error = last_error(life->watcher);
    CHECK_EQ(error.error, -result);
    CHECK(error.step[0] != '\0');
    if (strstr(error.message, error.step) == NULL)
        check_fail(__FILE__, __LINE__, "[%s] %s: the message is \"%s\"", belief_context, step,
                   error.message);
    life->closed = inotify_watcher_fileno(life->watcher) == -1;
}

static void end_of_faults(struct life *life)
{
    life->refused += rinotify_fault_failed(life->call);
    rinotify_fault_clear();
}

static int open_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    int count = 0;

    CHECK(directory != NULL);
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}

static void read_all(struct life *life)
{
    int result = 1;

    for (int turn = 0; result > 0 && !life->closed; turn++) {
        if (turn == TURNS)
            check_fail(__FILE__, __LINE__, "[%s] do_read does not come to an end", belief_context);
        result = inotify_watcher_do_read(life->watcher);
        note(life, "do_read", result);
    }
}

/* A watch that fails is as if it had never been asked for. */
static bool watch_tree(struct life *life, const char *path, uint32_t mask, uint32_t flags,
                       struct belief *belief)
{
    inotify_watcher_watch_options options = {.size = sizeof options,
                                             .mask = mask,
                                             .flags = flags,
                                             .callback = believe,
                                             .user_data = belief,
                                             .release = believe_release};
    size_t kernel, events = belief->events;
    uint64_t watches;
    int64_t id;

    if (life->closed)
        return false;
    kernel = kernel_watch_count(life->watcher);
    watches = get_stats(life->watcher).watches;
    id = inotify_watcher_watch_with(life->watcher, path, &options);
    CHECK_EQ(belief->events, events);
    if (id > 0)
        return true;
    note(life, "watch", id);
    CHECK(strncmp(last_error(life->watcher).path, path, strlen(path)) == 0);
    CHECK_EQ(belief->released, 0);
    CHECK_EQ(get_stats(life->watcher).watches, watches);
    if (kernel_watch_count(life->watcher) != kernel)
        check_fail(__FILE__, __LINE__, "[%s] %zu kernel watches before a watch that failed, %zu after",
                   belief_context, kernel, kernel_watch_count(life->watcher));
    return false;
}

/* All that a watcher does, in an order in which each thing depends on those before. */
static void live(struct life *life)
{
    life->watcher = inotify_watcher_create(NULL);
    if (life->watcher == NULL) {
        CHECK(errno != 0);
        CHECK_EQ(last_error(NULL).error, errno);
        CHECK(last_error(NULL).step[0] != '\0');
        return;
    }
    if (!watch_tree(life, "t", RINOTIFY_WATCH_MASK, TREE | RINOTIFY_WATCH_EMIT_EXISTING,
                    &life->tree) && !life->closed) {
        end_of_faults(life);
        if (!watch_tree(life, "t", RINOTIFY_WATCH_MASK, TREE | RINOTIFY_WATCH_EMIT_EXISTING,
                        &life->tree))
            check_fail(__FILE__, __LINE__, "[%s] no watch although nothing is in the way",
                       belief_context);
    }
    read_all(life);
    make_dirs("t/new/deep/deeper");
    make_file("t/new/deep/deeper/file");
    read_all(life);
    move("t/a", "t/new/a");
    make_dir("t/new/a/inside");
    read_all(life);
    move("t/new/deep", "out/deep");
    make_file("out/deep/unseen");
    read_all(life);
    move("out/in", "t/in");
    read_all(life);
    exchange("t/b", "t/c");
    read_all(life);
    (void)watch_tree(life, "t/new", IN_CREATE | IN_DELETE | IN_MOVE, TREE, &life->small);
    make_dirs("t/new/for/both");
    read_all(life);
    if (!life->closed)
        note(life, "sync", inotify_watcher_sync(life->watcher));
    if (!life->closed)
        note(life, "change", inotify_watcher_watch(life->watcher, "t", RINOTIFY_WATCH_MASK | IN_CLOSE,
                                                   TREE | RINOTIFY_WATCH_EMIT_EXISTING, believe,
                                                   &life->tree));
    remove_tree("t/in");
    make_dirs("t/in/again");
    read_all(life);
    if (!life->closed)
        (void)inotify_watcher_ignore(life->watcher, "t/new");
    make_dir("t/last");
    read_all(life);
}

/* Enough that the library starts a thread to go through it. */
static void make_large_tree(void)
{
    for (int i = 0; i < 20; i++)
        for (int j = 0; j < 20; j++)
            make_dirs(format("t/large/%d/%d", i, j));
}

static void make_tree(void)
{
    make_dirs("t/a/b/c");
    make_dirs("t/b/x");
    make_dirs("t/c");
    make_file("t/a/file");
    make_file("t/b/file");
    make_file("t/c/file");
    make_dirs("out/in/side");
    make_file("out/in/file");
}

/* When the faults are over everything works again, and what is not as it should be was told. */
static void survey(struct life *life)
{
    if (life->closed)
        return;
    CHECK_OK(inotify_watcher_sync(life->watcher));
    drain(life->watcher);
    (void)belief_compare(&life->tree, "t");
    belief_tables(life->watcher, (const struct belief *const[]){&life->tree, &life->small, NULL});
    make_file("t/after");
    CHECK_OK(inotify_watcher_sync(life->watcher));
    (void)belief_compare(&life->tree, "t");
}

/* What else is different from the usual. */
struct setting {
    bool large;
    const char *never; /* a call that is refused all the time */
    int why;
    uint32_t lists;
};

static uint32_t number_of(const char *name)
{
    uint32_t call = 0;

    while (strcmp(rinotify_fault_name(call), name) != 0)
        call++;
    return call;
}

/* One life with one fault. False: the call was not made that often. */
static bool one(uint32_t call, uint64_t from, uint64_t count, int error, const struct setting *in)
{
    struct life life = {.call = call};
    int before = open_descriptors();

    snprintf(belief_context, sizeof belief_context, "%s %s number %llu%s%s%s",
             strerrorname_np(error), rinotify_fault_name(call), (unsigned long long)from,
             count == 1 ? "" : " and on", in->never != NULL ? ", never " : "",
             in->never != NULL ? in->never : "");
    if (getenv("CHECK_VERBOSE") != NULL)
        fprintf(stderr, "%s\n", belief_context);
    lives++;
    make_tree();
    if (in->large)
        make_large_tree();
    rinotify_fault_clear();
    rinotify_fault_lists(in->lists);
    if (in->never != NULL)
        CHECK_OK(rinotify_fault_plan(number_of(in->never), 1, FOR_EVER, in->why));
    CHECK_OK(rinotify_fault_plan(call, from, count, error));
    live(&life);
    end_of_faults(&life);
    if (life.watcher != NULL)
        survey(&life);
    inotify_watcher_destroy(life.watcher);
    if (open_descriptors() != before)
        check_fail(__FILE__, __LINE__, "[%s] %d descriptors before, %d after", belief_context,
                   before, open_descriptors());
    belief_clear(&life.tree);
    belief_clear(&life.small);
    remove_tree("t");
    remove_tree("out");
    return life.refused != 0;
}

/* Each place at which the call is made, the error another one at each. Returns the last place. */
static uint64_t each_place(uint32_t call, size_t first, const struct setting *in)
{
    uint64_t n = 1;

    while (one(call, n, 1, errors[(n + first) % ERRORS], in)) {
        (void)one(call, n, FOR_EVER, errors[(n + first) % ERRORS], in);
        n++;
    }
    return n - 1;
}

/* Places that are further and further apart. */
static uint64_t some_places(uint32_t call, const struct setting *in)
{
    uint64_t n = 1;

    for (size_t i = call; one(call, n, 1, errors[i % ERRORS], in); i++) {
        (void)one(call, n, FOR_EVER, errors[i % ERRORS], in);
        n *= 3;
    }
    return n / 3;
}

/* What is done once in a process. */
static void in_a_child(const char *name)
{
    static const struct setting usual = {0};
    int status;
    pid_t child = fork();

    CHECK_SYS(child);
    if (child == 0)
        _exit(one(number_of(name), 1, FOR_EVER, ENOMEM, &usual) ? 0 : 2);
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
}

int main(int count, char **arguments)
{
    static const struct setting usual = {0}, large = {.large = true};
    static const struct {
        const char *call;
        struct setting in;
    } more[] = {
        {"futimens", {.never = "fchmod", .why = EPERM}},
        {"fchmod", {.never = "futimens", .why = EPERM}},
        {"openat", {.never = "openat2", .why = ENOSYS}},
        {"fstatat", {.lists = RINOTIFY_FAULT_NO_TYPES | RINOTIFY_FAULT_SHORT_LISTS}},
        {"getdents64", {.lists = RINOTIFY_FAULT_SHORT_LISTS}},
        {"inotify_add_watch", {.never = "unshare", .why = EPERM, .large = true}},
        {"inotify_add_watch", {.never = "pthread_create", .why = EAGAIN, .large = true}},
    };
    const char *only = count > 1 ? arguments[1] : NULL;
    /* One of the errors at each place, another at the next; with CHECK_ROUNDS=8 all of them. */
    unsigned rounds = check_rounds(1);

    check_begin(900);
    check_case("child");
    in_a_child("mmap");
    in_a_child("madvise");
    check_case("lives");
    for (uint32_t call = 0; rinotify_fault_name(call) != NULL; call++) {
        uint64_t most = 0, far;

        if (only != NULL && strcmp(only, rinotify_fault_name(call)) != 0)
            continue;
        for (size_t i = 0; i < rounds && i < ERRORS; i++) {
            uint64_t last = each_place(call, i * 3, &usual);

            most = last > most ? last : most;
        }
        far = some_places(call, &large);
        printf("%s: refused at each of %llu places, in a large tree up to number %llu\n",
               rinotify_fault_name(call), (unsigned long long)most, (unsigned long long)far);
    }
    for (size_t i = 0; i < sizeof more / sizeof more[0]; i++) {
        uint32_t call = number_of(more[i].call);
        uint64_t last;

        if (only != NULL && strcmp(only, more[i].call) != 0)
            continue;
        last = more[i].in.large ? some_places(call, &more[i].in) : each_place(call, i, &more[i].in);
        /* Nothing is proven by a call that is not made. */
        CHECK(last > 0);
        printf("%s: refused up to number %llu", more[i].call, (unsigned long long)last);
        if (more[i].in.never != NULL)
            printf(", with %s never working", more[i].in.never);
        printf("\n");
    }
    printf("%lu lives\n", lives);
    return 0;
}
