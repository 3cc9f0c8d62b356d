/*
 * What every test file includes first: cmocka with its prerequisites, and
 * helpers that print both sides of a failed comparison.
 */
#ifndef MD_TESTS_SUPPORT_TEST_H
#define MD_TESTS_SUPPORT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"

/* Fail, showing err's text, unless expr is MD_OK. */
#define assert_md_ok(expr, err)                                                \
    do {                                                                       \
        md_status got_ = (expr);                                               \
        if (got_ != MD_OK)                                                     \
            fail_msg("%s: %s: %s", #expr, md_status_name(got_), (err)->msg);   \
    } while (0)

/* Fail unless expr is `want` and the error text contains `text`. */
#define assert_md_fails(expr, want, err, text)                                 \
    md_assert_fails((expr), (want), (err), (text), #expr, __FILE__, __LINE__)

/* Fail, showing both, unless a and b (doubles) differ by at most `by`. */
#define assert_near(a, b, by)                                                  \
    md_assert_near((a), (b), (by), #a, __FILE__, __LINE__)

void md_assert_near(double a, double b, double by, const char *expr,
                    const char *file, int line);

void md_assert_fails(md_status got, md_status want, const md_error *err,
                     const char *text, const char *expr, const char *file,
                     int line);

#endif
