/* The writers' system calls, each remembered with its times for the report of a failure.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#include "storm.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What other writers, who change the same names, can cause. Anything else is a broken test. */
static bool expected(int error)
{
    switch (error) {
    case ENOENT:
    case EEXIST:
    case ENOTDIR:
    case EISDIR:
    case ENOTEMPTY:
    case EINVAL: /* a rename into itself */
    case ELOOP:
    case ENXIO: /* a fifo that nobody reads */
    case EBUSY:
    case ENAMETOOLONG:
    case EPERM: /* a hard link to a directory */
    case EXDEV:
    case ESTALE:
        return true;
    default:
        return false;
    }
}

static int done(struct writer *w, uint64_t start, const char *what, const char *path,
                const char *other, int result)
{
    struct writer_log *log = w->log;
    int error = result < 0 ? errno : 0;
    uint32_t at = atomic_load_explicit(&log->used, memory_order_relaxed);

    if (result >= 0)
        log->calls++;
    else if (!expected(error) && !log->unexpected) {
        log->unexpected = error;
        snprintf(log->unexpected_at, sizeof(log->unexpected_at), "%s %s %s", what, path,
                 other ? other : "");
    }
    if (at < LOG_RECORDS) {
        struct op_record *record = &log->record[at];

        record->start = start;
        record->end = now_ns();
        record->result = -error;
        snprintf(record->what, sizeof(record->what), "%s", what);
        snprintf(record->path, sizeof(record->path), "%s", path);
        snprintf(record->other, sizeof(record->other), "%s", other ? other : "");
        atomic_store_explicit(&log->used, at + 1, memory_order_release);
    }
    return -error;
}

int do_mkdir(struct writer *w, const char *path)
{
    uint64_t start = now_ns();

    return done(w, start, "mkdir", path, NULL, mkdir(path, 0755));
}

/* The number in a unique name of this writer, or 0. */
static unsigned own_number(const struct writer *w, const char *path)
{
    const char *name = strrchr(path, '/');
    int writer;
    unsigned number;

    if (!name || sscanf(name, "/u%d_%u", &writer, &number) != 2 || writer != w->index)
        return 0;
    return number < MAX_UNIQUE ? number : 0;
}

int do_create(struct writer *w, const char *path, int flags, size_t bytes)
{
    static const char content[512] = "storm";
    unsigned number = (flags & O_EXCL) ? own_number(w, path) : 0;
    uint64_t start = now_ns();
    int fd = open(path, O_WRONLY | O_CREAT | O_NONBLOCK | O_CLOEXEC | flags, 0644);
    struct stat st;

    if (fd < 0)
        return done(w, start, "create", path, NULL, fd);
    (void)done(w, start, "create", path, (flags & O_EXCL) ? "excl" : NULL, 0);
    if (number && fstat(fd, &st) == 0)
        w->log->inode[number] = st.st_ino;
    if (bytes) {
        start = now_ns();
        (void)done(w, start, "write", path, "created",
                   write(fd, content, bytes) < 0 && errno != EAGAIN ? -1 : 0);
    }
    close(fd);
    return 0;
}

int do_write(struct writer *w, const char *path, int flags)
{
    uint64_t start = now_ns();
    int fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC | flags);

    if (fd < 0)
        return done(w, start, "write", path, NULL, fd);
    int result = write(fd, "x", 1) < 0 && errno != EAGAIN ? -1 : 0;
    result = done(w, start, "write", path, (flags & O_TRUNC) ? "trunc" : NULL, result);
    close(fd);
    return result;
}

int do_unlink(struct writer *w, const char *path)
{
    uint64_t start = now_ns();

    return done(w, start, "unlink", path, NULL, unlink(path));
}

int do_rmdir(struct writer *w, const char *path)
{
    uint64_t start = now_ns();

    return done(w, start, "rmdir", path, NULL, rmdir(path));
}

int do_rename(struct writer *w, const char *from, const char *to, unsigned flags)
{
    uint64_t start = now_ns();
    int result = renameat2(AT_FDCWD, from, AT_FDCWD, to, flags);

    if (result == 0) {
        w->log->renames++;
        w->log->exchanges += (flags & RENAME_EXCHANGE) != 0;
    }
    return done(w, start, (flags & RENAME_EXCHANGE) ? "exchange" : "rename", from, to, result);
}

int do_symlink(struct writer *w, const char *target, const char *path)
{
    uint64_t start = now_ns();

    return done(w, start, "symlink", path, target, symlink(target, path));
}

int do_link(struct writer *w, const char *from, const char *to)
{
    uint64_t start = now_ns();

    return done(w, start, "link", from, to, linkat(AT_FDCWD, from, AT_FDCWD, to, 0));
}

int do_fifo(struct writer *w, const char *path)
{
    uint64_t start = now_ns();

    return done(w, start, "mkfifo", path, NULL, mkfifo(path, 0600));
}

int do_chmod(struct writer *w, const char *path, mode_t mode)
{
    uint64_t start = now_ns();
    int result;

    result = chmod(path, mode);
    w->log->chmods += result == 0;
    return done(w, start, "chmod", path, NULL, result);
}

/* A file without a name that gets one later. */
int do_tmpfile(struct writer *w, const char *dir, const char *path)
{
    char link[64];
    uint64_t start = now_ns();
    int fd = open(dir, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);

    if (fd < 0) {
        if (errno == EOPNOTSUPP)
            return -EOPNOTSUPP;
        return done(w, start, "tmpfile", dir, NULL, fd);
    }
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    int result = linkat(AT_FDCWD, link, AT_FDCWD, path, AT_SYMLINK_FOLLOW);
    result = done(w, start, "link-tmp", path, NULL, result);
    close(fd);
    return result;
}

static void rm_rf_at(struct writer *w, int dir, const char *name, const char *path)
{
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0) {
        uint64_t start = now_ns();
        (void)done(w, start, "unlink", path, "rm -rf", unlinkat(dir, name, 0));
        return;
    }
    DIR *stream = fdopendir(fd);
    if (!stream) {
        close(fd);
        return;
    }
    for (struct dirent *entry; (entry = readdir(stream));) {
        char below[PATH_MAX];

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (snprintf(below, sizeof(below), "%s/%s", path, entry->d_name) >= (int)sizeof(below))
            continue;
        rm_rf_at(w, fd, entry->d_name, below);
    }
    closedir(stream);
    uint64_t start = now_ns();
    (void)done(w, start, "rmdir", path, "rm -rf", unlinkat(dir, name, AT_REMOVEDIR));
}

void do_rm_rf(struct writer *w, const char *path)
{
    rm_rf_at(w, AT_FDCWD, path, path);
}

/* Makes and changes a file in a directory that has left the tree: nobody may hear of it. The
 * directory is opened without following links, which could lead back into the tree. */
void do_mark_outside(struct writer *w, const char *dir, const char *name)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return;
    uint64_t start = now_ns();
    int file = openat(fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    (void)done(w, start, "create", dir, name, file);
    if (file >= 0) {
        (void)!write(file, "x", 1);
        close(file);
    }
    close(fd);
}
