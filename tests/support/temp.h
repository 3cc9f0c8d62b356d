/* A folder of its own for a test that writes files. */
#ifndef MD_TESTS_SUPPORT_TEMP_H
#define MD_TESTS_SUPPORT_TEMP_H

#include <stddef.h>

enum {
    MD_TEMP_SIZE = 512
};

/* A new empty folder; fails the test when it cannot be made. */
typedef struct md_temp {
    char path[MD_TEMP_SIZE];
} md_temp;

void md_temp_make(md_temp *t);

/* "<folder>/<name>" into buf; returns buf. */
const char *md_temp_path(char buf[MD_TEMP_SIZE * 2], const md_temp *t,
                         const char *name);

/* Write a file into it; fails the test on error. */
void md_temp_write(const md_temp *t, const char *name, const void *data,
                   size_t size);

/* Remove the folder with everything in it. */
void md_temp_remove(const md_temp *t);

#endif
