/* System calls of the library that fail at random. Only a storm that is built with the library of
 * tests/faults can have that.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#include "storm.h"

bool faults_on, faults_excuse;

#ifdef STORM_FAULTS

#include "faults.h"

#include <errno.h>
#include <string.h>

/* What a call may fail with. */
static const int errors[] = {ENOMEM, EMFILE, ENOSPC, EINTR, EACCES};
#define PASSING 0xf /* those that do not mean that it is forbidden for good */
#define ALL 0x1f

bool faults_possible(void)
{
    return true;
}

/* Some calls fail now and then, some never; in some phases one alone, and often. */
void faults_begin(uint64_t seed, int phase)
{
    static const uint32_t rates[] = {0, 0, 1000, 10000, 50000};
    struct rng rng;
    uint32_t calls = 0, alone;

    if (!opt.faults)
        return;
    rng_seed(&rng, seed, 1000 + (uint64_t)phase);
    while (rinotify_fault_name(calls))
        calls++;
    alone = rng_one_in(&rng, 3) ? rng_below(&rng, calls) : calls;
    rinotify_fault_clear();
    (void)rinotify_fault_errors(errors, sizeof(errors) / sizeof(errors[0]), rng_next(&rng));
    for (uint32_t call = 0; call < calls; call++) {
        uint32_t rate = alone == calls ? rates[rng_below(&rng, 5)] : alone == call ? 300000 : 0;
        /* To be forbidden to read is the end of a watcher. */
        bool reads = strcmp(rinotify_fault_name(call), "read") == 0;

        (void)rinotify_fault_random(call, rate, reads ? PASSING : ALL);
        if (rate)
            log_note("%s fails %u times in a million", rinotify_fault_name(call), rate);
    }
    if (rng_one_in(&rng, 4))
        rinotify_fault_lists(RINOTIFY_FAULT_SHORT_LISTS | RINOTIFY_FAULT_NO_TYPES);
    faults_on = faults_excuse = true;
}

void faults_end(void)
{
    if (!faults_on)
        return;
    for (uint32_t call = 0; rinotify_fault_name(call); call++)
        shared->totals.faults += rinotify_fault_failed(call);
    rinotify_fault_clear();
    faults_on = false;
    log_note("the faults are over");
}

#else

bool faults_possible(void)
{
    return false;
}

void faults_begin(uint64_t seed, int phase)
{
    (void)seed;
    (void)phase;
}

void faults_end(void)
{
}

#endif
