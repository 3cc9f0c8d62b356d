/*
 * Protocol buffers' text format, as configuration files are written in it
 * (protobuf.dev/reference/protobuf/textformat-spec), into a tree of fields.
 *
 * Fields are not checked against a schema here: a scalar is its text, and who
 * reads the tree knows what it should be.  JSON of the same messages becomes
 * the same tree, so one reader takes both: elements of an array are fields of
 * one name.
 */
#ifndef MD_FORMATS_TEXTPB_H
#define MD_FORMATS_TEXTPB_H

#include <stdbool.h>

#include "base/arena.h"

enum {
    MD_TEXTPB_DEPTH = 32,
    MD_TEXTPB_SIZE_MAX = 1 << 20 /* bytes of text */
};

typedef struct md_textpb md_textpb;
struct md_textpb {
    const char *name; /* of the field; "" of the root */
    uint32_t line;    /* from 1; 0: JSON */
    bool is_message;
    bool quoted;      /* a scalar between quotes, unescaped */
    const char *text; /* of a scalar, terminated; may hold NUL before `size` */
    size_t size;
    md_textpb *first; /* field of a message */
    md_textpb *next;  /* field of the same message */
};

/* All of n bytes as the fields of one message; the tree is the arena's.
 * MD_INVALID names the line and what was expected there, MD_TOO_LARGE,
 * MD_UNSUPPORTED for extensions and Any. */
md_status md_textpb_parse(md_textpb **out, const char *text, size_t n,
                          md_arena *ar, md_error *err);

/* The same from a JSON object; members that are null are left out. */
md_status md_textpb_from_json(md_textpb **out, const char *text, size_t n,
                              md_arena *ar, md_error *err);

#endif
