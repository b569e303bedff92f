/* Trees of directories, and the storm of new ones.
 *
 * Directory number 0 is the root; the parent of number k is number (k - 1) / 100. So 10,000
 * directories are 100 with 99 each, nearly all of them leaves, as in real trees.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#define _GNU_SOURCE
#include "bench.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void path_join(char *to, size_t size, const char *a, const char *b)
{
    int n = snprintf(to, size, "%s/%s", a, b);
    if (n < 0 || (size_t)n >= size)
        die("path", ENAMETOOLONG);
}

size_t tree_path(char *to, size_t size, const char *root, unsigned long number)
{
    size_t len;
    if (number == 0) {
        len = strlen(root);
        if (len + 1 > size)
            die("path", ENAMETOOLONG);
        memcpy(to, root, len + 1);
        return len;
    }
    len = tree_path(to, size, root, (number - 1) / BENCH_FANOUT);
    if (len + BENCH_NAME + 2 > size)
        die("path", ENAMETOOLONG);
    snprintf(to + len, size - len, "/d%09lu", number);
    return len + BENCH_NAME + 1;
}

static void make_files(int dirfd, unsigned long files)
{
    char name[32];
    for (unsigned long i = 0; i < files; i++) {
        snprintf(name, sizeof name, "f%09lu", i);
        if (mknodat(dirfd, name, S_IFREG | 0644, 0))
            die("mknodat", errno);
    }
}

static void make_dir(const char *path, unsigned long files)
{
    if (mkdir(path, 0755))
        die(path, errno);
    if (!files)
        return;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        die(path, errno);
    make_files(fd, files);
    close(fd);
}

/* The root and `dirs` directories below it, each with `files` files. */
void tree_make(const char *root, unsigned long dirs, unsigned long files)
{
    char path[PATH_MAX];
    for (unsigned long i = 0; i <= dirs; i++) {
        tree_path(path, sizeof path, root, i);
        make_dir(path, files);
    }
}

static void remove_at(int at, const char *name)
{
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        die(name, errno);
    DIR *d = fdopendir(fd);
    struct dirent *e;
    if (!d)
        die(name, errno);
    while ((e = readdir(d))) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
            continue;
        if (e->d_type == DT_DIR)
            remove_at(fd, e->d_name);
        else if (unlinkat(fd, e->d_name, 0))
            die(e->d_name, errno);
    }
    closedir(d);
    if (unlinkat(at, name, AT_REMOVEDIR))
        die(name, errno);
}

void tree_remove(const char *root)
{
    remove_at(AT_FDCWD, root);
}

/* Chains of ten nested directories, each filled with files as soon as it is made. File names
 * carry a number that is unique in the storm. Returns the number of files. */
unsigned long tree_storm(const char *root, unsigned long dirs, unsigned long files)
{
    char path[PATH_MAX];
    size_t base = strlen(root), len = base;
    unsigned long number = 0;
    memcpy(path, root, base + 1);
    for (unsigned long i = 0; i < dirs; i++) {
        if (i % 10 == 0)
            len = base;
        len += (size_t)snprintf(path + len, sizeof path - len, "/d%09lu", i);
        if (mkdir(path, 0755))
            die(path, errno);
        for (unsigned long k = 0; k < files; k++) {
            snprintf(path + len, sizeof path - len, "/f%09lu", number++);
            int fd = creat(path, 0644);
            if (fd < 0)
                die(path, errno);
            close(fd);
        }
    }
    return number;
}
