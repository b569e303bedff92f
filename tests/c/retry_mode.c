/* A directory that must not be read is covered when its mode allows it: its own or that of one above,
 * by chmod or by an access control list; what was never told of it is told then. The kernel is asked
 * for IN_ATTRIB only where that is needed, and who did not ask for it is not told.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "mirror.h"
#include "reader.h"

#include <sys/xattr.h>

static const uint32_t entries = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO;

/* What the kernel is asked for at a directory. */
static uint32_t mask_at(const inotify_watcher *watcher, const char *path)
{
    struct kernel_watch list[64];
    size_t count = kernel_watches(inotify_watcher_fileno(watcher), list, 64);
    struct stat status;

    CHECK(count <= 64);
    CHECK_SYS(stat(path, &status));
    for (size_t i = 0; i < count; i++)
        if (list[i].inode == status.st_ino)
            return list[i].mask;
    return 0;
}

static void asked_for_where_needed(void)
{
    inotify_watcher *watcher;
    struct recorder recorder = {0};

    make_dirs("t/a/b/closed/in");
    make_dirs("t/a/c");
    make_file("t/a/b/file");
    CHECK_SYS(chmod("t/a/b/closed", 0));
    as_reader();
    watcher = create();
    watch(watcher, "t", entries, TREE, &recorder);
    EXPECT(watcher, &recorder, "is_dir t/a/b/closed [error EACCES]", "t [partial]");
    CHECK(mask_at(watcher, "t/a/b") & IN_ATTRIB);
    CHECK_EQ(mask_at(watcher, "t") & IN_ATTRIB, 0);
    CHECK_EQ(mask_at(watcher, "t/a") & IN_ATTRIB, 0);
    CHECK_EQ(mask_at(watcher, "t/a/c") & IN_ATTRIB, 0);
    CHECK_TABLES(watcher);
    /* Nobody who did not ask for it sees it. */
    change_mode("t/a/b/file", 0600);
    EXPECT_NOTHING(watcher, &recorder);
    change_mode("t/a/b/closed", 0111);
    EXPECT_NOTHING(watcher, &recorder);
    change_mode("t/a/b/closed", 0755);
    EXPECT(watcher, &recorder, "create|is_dir t/a/b/closed/in [synthetic]", "t [complete]");
    CHECK(mask_at(watcher, "t/a/b") & IN_CREATE);
    change_mode("t/a/b/file", 0644);
    EXPECT_NOTHING(watcher, &recorder);
    CHECK_TABLES(watcher);

    /* Below one that is watched, and shut later: then it is that one that is waited for. */
    change_mode("t/a/b", 0);
    as_writer();
    make_dirs("t/a/b/new/deep");
    make_dirs("t/a/b/closed/in/deep");
    as_reader();
    EXPECT_SET(watcher, &recorder, "create|is_dir t/a/b/new", "is_dir t/a/b/new [error EACCES]",
               "create|is_dir t/a/b/closed/in/deep",
               "is_dir t/a/b/closed/in/deep [error EACCES]", "t [partial]");
    CHECK(mask_at(watcher, "t/a") & IN_ATTRIB);
    CHECK_EQ(mask_at(watcher, "t") & IN_ATTRIB, 0);
    change_mode("t/a/b", 0755);
    EXPECT(watcher, &recorder, "create|is_dir t/a/b/new/deep [synthetic]", "t [complete]");
    as_writer();
    make_file("t/a/b/new/deep/f");
    make_file("t/a/b/closed/in/deep/f");
    as_reader();
    EXPECT(watcher, &recorder, "create t/a/b/new/deep/f", "create t/a/b/closed/in/deep/f");
    CHECK_TABLES(watcher);

    /* A watch that changes its mask meanwhile still gets there. */
    change_mode("t/a/c", 0);
    as_writer();
    make_dirs("t/a/c/d/e");
    as_reader();
    EXPECT(watcher, &recorder, "create|is_dir t/a/c/d", "is_dir t/a/c/d [error EACCES]",
           "t [partial]");
    watch(watcher, "t", entries | IN_OPEN, TREE, &recorder);
    watch(watcher, "t", entries, TREE, &recorder);
    EXPECT(watcher, &recorder, "is_dir t/a/c [error EACCES]");
    change_mode("t/a/c", 0755);
    EXPECT(watcher, &recorder, "create|is_dir t/a/c/d/e [synthetic]", "t [complete]");
    inotify_watcher_destroy(watcher);
    as_writer();
}

/* The root itself must not be searched any more. */
static void root(void)
{
    inotify_watcher *watcher;
    struct recorder with = {0}, without = {0};

    make_dirs("t/a");
    as_reader();
    watcher = create();
    watch(watcher, "t", RINOTIFY_WATCH_MASK, TREE, &with);
    watch(watcher, "./t", entries, TREE, &without);
    EXPECT_NOTHING(watcher, &with);
    change_mode("t", 0);
    as_writer();
    make_dirs("t/b/c");
    as_reader();
    EXPECT(watcher, &with, "attrib|is_dir t", "create|is_dir t/b", "is_dir t/b [error EACCES]",
           "t [partial]");
    change_mode("t", 0755);
    EXPECT(watcher, &with, "attrib|is_dir t", "create|is_dir t/b/c [synthetic]", "t [complete]");
    /* They share the kernel watch, so this one has its ATTRIB, too. */
    EXPECT(watcher, &without, "create|is_dir ./t/b", "is_dir ./t/b [error EACCES]",
           "./t [partial]", "create|is_dir ./t/b/c [synthetic]", "./t [complete]");
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);

    /* Without it in any mask, too: the root could not be asked for it, but what it stands in can. */
    watcher = create();
    watch(watcher, "t", entries, TREE, &without);
    EXPECT_NOTHING(watcher, &without);
    change_mode("t", 0);
    as_writer();
    make_dirs("t/d/e");
    as_reader();
    EXPECT(watcher, &without, "create|is_dir t/d", "is_dir t/d [error EACCES]", "t [partial]");
    change_mode("t", 0755);
    EXPECT(watcher, &without, "create|is_dir t/d/e [synthetic]", "t [complete]");
    CHECK_EQ(get_stats(watcher).internal_watchpoints, 2);
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
    as_writer();
}

/* What the three flags tell of it. */
static void flags(void)
{
    inotify_watcher *watcher;
    struct recorder recursive = {0}, tree = {0}, existing = {0};

    make_dirs("t/a/b");
    make_file("t/a/f");
    CHECK_SYS(chmod("t/a", 0));
    as_reader();
    watcher = create();
    watch(watcher, "t", entries, RINOTIFY_WATCH_RECURSIVE, &recursive);
    watch(watcher, "t", entries, TREE, &tree);
    watch(watcher, "t", entries, RINOTIFY_WATCH_RECURSIVE | RINOTIFY_WATCH_EMIT_EXISTING,
          &existing);
    EXPECT(watcher, &recursive, "is_dir t/a [error EACCES]", "t [partial]");
    EXPECT(watcher, &tree, "is_dir t/a [error EACCES]", "t [partial]");
    EXPECT(watcher, &existing, "create|is_dir t/a [synthetic]", "is_dir t/a [error EACCES]",
           "t [partial]");
    change_mode("t/a", 0755);
    EXPECT(watcher, &recursive, "t [complete]");
    EXPECT_SET(watcher, &tree, "create|is_dir t/a/b [synthetic]", "create t/a/f [synthetic]",
               "t [complete]");
    EXPECT_SET(watcher, &existing, "create|is_dir t/a/b [synthetic]", "create t/a/f [synthetic]",
               "t [complete]");
    as_writer();
    make_file("t/a/b/f");
    as_reader();
    EXPECT(watcher, &recursive, "create t/a/b/f");
    EXPECT(watcher, &tree, "create t/a/b/f");
    EXPECT(watcher, &existing, "create t/a/b/f");
    CHECK_TABLES(watcher);
    inotify_watcher_destroy(watcher);
    as_writer();
}

/* An access control list that lets the reader in (acl(5); the format is that of
 * include/uapi/linux/posix_acl_xattr.h). */
static void access_list(void)
{
    struct entry {
        uint16_t tag, permissions;
        uint32_t id;
    };
    struct {
        uint32_t version;
        struct entry entries[5];
    } list = {2,
              {{0x01, 7, UINT32_MAX},
               {0x02, 5, 65534},
               {0x04, 0, UINT32_MAX},
               {0x10, 7, UINT32_MAX},
               {0x20, 0, UINT32_MAX}}};
    inotify_watcher *watcher;
    struct recorder recorder = {0};

    if (getuid() != 0)
        return;
    make_dirs("t/a/b");
    CHECK_SYS(chmod("t/a", 0700));
    as_reader();
    watcher = create();
    watch(watcher, "t", entries, TREE, &recorder);
    EXPECT(watcher, &recorder, "is_dir t/a [error EACCES]", "t [partial]");
    as_writer();
    if (setxattr("t/a", "system.posix_acl_access", &list, sizeof list, 0) == -1) {
        CHECK_EQ(errno, EOPNOTSUPP);
        fputs("no access control lists here\n", stderr);
    } else {
        as_reader();
        EXPECT(watcher, &recorder, "create|is_dir t/a/b [synthetic]", "t [complete]");
    }
    as_reader();
    inotify_watcher_destroy(watcher);
    as_writer();
}

/* Directories are shut and opened while entries come and go in all of them: whoever only applies
 * events has the real tree when all are open. */
static void in_step(void)
{
    inotify_watcher *watcher;
    struct mirror mirror = {0};
    unsigned state = 7;
    unsigned rounds = check_rounds(300);

    make_dirs("t/0/0/0");
    make_dirs("t/0/1/0");
    make_dirs("t/1/0/0");
    make_dirs("t/1/1/1");
    as_reader();
    watcher = create();
    mirror_watch(watcher, "t", &mirror);
    for (unsigned round = 0; round < rounds; round++) {
        as_writer();
        for (unsigned i = 0; i < 6; i++) {
            static const mode_t modes[] = {0, 0111, 0444, 0755};
            const char *path;

            state = state * 1103515245 + 12345;
            path = format("t/%u/%u/%u", state >> 16 & 1, state >> 17 & 1, state >> 18 & 1);
            switch (state >> 20 & 7) {
            case 0:
            case 1:
                if (mkdir(path, 0755) == 0)
                    write_file(format("%s/f", path), "1");
                break;
            case 2:
                if (access(path, F_OK) == 0)
                    remove_tree(path);
                break;
            case 3:
                if (access(path, F_OK) == 0)
                    rename(path, format("t/%u/%u/moved", state >> 23 & 1, state >> 24 & 1));
                break;
            default:
                chmod(format("%.*s", (state >> 23 & 1) != 0 ? 3 : 5 + (int)(state >> 24 & 2), path),
                      modes[state >> 26 & 3]);
                break;
            }
        }
        as_reader();
        if (round % 3 == 0)
            drain(watcher);
        if (round % 10 == 9) {
            as_writer();
            /* From the top down, so that each can be reached. */
            CHECK_EQ(system("find t -type d ! -perm -0755 -exec chmod 0755 {} \\;"), 0);
            as_reader();
            MIRROR_EXPECT(watcher, &mirror, "t");
            CHECK_EQ(coverage_of(watcher, 1, NULL), RINOTIFY_COVERAGE_COMPLETE);
            CHECK_TABLES(watcher);
        }
    }
    inotify_watcher_destroy(watcher);
    mirror_clear(&mirror);
    as_writer();
    CHECK_EQ(system("find t -type d ! -perm -0755 -exec chmod 0755 {} \\;"), 0);
}

int main(void)
{
    check_begin(300);
    check_case("asked-for-where-needed");
    asked_for_where_needed();
    check_case("root");
    root();
    check_case("flags");
    flags();
    check_case("access-list");
    access_list();
    check_case("in-step");
    in_step();
    return 0;
}
