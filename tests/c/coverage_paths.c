/* Paths longer than PATH_MAX are delivered whole, and names of every byte as they are.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "reader.h"

#include <fcntl.h>
#include <limits.h>

enum { DEPTH = 40, LENGTH = 240 };

/* A directory of the nest, by its depth; the caller closes it. */
static int descend(const char *from, int depth, bool make)
{
    int dir = open(from, O_PATH | O_DIRECTORY | O_CLOEXEC);

    CHECK(dir >= 0);
    for (int i = 0; i < depth; i++) {
        char name[LENGTH + 1];
        int next;

        memset(name, 'a' + i % 26, LENGTH);
        name[LENGTH] = '\0';
        if (make)
            CHECK_SYS(mkdirat(dir, name, 0755));
        next = openat(dir, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
        CHECK(next >= 0);
        close(dir);
        dir = next;
    }
    return dir;
}

static char *path_of(int depth, const char *name)
{
    char *path = malloc(16 + (LENGTH + 1) * DEPTH + 256);
    char *end = path + sprintf(path, "t");

    for (int i = 0; i < depth; i++) {
        *end++ = '/';
        memset(end, 'a' + i % 26, LENGTH);
        end += LENGTH;
    }
    sprintf(end, "%s%s", name[0] != '\0' ? "/" : "", name);
    return path;
}

static void expect_once(struct recorder *recorder, const char *what, int depth, const char *name,
                        const char *after)
{
    char *path = path_of(depth, name);
    char *line;

    CHECK(asprintf(&line, "%s %s%s", what, path, after) > 0);
    CHECK_EQ(recorder_count(recorder, line), 1);
    free(line);
    free(path);
}

static void deep(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};
    char *deepest = path_of(DEPTH, "");
    int dir, file;

    CHECK(strlen(deepest) > 2 * PATH_MAX);
    free(deepest);
    make_dir("t");
    close(descend("t", DEPTH / 2, true));
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE | RINOTIFY_WATCH_EMIT_EXISTING, &recorder);
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(recorder.count, DEPTH / 2);
    expect_once(&recorder, "create|is_dir", DEPTH / 2, "", " [synthetic]");
    recorder_clear(&recorder);

    /* Deeper, while it is watched: the rest of the nest is moved in. */
    make_dir("rest");
    dir = descend("rest", DEPTH, true);
    close(dir);
    dir = descend("t", DEPTH / 2, false);
    file = descend("rest", DEPTH / 2, false);
    {
        char name[LENGTH + 1];

        memset(name, 'a' + DEPTH / 2 % 26, LENGTH);
        name[LENGTH] = '\0';
        CHECK_SYS(renameat(file, name, dir, name));
    }
    close(file);
    close(dir);
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(recorder.count, DEPTH / 2);
    expect_once(&recorder, "moved_to|is_dir", DEPTH / 2 + 1, "", "");
    expect_once(&recorder, "create|is_dir", DEPTH, "", " [synthetic]");
    recorder_clear(&recorder);
    dir = descend("t", DEPTH, false);
    file = openat(dir, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    CHECK(file >= 0);
    close(file);
    CHECK_SYS(mkdirat(dir, "new", 0755));
    CHECK_SYS(mkdirat(dir, "new/er", 0755));
    close(dir);
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(recorder.count, 3);
    expect_once(&recorder, "create", DEPTH, "file", "");
    expect_once(&recorder, "create|is_dir", DEPTH, "new", "");
    recorder_clear(&recorder);
    CHECK_EQ(coverage_of(watcher, 1, NULL), RINOTIFY_COVERAGE_COMPLETE);
    CHECK_EQ(get_stats(watcher).watchpoints, DEPTH + 3);
    CHECK_WATCHES(watcher, DEPTH + 3);

    /* The path of a gap, and its way back. */
    dir = descend("t", DEPTH, false);
    CHECK_SYS(fchmodat(dir, "new/er", 0, 0));
    CHECK_SYS(unlinkat(dir, "new/er", AT_REMOVEDIR));
    close(dir);
    CHECK_OK(inotify_watcher_sync(watcher));
    expect_once(&recorder, "delete|is_dir", DEPTH, "new/er", "");
    recorder_clear(&recorder);

    /* What an event had as its path can be asked about, and left out. */
    deepest = path_of(DEPTH, "new/");
    CHECK_EQ(inotify_watcher_is_watched(watcher, deepest), 1);
    CHECK_OK(inotify_watcher_ignore(watcher, deepest));
    CHECK_EQ(inotify_watcher_is_watched(watcher, deepest), 0);
    free(deepest);
    deepest = path_of(DEPTH, "");
    CHECK_EQ(inotify_watcher_is_watched(watcher, deepest), 1);
    free(deepest);
    dir = descend("t", DEPTH, false);
    CHECK_SYS(mkdirat(dir, "new/told", 0755));
    CHECK_SYS(mkdirat(dir, "last", 0755));
    close(dir);
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(recorder.count, 1);
    expect_once(&recorder, "create|is_dir", DEPTH, "last", "");
    recorder_clear(&recorder);
    inotify_watcher_destroy(watcher);
}

/* A name from a number: every byte that a name can have, alone and within. */
static const char *name_of(int byte)
{
    if (byte < 256)
        return format("%c", byte);
    if (byte < 512)
        return format("\xff%c\n", byte - 256);
    return NULL;
}

static void names(void)
{
    inotify_watcher *watcher = create();
    struct recorder recorder = {0};
    size_t count = 0;
    char longest[256];

    memset(longest, 0xfe, 255);
    longest[255] = '\0';
    make_dir("t");
    for (int i = 1; i < 512; i++) {
        if (i == '/' || i == '.' || i == 256 || i == 256 + '/')
            continue;
        make_dir(format("t/%s", name_of(i)));
        count++;
    }
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE | RINOTIFY_WATCH_EMIT_EXISTING, &recorder);
    make_dirs(format("t/%s/%s", longest, longest));
    make_file(format("t/%s/%s/f", longest, longest));
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(recorder.count, count + 3);
    CHECK_EQ(recorder_count(&recorder, format("create|is_dir t/%s", longest)), 1);
    for (int i = 1; i < 512; i++) {
        if (i == '/' || i == '.' || i == 256 || i == 256 + '/')
            continue;
        CHECK_EQ(recorder_count(&recorder, format("create|is_dir t/%s [synthetic]", name_of(i))),
                 1);
        make_file(format("t/%s/%s", name_of(i), name_of(i)));
    }
    recorder_clear(&recorder);
    CHECK_OK(inotify_watcher_sync(watcher));
    CHECK_EQ(recorder.count, count);
    for (int i = 1; i < 512; i++) {
        if (i == '/' || i == '.' || i == 256 || i == 256 + '/')
            continue;
        CHECK_EQ(recorder_count(&recorder, format("create t/%s/%s", name_of(i), name_of(i))), 1);
    }
    recorder_clear(&recorder);
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
}

int main(void)
{
    check_begin(120);
    check_case("deep");
    deep();
    check_case("names");
    names();
    return 0;
}
