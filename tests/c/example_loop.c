/* Runs one of the example programs with an event loop: example_loop PROGRAM delete|signal
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "program.h"

#include <signal.h>

static void nothing_there(const char *path)
{
    struct program program;

    PROGRAM_START(&program, path, "no/such/directory");
    CHECK_EQ(program_end(&program), 1);
    CHECK(program_printed(&program, "no/such/directory"));
    CHECK(program_printed(&program, strerror(ENOENT)));
    CHECK(!program_printed(&program, "ready"));
    program_free(&program);
}

static void watches(const char *path, bool by_signal, int number)
{
    struct program program;
    const char *rename;

    make_dirs("t/there");
    PROGRAM_START(&program, path, "t");
    program_wait(&program, "ready");
    make_file("t/there/f");
    program_wait(&program, "create t/there/f");
    make_dirs("t/a/b");
    program_wait(&program, "create|is_dir t/a");
    program_wait(&program, "create|is_dir t/a/b");
    move("t/a", "t/x");
    rename = by_signal ? "moved_to|is_dir t/a -> t/x" : "moved_to|is_dir t/x";
    program_wait(&program, rename);
    make_file("t/x/b/g");
    program_wait(&program, "create t/x/b/g");
    /* Many at once, and the last one is not forgotten. */
    for (int i = 0; i < 3000; i++)
        make_file(format("t/x/b/%d", i));
    program_wait(&program, "create t/x/b/2999");
    if (by_signal) {
        program_signal(&program, number);
        CHECK_EQ(program_end(&program), 0);
        program_wait(&program, "3006 events");
        remove_tree("t");
    } else {
        remove_tree("t");
        program_wait(&program, "delete_self t");
        program_wait(&program, "ignored t");
        CHECK_EQ(program_end(&program), 0);
    }
    program_free(&program);
}

/* Without an argument it is the current directory. (Which is never deleted as long as it is one.) */
static void here(const char *path)
{
    struct program program;

    make_dir("h");
    CHECK_SYS(chdir("h"));
    PROGRAM_START(&program, path);
    program_wait(&program, "ready");
    make_file("f");
    program_wait(&program, "create ./f");
    program_signal(&program, SIGTERM);
    CHECK_EQ(program_end(&program), 0);
    program_free(&program);
}

int main(int argc, char **argv)
{
    bool by_signal;
    char *path;

    CHECK_EQ(argc, 3);
    path = realpath(argv[1], NULL);
    CHECK(path != NULL);
    check_begin(240);
    by_signal = strcmp(argv[2], "signal") == 0;
    check_case("loop");
    nothing_there(path);
    watches(path, by_signal, SIGINT);
    watches(path, by_signal, SIGTERM);
    if (by_signal)
        here(path);
    free(path);
    return 0;
}
