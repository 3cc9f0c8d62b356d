/*
 * Tokens of a TorchScript program's text, one at a time: names, numbers, texts,
 * signs, and where blocks begin and end.
 */
#ifndef MD_CONVERT_TORCH_SCRIPT_TOKEN_H
#define MD_CONVERT_TORCH_SCRIPT_TOKEN_H

#include "convert/torch/script.h"

enum {
    MD_SCRIPT_INDENT_MAX = 128 /* blocks in each other */
};

typedef enum md_script_token_kind {
    MD_TOKEN_END,
    MD_TOKEN_NEWLINE,
    MD_TOKEN_INDENT,
    MD_TOKEN_DEDENT,
    MD_TOKEN_NAME,
    MD_TOKEN_INT,
    MD_TOKEN_FLOAT,
    MD_TOKEN_TEXT,
    MD_TOKEN_SIGN, /* one character: op */
    MD_TOKEN_ARROW,
} md_script_token_kind;

typedef struct md_script_token {
    md_script_token_kind kind;
    char op;
    const char *p; /* name; text unescaped, in the arena */
    size_t n;
    int64_t i;
    double f;
} md_script_token;

typedef struct md_script_lexer {
    const char *at, *end;
    uint32_t line;
    int indent[MD_SCRIPT_INDENT_MAX];
    int n_indent;
    int pending;       /* DEDENTs to give */
    int open;          /* brackets */
    bool fresh;        /* at the beginning of a line */
    md_script_token t; /* at hand */
    md_arena *arena;
    md_error *err;
    md_status status; /* of the first failure */
    const char *module;
} md_script_lexer;

/* Remember a failure, with module and line. */
void md_script_token__fail(md_script_lexer *p, md_status s, const char *what);

/* Memory of the arena, zeroed; NULL after remembering a failure. */
void *md_script_token__alloc(md_script_lexer *p, size_t n, size_t size);
bool md_script_token__grow(md_script_lexer *p, void *array, uint32_t *cap,
                           uint32_t n, size_t size);

/* The next token: p->t. */
void md_script_token__next(md_script_lexer *p);

/* The token at hand is this sign, this word. */
bool md_script_token__is_sign(const md_script_lexer *p, char op);
bool md_script_token__is_word(const md_script_lexer *p, const char *word);

/* Skip it when it is at hand; expect fails when it is not. */
bool md_script_token__accept(md_script_lexer *p, char op);
bool md_script_token__accept_word(md_script_lexer *p, const char *word);
void md_script_token__expect(md_script_lexer *p, char op);

/* A copy of the name at hand, which is skipped; "" after a failure. */
const char *md_script_token__take_name(md_script_lexer *p);

#endif
