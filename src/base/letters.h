/* Upper and lower case of characters, by Unicode and not by the environment's
 * language.  Of a system without such tables only ASCII has cases. */
#ifndef MD_BASE_LETTERS_H
#define MD_BASE_LETTERS_H

#include <stdint.h>

typedef struct md_letters {
    void *locale; /* the system's tables, or NULL */
} md_letters;

void md_letters_init(md_letters *l);
void md_letters_release(md_letters *l);

/* A character as one of the other case; itself where it has none. */
uint32_t md_letters_lower(const md_letters *l, uint32_t rune);
uint32_t md_letters_upper(const md_letters *l, uint32_t rune);

#endif
