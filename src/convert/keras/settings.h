/* The settings that layers may have. */
#ifndef MD_CONVERT_KERAS_SETTINGS_H
#define MD_CONVERT_KERAS_SETTINGS_H

#include "convert/keras/net.h"

/*
 * True when a layer of this row may have `key` with this value: it is one
 * that the row's emitter reads, in a form that it reads, or has no effect on
 * inference.  An unknown setting is fine only as null.
 */
bool md_keras_setting_fits(const md_keras_row *row, const char *key,
                           const json_t *v);

/* `key` is one of the words of `keys`, which are separated by spaces. */
bool md_keras_is_word_of(const char *keys, const char *key);

#endif
