/* `modeld bench --compare`: the model beside other engines. */
#ifndef MD_CLI_COMPARE_H
#define MD_CLI_COMPARE_H

#include "cli/peers.h"
#include "cli/print.h"

enum {
    MD_COMPARE_ROUNDS = 12
};

/* One engine beside modeld; times in nanoseconds, ratios are its time /
 * modeld's. */
typedef struct md_compare_row {
    md_peer peer;
    int64_t min_ns, p50_ns;         /* least of the rounds */
    int64_t own_min_ns, own_p50_ns; /* of modeld */
    double ratio;                   /* of the medians: geometric mean of the
                                     * rounds */
    double low, high;               /* its 95 % confidence interval */
    double ratio_min;               /* of the least times of all rounds */
} md_compare_row;

typedef struct md_compare {
    md_compare_row row[MD_PEERS_MAX];
    int n;
} md_compare;

/* Run modeld and the peers of the list in turn, in rounds, for `seconds` each
 * in all.  Fails as md_peers_open does. */
md_status md_compare_measure(md_compare *out, const char *list,
                             const md_peers_job *job, double seconds,
                             md_error *err);

void md_compare_print(const md_compare *c, FILE *f);

/* The member "compare" of the object that is open. */
void md_compare_json(const md_compare *c, md_json_writer *w);

#endif
