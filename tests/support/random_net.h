/*
 * Random graphs as text (support/net.h).
 *
 * A graph begins with two or three inputs and grows by operators that fit
 * values it already has, so that values are shared, reshaped, broadcast and
 * concatenated in ways that no exporter would write; some of them are what
 * exporters write.  The first dimension of every input is N.
 */
#ifndef MD_TESTS_SUPPORT_RANDOM_NET_H
#define MD_TESTS_SUPPORT_RANDOM_NET_H

#include <stdint.h>

enum {
    RANDOM_NET_SIZE = 1 << 15, /* bytes of a text */
    RANDOM_NET_BATCH = 2       /* what N stands for */
};

/*
 * Floats and integers, of opsets 13 to 22.  Operators are chosen so that
 * results stay of the size of the inputs and do not jump; float results may
 * then differ by the rounding of sums in another order.
 */
void random_net_make(char *text, uint32_t seed);

/*
 * 8-bit codes in and out, each operator between DequantizeLinear and
 * QuantizeLinear.  Returns by how many codes a result may differ when each
 * operator may round to the neighbour.
 */
double random_net_codes(char *text, uint32_t seed);

#endif
