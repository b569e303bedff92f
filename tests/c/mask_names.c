/* The words of a mask, counted as snprintf(3) counts.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#include "check.h"

static const struct {
    uint32_t mask;
    const char *words;
} rows[] = {
    {IN_ACCESS, "access"},
    {IN_MODIFY, "modify"},
    {IN_ATTRIB, "attrib"},
    {IN_CLOSE_WRITE, "close_write"},
    {IN_CLOSE_NOWRITE, "close_nowrite"},
    {IN_OPEN, "open"},
    {IN_MOVED_FROM, "moved_from"},
    {IN_MOVED_TO, "moved_to"},
    {IN_CREATE, "create"},
    {IN_DELETE, "delete"},
    {IN_DELETE_SELF, "delete_self"},
    {IN_MOVE_SELF, "move_self"},
    {IN_UNMOUNT, "unmount"},
    {IN_Q_OVERFLOW, "queue_overflow"},
    {IN_IGNORED, "ignored"},
    {IN_ONLYDIR, "only_dir"},
    {IN_DONT_FOLLOW, "dont_follow"},
    {IN_MASK_ADD, "mask_add"},
    {IN_ISDIR, "is_dir"},
    {IN_ONESHOT, "one_shot"},
    {0, ""},
    {IN_CREATE | IN_ISDIR, "create|is_dir"},
    {IN_CLOSE, "close_write|close_nowrite"},
    {IN_MOVE | IN_ISDIR, "moved_from|moved_to|is_dir"},
    {RINOTIFY_WATCH_MASK,
     "modify|attrib|moved_from|moved_to|create|delete|delete_self|move_self|unmount"},
    {0x00001000, "0x1000"},
    {IN_CREATE | 0x00011000, "create|0x11000"},
};

int main(void)
{
    check_begin(240);
    CHECK_EQ(RINOTIFY_WATCH_MASK, 0x2fc6);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *words = rows[i].words;
        size_t length = strlen(words);
        char buffer[512];

        CHECK_EQ(inotify_watcher_mask_names(rows[i].mask, NULL, 0), length);
        for (size_t size = 0; size < length + 3; size++) {
            memset(buffer, '#', sizeof buffer);
            CHECK_EQ(inotify_watcher_mask_names(rows[i].mask, buffer, size), length);
            /* Not a byte beyond the size, and the end is always marked. */
            CHECK_EQ(buffer[size], '#');
            if (size == 0)
                continue;
            CHECK_EQ(strlen(buffer), size - 1 < length ? size - 1 : length);
            CHECK(strncmp(buffer, words, size - 1) == 0);
        }
    }
    /* Every bit has a word or is shown as a number: nothing is swallowed. */
    for (uint32_t bit = 1; bit != 0; bit <<= 1) {
        char buffer[64];

        CHECK(inotify_watcher_mask_names(bit, buffer, sizeof buffer) > 0);
        CHECK(strchr(buffer, '|') == NULL);
    }
    CHECK(inotify_watcher_mask_names(UINT32_MAX, NULL, 0) > 100);

    CHECK_EQ(rinotify_version_number(), RINOTIFY_VERSION_MAJOR * 65536 +
                                            RINOTIFY_VERSION_MINOR * 256 +
                                            RINOTIFY_VERSION_PATCH);
    CHECK_STR(rinotify_version(), format("%d.%d.%d", RINOTIFY_VERSION_MAJOR,
                                         RINOTIFY_VERSION_MINOR, RINOTIFY_VERSION_PATCH));
    return 0;
}
