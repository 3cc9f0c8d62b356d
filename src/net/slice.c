#include "net/slice.h"

static int lower(char c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

bool md_slice_eq_nocase(md_slice s, const char *text)
{
    if (s.size != strlen(text))
        return false;
    for (size_t i = 0; i < s.size; i++)
        if (lower(s.data[i]) != lower(text[i]))
            return false;
    return true;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

md_slice md_slice_trim(md_slice s)
{
    while (s.size && is_space(s.data[0])) {
        s.data++;
        s.size--;
    }
    while (s.size && is_space(s.data[s.size - 1]))
        s.size--;
    return s;
}

bool md_slice_next_item(md_slice *list, md_slice *item)
{
    const char *comma;

    if (!list->data)
        return false;
    comma = list->size ? memchr(list->data, ',', list->size) : NULL;
    *item = *list;
    if (!comma) {
        *list = (md_slice){ NULL, 0 };
    } else {
        item->size = (size_t)(comma - list->data);
        list->data = comma + 1;
        list->size -= item->size + 1;
    }
    *item = md_slice_trim(*item);
    return true;
}
