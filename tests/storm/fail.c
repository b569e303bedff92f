/* The verdict of the seed that is running in this process: the first thing that was wrong.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#include "storm.h"

#include <stdarg.h>
#include <string.h>

const char *fail_class;
char fail_text[1200];

/* What comes after the first failure mostly follows from it: it is for the dump alone. */
void fail(const char *class, const char *format, ...)
{
    static char text[sizeof(fail_text)];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    log_note("%s [%s] %s", fail_class ? "and" : "FAILURE", class, text);
    if (fail_class)
        return;
    memcpy(fail_text, text, sizeof(text));
    fail_class = class;
}
