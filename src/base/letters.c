#include "base/letters.h"

#include <locale.h>
#include <stddef.h>
#include <wctype.h>

void md_letters_init(md_letters *l)
{
    l->locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}

void md_letters_release(md_letters *l)
{
    if (l->locale)
        freelocale(l->locale);
    l->locale = NULL;
}

uint32_t md_letters_lower(const md_letters *l, uint32_t rune)
{
    if (rune < 0x80)
        return rune >= 'A' && rune <= 'Z' ? rune + 32 : rune;
    return l->locale ? (uint32_t)towlower_l((wint_t)rune, l->locale) : rune;
}

uint32_t md_letters_upper(const md_letters *l, uint32_t rune)
{
    if (rune < 0x80)
        return rune >= 'a' && rune <= 'z' ? rune - 32 : rune;
    return l->locale ? (uint32_t)towupper_l((wint_t)rune, l->locale) : rune;
}
