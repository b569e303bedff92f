/* The frame of a test program: assertions, scratch directory, bound on time, file changes.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "check.h"

#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>

static char scratch[4096];
static char where[4200];
static pid_t owner;

/* ---- Assertions. */

void check_fail(const char *file, int line, const char *format, ...)
{
    va_list arguments;

    fflush(stdout);
    fprintf(stderr, "%s:%d: ", file, line);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    /* A forked child must not run the parent's clean-up. */
    if (getpid() != owner)
        _exit(1);
    exit(1);
}

void check_true(const char *file, int line, const char *what, int truth)
{
    if (!truth)
        check_fail(file, line, "not true: %s", what);
}

void check_eq(const char *file, int line, const char *what, const char *with, long long got,
              long long want)
{
    if (got != want)
        check_fail(file, line, "%s is %lld, should be %s = %lld", what, got, with, want);
}

void check_str(const char *file, int line, const char *what, const char *got, const char *want)
{
    if (got == want || (got != NULL && want != NULL && strcmp(got, want) == 0))
        return;
    check_fail(file, line, "%s is \"%s\", should be \"%s\"", what, got != NULL ? got : "(null)",
               want != NULL ? want : "(null)");
}

long check_sys(const char *file, int line, const char *what, long result)
{
    if (result == -1)
        check_fail(file, line, "%s: %s", what, strerror(errno));
    return result;
}

long long check_ok(const char *file, int line, const char *what, long long result)
{
    if (result < 0)
        check_fail(file, line, "%s is %lld (%s); last error: %s", what, result,
                   strerror((int)-result), last_error(NULL).message);
    return result;
}

/* ---- The frame. */

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *at)
{
    (void)status;
    (void)at;
    /* What cannot be removed is found by whoever asked for it. */
    (void)(type == FTW_DP ? rmdir(path) : unlink(path));
    return 0;
}

static void remove_all(const char *path)
{
    (void)nftw(path, remove_entry, 64, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static void clean_up(void)
{
    if (getpid() != owner)
        return;
    /* A test that failed may have been somebody else at the time. */
    if (geteuid() != getuid() && seteuid(getuid()) == -1)
        return;
    if (chdir("/") == 0)
        remove_all(scratch);
}

/* In a signal handler next to nothing is allowed, but another program is. */
static void stopped(int number)
{
    static const char late[] = "the test did not end in its time\n";
    static const char asked[] = "the test was stopped\n";

    if (getpid() == owner) {
        if (number == SIGALRM)
            (void)!write(STDERR_FILENO, late, sizeof late - 1);
        else
            (void)!write(STDERR_FILENO, asked, sizeof asked - 1);
        if (fork() == 0) {
            execlp("rm", "rm", "-rf", "--one-file-system", "--", scratch, (char *)NULL);
            _exit(127);
        }
    }
    _exit(1);
}

static unsigned from_environment(const char *variable, unsigned usual)
{
    const char *value = getenv(variable);
    unsigned long number = value != NULL ? strtoul(value, NULL, 10) : 0;

    return number != 0 ? (unsigned)number : usual;
}

bool check_under_valgrind(void)
{
    const char *preloaded = getenv("LD_PRELOAD");

    return preloaded != NULL && strstr(preloaded, "vgpreload") != NULL;
}

/* Whoever starts the test may have closed some of them, and then the descriptors that a test opens
 * would be taken for standard input, output or errors. */
static void open_standard_streams(void)
{
    int fd;

    do
        fd = (int)CHECK_SYS(open("/dev/null", O_RDWR));
    while (fd <= STDERR_FILENO);
    CHECK_SYS(close(fd));
}

/* A background job starts with signals ignored, and its children with it; the same for the mask. */
static void default_signals(void)
{
    sigset_t none;

    for (int number = 1; number < SIGRTMIN; number++)
        if (number != SIGKILL && number != SIGSTOP)
            (void)signal(number, SIG_DFL);
    CHECK_SYS(sigemptyset(&none));
    CHECK_SYS(sigprocmask(SIG_SETMASK, &none, NULL));
}

void check_begin(unsigned seconds)
{
    const char *parent = getenv("TMPDIR");
    unsigned factor = from_environment("CHECK_TIME_FACTOR", check_under_valgrind() ? 10 : 1);
    struct sigaction action;

    open_standard_streams();
    default_signals();
    memset(&action, 0, sizeof action);
    action.sa_handler = stopped;
    CHECK_SYS(sigaction(SIGALRM, &action, NULL));
    CHECK_SYS(sigaction(SIGTERM, &action, NULL));
    CHECK_SYS(sigaction(SIGINT, &action, NULL));
    alarm(seconds * factor);

    owner = getpid();
    if (parent == NULL || parent[0] == '\0')
        parent = "/tmp";
    snprintf(scratch, sizeof scratch, "%s/rinotify-test-XXXXXX", parent);
    if (mkdtemp(scratch) == NULL)
        check_fail(__FILE__, __LINE__, "mkdtemp %s: %s", scratch, strerror(errno));
    atexit(clean_up);
    CHECK_SYS(chdir(scratch));
    snprintf(where, sizeof where, "%s", scratch);
    umask(022);
}

void check_case(const char *name)
{
    snprintf(where, sizeof where, "%s/%s", scratch, name);
    CHECK_SYS(mkdir(where, 0755));
    CHECK_SYS(chdir(where));
}

const char *check_where(void)
{
    return where;
}

void check_skip(const char *reason)
{
    fprintf(stderr, "skipped: %s\n", reason);
    exit(77);
}

unsigned check_rounds(unsigned usual)
{
    return from_environment("CHECK_ROUNDS", check_under_valgrind() ? (usual + 49) / 50 : usual);
}

void check_private_mounts(void)
{
    if (unshare(CLONE_NEWNS) == -1)
        check_skip("needs a mount namespace of its own, which takes root");
    if (mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == -1)
        check_skip("the mounts cannot be made private");
}

/* ---- Changes to the file system. */

void make_dir(const char *path)
{
    if (mkdir(path, 0755) == -1)
        check_fail(__FILE__, __LINE__, "mkdir %s: %s", path, strerror(errno));
}

void make_dirs(const char *path)
{
    char copy[4096];
    char *slash = copy;

    snprintf(copy, sizeof copy, "%s", path);
    while ((slash = strchr(slash + 1, '/')) != NULL) {
        *slash = '\0';
        if (mkdir(copy, 0755) == -1 && errno != EEXIST)
            check_fail(__FILE__, __LINE__, "mkdir %s: %s", copy, strerror(errno));
        *slash = '/';
    }
    make_dir(path);
}

void make_file(const char *path)
{
    if (mknod(path, S_IFREG | 0644, 0) == -1)
        check_fail(__FILE__, __LINE__, "mknod %s: %s", path, strerror(errno));
}

void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

    if (fd == -1)
        check_fail(__FILE__, __LINE__, "open %s: %s", path, strerror(errno));
    CHECK_EQ(write(fd, text, strlen(text)), strlen(text));
    CHECK_SYS(close(fd));
}

void move(const char *from, const char *to)
{
    if (rename(from, to) == -1)
        check_fail(__FILE__, __LINE__, "rename %s to %s: %s", from, to, strerror(errno));
}

void exchange(const char *one, const char *other)
{
    if (renameat2(AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE) == 0)
        return;
    if (errno == EINVAL || errno == ENOSYS)
        check_skip("this file system has no RENAME_EXCHANGE");
    check_fail(__FILE__, __LINE__, "exchange %s and %s: %s", one, other, strerror(errno));
}

void remove_file(const char *path)
{
    if (unlink(path) == -1)
        check_fail(__FILE__, __LINE__, "unlink %s: %s", path, strerror(errno));
}

void remove_dir(const char *path)
{
    if (rmdir(path) == -1)
        check_fail(__FILE__, __LINE__, "rmdir %s: %s", path, strerror(errno));
}

void remove_tree(const char *path)
{
    struct stat status;

    remove_all(path);
    if (lstat(path, &status) == 0)
        check_fail(__FILE__, __LINE__, "rm -rf %s: it is still there", path);
}

const char *format(const char *pattern, ...)
{
    static _Thread_local char buffers[64][4200];
    static _Thread_local unsigned next;
    char *buffer = buffers[next++ % 64];
    va_list arguments;

    va_start(arguments, pattern);
    vsnprintf(buffer, sizeof buffers[0], pattern, arguments);
    va_end(arguments);
    return buffer;
}
