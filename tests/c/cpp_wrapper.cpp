/* <rinotify.hpp>: ownership, exceptions, and the same events as in C.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "check.h"

#include <rinotify.hpp>

#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

static_assert(!std::is_copy_constructible_v<rinotify::watcher>);
static_assert(!std::is_copy_assignable_v<rinotify::watcher>);
static_assert(std::is_nothrow_move_constructible_v<rinotify::watcher>);
static_assert(std::is_nothrow_move_assignable_v<rinotify::watcher>);
static_assert(std::is_base_of_v<std::system_error, rinotify::error>);
static_assert(std::is_nothrow_copy_constructible_v<rinotify::error>);

namespace {

using lines = std::vector<std::string>;

/* Appends what it is told to `told`. */
rinotify::callback teller(lines &told)
{
    return [&told](const rinotify::event &event) {
        std::string line = rinotify::mask_names(event.mask());

        line.append(" ").append(event.path());
        if (event.old_path())
            line.append(" <- ").append(*event.old_path());
        if (event.is_synthetic())
            line.append(" [synthetic]");
        told.push_back(line);
    };
}

void expect_lines(int line, lines &told, const lines &want)
{
    for (std::size_t i = 0; i < told.size() || i < want.size(); i++)
        check_str(__FILE__, line, "line", i < told.size() ? told[i].c_str() : nullptr,
                  i < want.size() ? want[i].c_str() : nullptr);
    told.clear();
}
#define EXPECT_LINES(told, ...) expect_lines(__LINE__, (told), lines{__VA_ARGS__})
#define EXPECT_NO_LINES(told) expect_lines(__LINE__, (told), lines{})

/* The exception of type E that `call` throws. */
template <typename E, typename Call> E thrown_by(int line, Call &&call)
{
    try {
        call();
    } catch (const E &exception) {
        return exception;
    }
    check_fail(__FILE__, line, "nothing was thrown");
}
#define THROWN(E, ...) thrown_by<E>(__LINE__, [&] { __VA_ARGS__; })

void events()
{
    rinotify::watcher watcher;
    lines told;
    std::optional<std::string> name;
    std::int64_t id;

    make_dir("t");
    id = watcher.watch("t", teller(told), RINOTIFY_WATCH_MASK, rinotify::tree);
    CHECK(id > 0);
    CHECK(watcher.fileno() >= 0);
    CHECK(watcher.is_watched("t"));
    CHECK(!watcher.is_watched("u"));
    make_dirs("t/d/e");
    move("t/d", "t/x");
    watcher.sync();
    EXPECT_LINES(told, "create|is_dir t/d", "moved_from|is_dir t/d", "moved_to|is_dir t/x <- t/d",
                 "create|is_dir t/x/e [synthetic]");
    make_file("t/f");
    while (watcher.do_read())
        ;
    EXPECT_LINES(told, "create t/f");
    CHECK_EQ(watcher.stats().watches, 1);
    CHECK_EQ(watcher.stats().watchpoints, 3);
    CHECK_EQ(watcher.watchpoints().size(), 3);
    CHECK(watcher.uncovered().empty());
    CHECK(!watcher.status(123456).has_value());
    watcher.retry();
    for (const rinotify::watchpoint &point : watcher.watchpoints()) {
        CHECK_EQ(point.watch, id);
        CHECK_EQ(point.path.compare(0, 1, "t"), 0);
    }

    /* A path that is no C string: what stands behind it does not count. */
    CHECK(watcher.is_watched(std::string_view("t/x/e-and-more", 5)));
    watcher.watch(".", [&name](const rinotify::event &event) {
        CHECK_EQ(event.watch() > 0, true);
        CHECK(event.has(IN_CREATE | IN_ATTRIB));
        CHECK_EQ(event.error().value(), 0);
        CHECK(!event.error());
        CHECK_EQ(event.cookie(), 0);
        CHECK_EQ(event.flags(), event.raw().flags);
        name = event.name() ? std::optional<std::string>(*event.name()) : std::nullopt;
    }, IN_CREATE | IN_ATTRIB);
    make_dir("new");
    watcher.sync();
    CHECK_STR(name.value().c_str(), "new");
    CHECK_SYS(chmod(".", 0700));
    watcher.sync();
    CHECK(!name.has_value());

    CHECK(watcher.ignore_watch(id));
    CHECK(!watcher.ignore_watch(id));
    CHECK(watcher.ignore("."));
    CHECK(!watcher.ignore("."));
    make_file("t/unseen");
    watcher.sync();
    EXPECT_NO_LINES(told);
    CHECK_STR(rinotify::mask_names(IN_CREATE | IN_ISDIR).c_str(), "create|is_dir");
    CHECK_STR(rinotify::mask_names(0).c_str(), "");
}

void errors()
{
    rinotify::watcher watcher;
    lines told;
    auto counter = std::make_shared<int>();

    auto missing = THROWN(rinotify::error, watcher.watch("missing", [counter](const auto &) {}));
    CHECK_EQ(missing.code().value(), ENOENT);
    CHECK(missing.code() == std::errc::no_such_file_or_directory);
    CHECK_STR(missing.path().c_str(), "missing");
    CHECK(!missing.step().empty());
    CHECK(std::string(missing.what()).find("missing") != std::string::npos);
    CHECK_EQ(missing.limit(), 0);
    /* A failed watch keeps nothing. */
    CHECK_EQ(counter.use_count(), 1);

    CHECK_EQ(THROWN(rinotify::error, watcher.watch(".", nullptr)).code().value(), EINVAL);
    CHECK_EQ(THROWN(rinotify::error, watcher.watch("", teller(told))).code().value(), EINVAL);
    CHECK_EQ(THROWN(rinotify::error, watcher.watch(".", teller(told), 0)).code().value(), EINVAL);
    CHECK_EQ(THROWN(std::system_error, watcher.watch(std::string_view(".\0x", 3), teller(told)))
                 .code().value(), EINVAL);
    CHECK_EQ(THROWN(std::system_error, watcher.is_watched(std::string_view("\0", 1)))
                 .code().value(), EINVAL);

    inotify_watcher_options options{};
    options.flags = 0x80000000;
    CHECK_EQ(THROWN(rinotify::error, rinotify::watcher{options}).code().value(), EINVAL);

    watcher.lose_connection();
    watcher.lose_connection();
    CHECK_EQ(watcher.fileno(), -1);
    CHECK_EQ(THROWN(rinotify::error, watcher.do_read()).code().value(), EBADF);
    CHECK_EQ(THROWN(rinotify::error, watcher.sync()).code().value(), EBADF);
    CHECK_EQ(THROWN(rinotify::error, watcher.stats()).code().value(), EBADF);
}

void ownership()
{
    auto shared = std::make_shared<int>();
    auto callback = [shared](const rinotify::event &) {};

    make_dir("t");
    {
        rinotify::watcher watcher;

        watcher.watch("t", callback);
        CHECK_EQ(shared.use_count(), 3);
        CHECK(watcher.ignore("t"));
        CHECK_EQ(shared.use_count(), 2);
        watcher.watch("t", callback);
        /* Each call is a watch of its own. */
        watcher.watch("t", callback);
        CHECK_EQ(shared.use_count(), 4);
        CHECK_EQ(watcher.stats().watches, 2);

        rinotify::watcher moved(std::move(watcher));
        CHECK_EQ(watcher.fileno(), -1);
        CHECK_EQ(THROWN(rinotify::error, watcher.do_read()).code().value(), EINVAL);
        CHECK(moved.is_watched("t"));
        CHECK_EQ(shared.use_count(), 4);
        rinotify::watcher other;
        moved = std::move(other);
        CHECK(!moved.is_watched("t"));
        CHECK_EQ(shared.use_count(), 2);
        moved.watch("t", callback);
        remove_dir("t");
        moved.sync();
        CHECK_EQ(shared.use_count(), 2);
    }
    make_dir("t");
    {
        rinotify::watcher watcher;
        watcher.watch("t", callback);
        CHECK_EQ(shared.use_count(), 3);
    }
    CHECK_EQ(shared.use_count(), 2);
}

void exceptions()
{
    inotify_watcher_options one_a_turn{};
    lines told;
    int calls = 0;

    make_dir("t");
    {
        rinotify::watcher watcher;

        watcher.watch("t", [&calls](const rinotify::event &event) {
            calls++;
            if (event.has(IN_CREATE))
                throw std::out_of_range(std::string(event.path()));
        });
        make_file("t/a");
        make_file("t/b");
        remove_file("t/a");
        /* The first exception, after the whole turn. */
        CHECK_STR(THROWN(std::out_of_range, watcher.do_read()).what(), "t/a");
        CHECK_EQ(calls, 3);
        /* It is thrown once, and the watcher is as good as before. */
        while (watcher.do_read())
            ;
        make_file("t/c");
        CHECK_STR(THROWN(std::out_of_range, watcher.sync()).what(), "t/c");
        watcher.sync();
        CHECK_EQ(calls, 4);
    }
    one_a_turn.max_events = 1;
    {
        rinotify::watcher watcher(one_a_turn);

        watcher.watch("t", [](const rinotify::event &event) {
            throw std::runtime_error(std::string(event.path()));
        });
        make_file("t/d");
        make_file("t/e");
        CHECK_STR(THROWN(std::runtime_error, while (watcher.do_read());).what(), "t/d");
        CHECK_STR(THROWN(std::runtime_error, while (watcher.do_read());).what(), "t/e");
        while (watcher.do_read())
            ;
    }
    {
        /* Not everything that is thrown is an exception. */
        rinotify::watcher watcher;

        watcher.watch("t", [](const rinotify::event &) { throw 42; });
        make_file("t/f");
        CHECK_EQ(THROWN(int, watcher.sync()), 42);
    }
    {
        /* One watcher read inside the callback of another: each call has its own exceptions. */
        rinotify::watcher outer, inner;

        make_dir("u");
        inner.watch("u", [](const rinotify::event &) { throw std::runtime_error("inner"); });
        outer.watch("t", [&](const rinotify::event &) {
            make_file("u/a");
            told.push_back(THROWN(std::runtime_error, inner.sync()).what());
            throw std::runtime_error("outer");
        });
        make_file("t/g");
        CHECK_STR(THROWN(std::runtime_error, outer.sync()).what(), "outer");
        EXPECT_LINES(told, "inner");
        outer.sync();
        inner.sync();
    }
}

/* A callback that ends its watch, its watcher, or both, and throws on top of it. */
void reentrancy()
{
    auto watcher = std::make_unique<rinotify::watcher>();
    auto shared = std::make_shared<int>();
    int calls = 0;

    make_dir("t");
    watcher->watch("t", [&, shared](const rinotify::event &event) {
        CHECK(watcher->ignore_watch(event.watch()));
        CHECK_EQ(THROWN(rinotify::error, watcher->do_read()).code().value(), EBUSY);
        CHECK_EQ(shared.use_count(), 2);
        calls++;
    });
    make_file("t/a");
    make_file("t/b");
    watcher->sync();
    CHECK_EQ(calls, 1);
    CHECK_EQ(shared.use_count(), 1);

    watcher->watch("t", [&, shared](const rinotify::event &) {
        calls++;
        watcher.reset();
        CHECK_EQ(shared.use_count(), 2);
    });
    make_file("t/c");
    CHECK(!watcher->do_read());
    CHECK(watcher == nullptr);
    CHECK_EQ(calls, 2);
    CHECK_EQ(shared.use_count(), 1);

    watcher = std::make_unique<rinotify::watcher>();
    watcher->watch("t", [&, shared](const rinotify::event &) {
        watcher->lose_connection();
        throw std::runtime_error("closed");
    });
    make_file("t/d");
    CHECK_STR(THROWN(std::runtime_error, watcher->sync()).what(), "closed");
    CHECK_EQ(watcher->fileno(), -1);
    CHECK_EQ(shared.use_count(), 1);
}

void progress()
{
    rinotify::watcher watcher;
    auto shared = std::make_shared<int>();
    auto callback = [shared](const rinotify::event &) {};
    std::uint64_t most = 0;

    make_dir("many");
    for (int i = 0; i < 5000; i++)
        make_dir(format("many/%d", i));
    CHECK_EQ(THROWN(rinotify::error, watcher.watch("many", callback, IN_CREATE, rinotify::tree,
                                                   [](std::uint64_t) { return false; }))
                 .code().value(), ECANCELED);
    CHECK_EQ(shared.use_count(), 2);
    CHECK_STR(THROWN(std::runtime_error,
                     watcher.watch("many", callback, IN_CREATE, rinotify::tree,
                                   [](std::uint64_t) -> bool { throw std::runtime_error("no"); }))
                  .what(), "no");
    CHECK_EQ(shared.use_count(), 2);
    CHECK_EQ(watcher.stats().watches, 0);
    watcher.watch("many", callback, IN_CREATE, rinotify::tree, [&most](std::uint64_t directories) {
        most = directories;
        return true;
    });
    CHECK(most > 0 && most <= 5001);
    CHECK_EQ(watcher.stats().watchpoints, 5001);
    CHECK_EQ(shared.use_count(), 3);
}

/* Exceptions stay with the thread whose do_read called. */
void threads()
{
    rinotify::watcher watcher;

    make_dir("t");
    watcher.watch("t", [](const rinotify::event &) { throw std::runtime_error("mine"); });
    make_file("t/a");
    std::thread([&watcher] {
        CHECK_STR(THROWN(std::runtime_error, watcher.sync()).what(), "mine");
    }).join();
    watcher.sync();
}

/* Patterns and a filter, and what the filter throws: out of watch, later out of sync. */
void filters()
{
    rinotify::watcher watcher;
    lines told, asked;
    bool throws = false;
    rinotify::selection select{{".git", "/build"}, [&](const rinotify::directory &directory) {
        CHECK(directory.watch() > 0);
        CHECK_EQ(directory.depth(), directory.raw().depth);
        asked.push_back(std::string(directory.path()));
        if (throws)
            throw std::runtime_error("asked");
        return directory.name() != "no";
    }};

    make_dirs("t/.git/objects");
    make_dirs("t/build/out");
    make_dirs("t/no/way");
    make_dirs("t/a");
    watcher.watch("t", teller(told), IN_CREATE, rinotify::tree, nullptr, select);
    CHECK_EQ(watcher.stats().watchpoints, 2);
    CHECK_EQ(asked.size(), 2);
    make_dirs("t/a/no/way");
    make_dirs("t/a/yes");
    watcher.sync();
    EXPECT_LINES(told, "create|is_dir t/a/no", "create|is_dir t/a/yes");
    CHECK_EQ(watcher.stats().watchpoints, 3);
    throws = true;
    make_dirs("t/a/late/below");
    CHECK_STR(THROWN(std::runtime_error, watcher.sync()).what(), "asked");
    EXPECT_LINES(told, "create|is_dir t/a/late");
    CHECK_EQ(watcher.stats().watchpoints, 3);
    CHECK_STR(THROWN(std::runtime_error, watcher.watch("t", teller(told), IN_CREATE,
                                                       rinotify::tree, nullptr, select)).what(),
              "asked");
    CHECK_EQ(watcher.stats().watches, 1);
    CHECK_EQ(THROWN(rinotify::error, watcher.watch("t", teller(told), IN_CREATE, rinotify::tree,
                                                   nullptr, {{""}, nullptr})).code().value(),
             EINVAL);
    CHECK_EQ(THROWN(std::system_error,
                    watcher.watch("t", teller(told), IN_CREATE, rinotify::tree, nullptr,
                                  {{std::string("a\0b", 3)}, nullptr})).code().value(),
             EINVAL);
    watcher.watch("t", teller(told), IN_CREATE, rinotify::tree, nullptr, {{"*"}, nullptr});
    CHECK_EQ(watcher.stats().watchpoints, 3);
}

} // namespace

int main()
{
    check_begin(240);
    check_case("events");
    events();
    check_case("errors");
    errors();
    check_case("ownership");
    ownership();
    check_case("exceptions");
    exceptions();
    check_case("reentrancy");
    reentrancy();
    check_case("progress");
    progress();
    check_case("threads");
    threads();
    check_case("filters");
    filters();
    return 0;
}
