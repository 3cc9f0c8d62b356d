/* Limits on what comes from outside, in one place, each with its reason. */
#ifndef MD_BASE_LIMITS_H
#define MD_BASE_LIMITS_H

enum {
    /* Containers open at once in a JSON text.  Requests need 2 + the rank of
     * a tensor; the rest is for configuration and chat messages. */
    MD_LIMIT_JSON_DEPTH = 64,

    /* What a caller may raise that to: one bit each in the reader. */
    MD_LIMIT_JSON_DEPTH_CAP = 512,

    /* Nesting of an array of numbers.  No ONNX model in practice exceeds
     * rank 8. */
    MD_LIMIT_JSON_RANK = 16,

    /* One line of a configuration file: longer ones are not text that a
     * person wrote. */
    MD_LIMIT_CONFIG_LINE = 4096,

    /* A whole configuration file. */
    MD_LIMIT_CONFIG_SIZE = 1 << 20,

    /* Runs of subgraphs (trips of loops) in one execution of a model, so that
     * a loop whose condition never fails ends: some minutes of the smallest
     * body.  Decoders and simulations stay below a million. */
    MD_LIMIT_BODY_RUNS = 1 << 27,

    /* One log line; longer ones are cut and marked. */
    MD_LIMIT_LOG_LINE = 4096,
};

#endif
