#include "support/test.h"

#include <string.h>

void md_assert_fails(md_status got, md_status want, const md_error *err,
                     const char *text, const char *expr, const char *file,
                     int line)
{
    if (got != want) {
        print_error("%s: %s, expected %s (%s)\n", expr, md_status_name(got),
                    md_status_name(want), err->msg);
        _fail(file, line);
    }
    if (text && !strstr(err->msg, text)) {
        print_error("%s: message '%s' lacks '%s'\n", expr, err->msg, text);
        _fail(file, line);
    }
}

void md_assert_near(double a, double b, double by, const char *expr,
                    const char *file, int line)
{
    if (!(a - b <= by && b - a <= by)) {
        print_error("%s: %.12g, %.12g expected, within %g\n", expr, a, b, by);
        _fail(file, line);
    }
}
