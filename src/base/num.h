/*
 * Numbers as text, in JSON's grammar (RFC 8259, section 6), correctly rounded
 * and independent of the process's locale.
 *
 * Workload: request bodies with thousands of numbers such as 0.4980392, so
 * the common cases use no library call.
 */
#ifndef MD_BASE_NUM_H
#define MD_BASE_NUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MD_NUM_SIZE = 32,        /* of a formatted number and its NUL */
    MD_NUM_LENGTH_MAX = 1024 /* longest number that is accepted */
};

typedef enum md_num_status {
    MD_NUM_OK,
    MD_NUM_SYNTAX, /* no number here */
    MD_NUM_RANGE,  /* does not fit the type, or is too long */
} md_num_status;

/* Parse the number at p, before end; *after is the first byte behind it (set
 * for MD_NUM_RANGE too).  A value too small becomes zero. */
md_num_status md_num_f32(float *out, const unsigned char **after,
                         const unsigned char *p, const unsigned char *end);
md_num_status md_num_f64(double *out, const unsigned char **after,
                         const unsigned char *p, const unsigned char *end);

/* The same for integers: a fraction or an exponent is MD_NUM_SYNTAX. */
md_num_status md_num_i64(int64_t *out, const unsigned char **after,
                         const unsigned char *p, const unsigned char *end);
md_num_status md_num_u64(uint64_t *out, const unsigned char **after,
                         const unsigned char *p, const unsigned char *end);

/* strtod, with a point as in the C locale whatever the process's is. */
double md_num_strtod(const char *text, char **end);

/* Skip a number of any kind: md_num_f64 without its value. */
md_num_status md_num_skip(const unsigned char **after, const unsigned char *p,
                          const unsigned char *end);

/*
 * A text that reads back as the same finite value, terminated; returns its
 * length.  For float it has the fewest digits that do so, texts exactly half
 * way between two floats not considered.  Always with a point or an
 * exponent: "1.0", "0.1", "1.5e-07".
 */
size_t md_num_put_f32(char buf[MD_NUM_SIZE], float x);
size_t md_num_put_f64(char buf[MD_NUM_SIZE], double x);

#endif
