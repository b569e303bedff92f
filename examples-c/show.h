/* Paths on a terminal.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */
#ifndef SHOW_H
#define SHOW_H

#include <stdio.h>

/* Writes a path, or a message that has one in it, so that it cannot be taken for anything else: a
 * file name may have every byte but '/' and NUL. What has no fixed shape on a terminal (control
 * characters, what turns the direction of writing, what is no valid text) is written as \n or
 * \x1b. A path in which that or a space occurs stands in double quotes. */
void show_path(FILE *to, const char *path);
/* The same without quotes, for a sentence: spaces stay. */
void show_text(FILE *to, const char *text);

#endif /* SHOW_H */
