/* Small helpers for words that people type and read. */
#ifndef MD_BASE_TEXT_H
#define MD_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Finds the name that someone may have meant.  Offer every known one, then
 * ask for the best: NULL when none is close enough to be worth a hint.  Keeps
 * pointers only.
 */
typedef struct md_nearest {
    const char *word;
    const char *best;
    unsigned distance; /* of best */
} md_nearest;

void md_nearest_init(md_nearest *n, const char *word);
void md_nearest_offer(md_nearest *n, const char *name);
const char *md_nearest_best(const md_nearest *n);

/* Edits (insert, delete, replace, swap neighbours) from a to b, without case;
 * `-` and `_` are alike.  Words longer than 63 bytes are infinitely far. */
unsigned md_text_distance(const char *a, const char *b);

/* Whether s is one of the words in `list`, which are separated by `sep`. */
bool md_text_in_list(const char *s, const char *list, char sep);

/*
 * n bytes at s between single quotes into buf, for messages; returns buf.
 * Control characters, quotes, backslashes and bytes that are not UTF-8 become
 * \n, \', \x1b and the like; what does not fit is cut at a character and
 * marked: 'abc'...  size is at least 8.
 */
char *md_text_quote(char *buf, size_t size, const char *s, size_t n);

/* Names from files and requests get into messages, and messages to terminals
 * and pages: make n bytes at s one line of UTF-8 that nobody obeys.  Control
 * characters and what is no UTF-8 become '?', in place. */
void md_text_plain(char *s, size_t n);

/* Cut spaces and tabs off both ends, in place; returns the first byte. */
char *md_text_trim(char *s);

#endif
