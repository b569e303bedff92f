/* What a seed does: everything that the command line leaves open is drawn from its number.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#include "storm.h"

#include <string.h>

static const char *const loops[LOOP_KINDS] = {"epoll", "edge", "poll", "busy", "slow"};
static const char *const seconds[SECOND_KINDS] = {
    "none", "same", "link", "stable", "volatile", "flat", "structure", "close",
    "filter", "ask",
};

const char *loop_name(enum loop_kind kind)
{
    return loops[kind];
}

const char *second_name(enum second_kind kind)
{
    return seconds[kind];
}

static uint32_t pick_of(struct rng *rng, const uint32_t *list, unsigned count)
{
    return list[rng_below(rng, count)];
}

void plan_make(struct plan *plan, uint64_t seed)
{
    static const uint32_t reads[] = {0, 0, 0, 512, 512, 1024, 4096, 4096, 16384};
    static const uint32_t events[] = {0, 0, 0, 1, 3, 16, 100};
    static const uint32_t scans[] = {0, 0, 16, 17, 40, 200};
    static const int writers[] = {1, 2, 4};
    static const unsigned factors[] = {0, 1, 1, 1, 2, 6};
    struct rng rng;

    memset(plan, 0, sizeof(*plan));
    rng_seed(&rng, seed, 1);
    plan->seed = seed;

    /* Every draw is made whatever the command line says: an option changes one thing alone. */
    plan->writers = writers[rng_below(&rng, 3)];
    plan->ops = 40 + (int)rng_below(&rng, 260);
    plan->phases = 2 + (int)rng_below(&rng, 3);
    plan->pool = 2 + (int)rng_below(&rng, 6);
    plan->depth = 1 + (int)rng_below(&rng, 5);
    plan->read_size = pick_of(&rng, reads, 9);
    plan->max_events = pick_of(&rng, events, 7);
    plan->max_scan = pick_of(&rng, scans, 6);
    plan->loop = (enum loop_kind)rng_below(&rng, LOOP_KINDS);
    plan->slow_gap = 1 + rng_below(&rng, 200);
    plan->populate = rng_one_in(&rng, 3) ? 0 : (int)rng_below(&rng, 200);
    plan->watch_after = rng_one_in(&rng, 3) ? 1 + rng_below(&rng, 100) : 0;
    plan->check_existing = rng_one_in(&rng, 2);
    plan->second = rng_one_in(&rng, 2) ? (enum second_kind)(1 + rng_below(&rng, SECOND_KINDS - 1))
                                       : SECOND_NONE;
    plan->relative = rng_one_in(&rng, 4);
    plan->probes = rng_one_in(&rng, 3);
    for (int i = 0; i < op_count; i++)
        plan->weights[i] = ops[i].weight * factors[rng_below(&rng, 6)] * !opt.off[i];
    plan->second_from = (int)rng_below(&rng, 2);
    plan->second_after = rng_one_in(&rng, 2) ? 1 + rng_below(&rng, 100) : 0;
    plan->second_until = rng_one_in(&rng, 2) ? plan->second_from + 1 : -1;

    if (opt.writers)
        plan->writers = opt.writers;
    if (opt.ops)
        plan->ops = opt.ops;
    if (opt.phases)
        plan->phases = opt.phases;
    if (opt.read_size)
        plan->read_size = opt.read_size;
    if (opt.max_events)
        plan->max_events = opt.max_events;
    if (opt.max_scan)
        plan->max_scan = opt.max_scan;
    if (opt.loop >= 0)
        plan->loop = (enum loop_kind)opt.loop;
    if (opt.second >= 0)
        plan->second = (enum second_kind)opt.second;
    if (plan->second == SECOND_VOLATILE)
        plan->second_after = 0; /* its root must be known exactly */

    unsigned sum = 0;
    for (int i = 0; i < op_count; i++)
        sum += plan->weights[i];
    for (int i = 0; sum == 0 && i < op_count; i++)
        sum = plan->weights[i] = !opt.off[i];
    if (sum == 0)
        die("no operation is left to the writers");
}

void plan_print(const struct plan *plan, FILE *out)
{
    fprintf(out,
            "seed %llu: %d writers, %d ops, %d phases, pool %d, depth %d, loop %s (gap %u), "
            "read %u, max_events %u, max_scan %u, populate %d, watch after %u, second %s "
            "(phase %d after %u, until %d), %s root%s\nweights:",
            (unsigned long long)plan->seed, plan->writers, plan->ops, plan->phases, plan->pool,
            plan->depth, loop_name(plan->loop), plan->slow_gap, plan->read_size,
            plan->max_events, plan->max_scan, plan->populate, plan->watch_after,
            second_name(plan->second), plan->second_from, plan->second_after,
            plan->second_until, plan->relative ? "relative" : "absolute",
            plan->probes ? ", probes" : "");
    for (int i = 0; i < op_count; i++) {
        if (plan->weights[i])
            fprintf(out, " %s %u", ops[i].name, plan->weights[i]);
    }
    fputc('\n', out);
}
