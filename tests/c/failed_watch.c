/* A watch that failed leaves nothing behind: no kernel watch, no table entry, no callback, no
 * release; and says what failed and where.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "check.h"

#include <pthread.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static int give_up(uint64_t directories, void *user_data)
{
    struct recorder *recorder = user_data;

    CHECK(directories > 0);
    CHECK_EQ(recorder->count, 0);
    return 7;
}

/* The same watcher before and after: the kernel's list and every counter of the tables. */
static void check_unchanged(const inotify_watcher *watcher, size_t kernel,
                            const inotify_watcher_stats *before)
{
    inotify_watcher_stats after = get_stats(watcher);

    CHECK_EQ(kernel_watches(inotify_watcher_fileno(watcher), NULL, 0), kernel);
    CHECK_EQ(after.watches, before->watches);
    CHECK_EQ(after.watchpoints, before->watchpoints);
    CHECK_EQ(after.directories, before->directories);
    CHECK_EQ(after.pending, before->pending);
}

static void make_many(unsigned parents, unsigned children)
{
    make_dir("many");
    for (unsigned i = 0; i < parents; i++) {
        make_dir(format("many/%u", i));
        for (unsigned j = 0; j < children; j++)
            make_dir(format("many/%u/%u", i, j));
    }
}

static void cancelled(void)
{
    inotify_watcher *watcher = create();
    struct recorder other = {0}, recorder = {0};
    inotify_watcher_watch_options options = {.size = sizeof options,
                                             .mask = RINOTIFY_WATCH_MASK,
                                             .flags = TREE | RINOTIFY_WATCH_EMIT_EXISTING,
                                             .callback = record,
                                             .user_data = &recorder,
                                             .release = record_release,
                                             .progress = give_up};
    inotify_watcher_stats before;
    size_t kernel;

    make_many(100, 100);
    /* Shares watchpoints with what will fail: they must stay as they are. */
    watch(watcher, "many", IN_CREATE, 0, &other);
    watch(watcher, "many/5/5", IN_CREATE, 0, &other);
    CHECK_OK(inotify_watcher_sync(watcher));
    kernel = kernel_watches(inotify_watcher_fileno(watcher), NULL, 0);
    before = get_stats(watcher);
    CHECK_EQ(before.watchpoints, 2);

    CHECK_EQ(inotify_watcher_watch_with(watcher, "many", &options), -ECANCELED);
    CHECK_EQ(last_error(watcher).error, ECANCELED);
    check_unchanged(watcher, kernel, &before);
    CHECK_EQ(inotify_watcher_is_watched(watcher, "many/7"), 0);
    make_file("many/7/unseen");
    make_file("many/seen");
    make_file("many/5/5/seen");
    EXPECT(watcher, &other, "create many/seen", "create many/5/5/seen");
    CHECK_EQ(recorder.count, 0);
    CHECK_EQ(recorder.released, 0);
    check_unchanged(watcher, kernel, &before);

    /* The same once more, with nothing in its way. */
    options.progress = NULL;
    CHECK_OK(inotify_watcher_watch_with(watcher, "many", &options));
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(get_stats(watcher).watchpoints, 10101);
    CHECK_EQ(recorder.count, 10100 + 3);
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
    CHECK_EQ(recorder.released, 1);
    recorder_clear(&recorder);
    recorder_clear(&other);
}

/* A filter that takes the tree away, and lets the library see it. */
static int take_away(inotify_watcher *watcher, const inotify_watcher_directory *directory,
                     void *user_data)
{
    (void)directory;
    (void)user_data;
    if (access("many", F_OK) == 0)
        remove_tree("many");
    drain(watcher);
    return 1;
}

/* The root goes while its tree is added: nothing is told of such a watch, the call fails. */
static void root_goes(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};
    inotify_watcher_watch_options options = {.size = sizeof options,
                                             .mask = RINOTIFY_WATCH_MASK,
                                             .flags = TREE | RINOTIFY_WATCH_EMIT_EXISTING,
                                             .callback = record,
                                             .user_data = &recorder,
                                             .release = record_release,
                                             .filter = take_away};
    inotify_watcher_stats before = get_stats(watcher);
    size_t kernel = kernel_watches(inotify_watcher_fileno(watcher), NULL, 0);

    make_many(3, 3);
    CHECK_EQ(inotify_watcher_watch_with(watcher, "many", &options), -ENOENT);
    CHECK_EQ(last_error(watcher).error, ENOENT);
    CHECK_STR(last_error(watcher).path, "many");
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(recorder.count, 0);
    CHECK_EQ(recorder.released, 0);
    check_unchanged(watcher, kernel, &before);
    inotify_watcher_destroy(watcher);
    CHECK_EQ(recorder.released, 0);
}

static void simple_failures(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};
    static const struct {
        const char *path;
        uint32_t mask, flags;
        int error;
    } rows[] = {
        {"missing", IN_CREATE, 0, ENOENT},
        {"missing/below", IN_CREATE, TREE, ENOENT},
        {"file", IN_CREATE, RINOTIFY_WATCH_RECURSIVE, ENOTDIR},
        {"file/x", IN_CREATE, 0, ENOTDIR},
        {"loop", IN_CREATE, 0, ELOOP},
        {"dir", IN_CREATE | IN_MASK_CREATE, 0, EEXIST},
    };
    inotify_watcher_stats before;
    size_t kernel;

    make_dirs("dir/below");
    make_file("file");
    CHECK_SYS(symlink("loop", "loop"));
    watch(watcher, "dir", IN_CREATE, TREE, &recorder);
    CHECK_OK(inotify_watcher_sync(watcher));
    kernel = kernel_watches(inotify_watcher_fileno(watcher), NULL, 0);
    before = get_stats(watcher);

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct recorder failed = {0};
        inotify_watcher_watch_options options = {.size = sizeof options,
                                                 .mask = rows[i].mask,
                                                 .flags = rows[i].flags,
                                                 .callback = record,
                                                 .user_data = &failed,
                                                 .release = record_release};
        inotify_watcher_error error;

        CHECK_EQ(inotify_watcher_watch_with(watcher, rows[i].path, &options), -rows[i].error);
        error = last_error(watcher);
        CHECK_EQ(error.error, rows[i].error);
        CHECK_STR(error.path, rows[i].path);
        CHECK_EQ(error.path_len, strlen(error.path));
        CHECK(error.step[0] != '\0');
        /* The sentence has the path, the step and the reason. */
        CHECK(strstr(error.message, rows[i].path) != NULL);
        CHECK(strstr(error.message, error.step) != NULL);
        CHECK(strstr(error.message, strerror(rows[i].error)) != NULL);
        CHECK_EQ(error.limit, 0);
        check_unchanged(watcher, kernel, &before);
        CHECK_EQ(failed.released, 0);
    }
    make_file("dir/below/a");
    EXPECT(watcher, &recorder, "create dir/below/a");
    inotify_watcher_destroy(watcher);
}

static void *other_thread(void *watcher)
{
    CHECK_EQ(last_error(watcher).error, 0);
    CHECK_STR(last_error(watcher).path, "");
    CHECK_EQ(inotify_watcher_ignore(watcher, "nothing-here"), -ENOENT);
    CHECK_STR(last_error(watcher).path, "nothing-here");
    return NULL;
}

/* What one thread did wrong is not what another one is told. */
static void error_of_a_thread(void)
{
    inotify_watcher *watcher = create();
    pthread_t thread;

    CHECK_EQ(inotify_watcher_watch(watcher, "first", IN_CREATE, 0, record, NULL), -ENOENT);
    CHECK_EQ(pthread_create(&thread, NULL, other_thread, watcher), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_STR(last_error(watcher).path, "first");
    /* Success does not take it away, nor does asking. */
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_STR(last_error(NULL).path, "first");
    CHECK_EQ(last_error(NULL).error, ENOENT);
    inotify_watcher_destroy(watcher);
}

/* A mode that keeps the library from reading: only for those whom modes bind. */
static void forbidden(void)
{
    inotify_watcher *watcher;
    struct recorder recorder = {0};

    if (geteuid() == 0)
        CHECK_SYS(seteuid(65534));
    /* A change of the user takes the access to /proc/self/fdinfo away. */
    CHECK_SYS(prctl(PR_SET_DUMPABLE, 1));
    watcher = create();
    CHECK_OK(inotify_watcher_watch(watcher, "open", IN_CREATE, TREE, record, &recorder));
    CHECK_OK(inotify_watcher_ignore(watcher, "open"));
    CHECK_EQ(inotify_watcher_watch(watcher, "closed", IN_CREATE, TREE, record, &recorder), -EACCES);
    CHECK_EQ(last_error(watcher).error, EACCES);
    CHECK_STR(last_error(watcher).path, "closed");
    CHECK_EQ(inotify_watcher_watch(watcher, "closed/in", IN_CREATE, 0, record, &recorder), -EACCES);
    CHECK_WATCHES(watcher, 0);
    inotify_watcher_destroy(watcher);
    if (geteuid() != getuid())
        CHECK_SYS(seteuid(getuid()));
}

/* No room for one more instance, by the limit on descriptors. */
static void no_descriptor(void)
{
    struct rlimit usual, low;

    CHECK_SYS(getrlimit(RLIMIT_NOFILE, &usual));
    low = usual;
    low.rlim_cur = 3;
    CHECK_SYS(setrlimit(RLIMIT_NOFILE, &low));
    CHECK(inotify_watcher_create(NULL) == NULL);
    CHECK_EQ(errno, EMFILE);
    CHECK_EQ(last_error(NULL).error, EMFILE);
    CHECK(last_error(NULL).message[0] != '\0');
    CHECK_SYS(setrlimit(RLIMIT_NOFILE, &usual));
}

int main(void)
{
    check_begin(240);
    check_case("simple");
    simple_failures();
    check_case("cancelled");
    cancelled();
    check_case("root-goes");
    root_goes();
    check_case("thread");
    error_of_a_thread();
    check_case("forbidden");
    make_dirs("closed/in");
    make_dirs("open/in");
    CHECK_SYS(chmod("closed", 0));
    forbidden();
    CHECK_SYS(chmod("closed", 0755));
    check_case("no-descriptor");
    no_descriptor();
    return 0;
}
