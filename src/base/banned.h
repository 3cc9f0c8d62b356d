/*
 * Functions that modeld does not call, made into warnings (errors in the dev
 * preset).  The build includes this before every file under src/.
 *
 * The declarations repeat the C library's with an attribute: a use in our code
 * is then reported, a use inside a system header is not, and no header is
 * pulled in that a file forgot to include itself.
 */
#ifndef MD_BASE_BANNED_H
#define MD_BASE_BANNED_H

/* clang-tidy would call the C library's own declarations redundant. */
#ifndef __clang_analyzer__

#include <stdarg.h>
#include <stddef.h>

#define MD_BANNED(instead) __attribute__((deprecated(instead)))

struct tm;

/* Without a bound on what they write. */
char *strcpy(char *, const char *) MD_BANNED("md_buf or memcpy");
char *strcat(char *, const char *) MD_BANNED("md_buf or memcpy");
int sprintf(char *, const char *, ...) MD_BANNED("snprintf or md_buf");
int vsprintf(char *, const char *, va_list) MD_BANNED("vsnprintf or md_buf");

/* Without an answer for bad input. */
int atoi(const char *) MD_BANNED("md_parse_* or strtoll");
long atol(const char *) MD_BANNED("md_parse_* or strtoll");
double atof(const char *) MD_BANNED("md_parse_* or strtod");

/* With state shared between threads.  time_t is long on 64-bit Linux; its own
 * header would fix the feature macros before the file can set them. */
char *strtok(char *, const char *) MD_BANNED("md_slice or strtok_r");
int rand(void) MD_BANNED("a generator with its own state");
struct tm *localtime(const long *) MD_BANNED("localtime_r");
struct tm *gmtime(const long *) MD_BANNED("gmtime_r");

/* Past the allocator interface; base/ implements it. */
#ifndef MD_ALLOW_MALLOC
void *malloc(size_t) MD_BANNED("md_malloc");
void *calloc(size_t, size_t) MD_BANNED("md_calloc");
void *realloc(void *, size_t) MD_BANNED("md_resize");
void free(void *) MD_BANNED("md_free");
char *strdup(const char *) MD_BANNED("md_strndup");
char *strndup(const char *, size_t) MD_BANNED("md_strndup");
#endif

#endif

#endif
