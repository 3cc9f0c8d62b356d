"""How cases of operators on strings are drawn."""
import numpy as np

from operators import draws

WORDS = ["", "a", "B", "ab", "a b", " a ", "a,b", ",", "a,,b", "x--y", "\u00e9",
         "\u0416u", "the", "The", "cat,dog, cat"]
PATTERNS = ["a", "a*", "[ab]+", ".*", "a|ab", "(?i)the", "[^,]*", "\\w+",
            "(a|b)*", "\\d{2}", "[[:alpha:]]+", "", "x-{1,3}y"]


def words(c, shape):
    n = int(np.prod(shape))
    flat = np.array([c.rng.choice(WORDS) for _ in range(n)], object)
    return flat.reshape(shape)


@draws("StringConcat")
def string_concat(c):
    for shape in c.broadcasting(2):
        c.feed(words(c, shape))


@draws("StringSplit")
def string_split(c):
    c.attr(delimiter=c.pick(None, "", ",", "--", " "),
           maxsplit=c.pick(None, None, 1, 2))
    c.feed(words(c, c.shape()), constant=False)
    return 2


@draws("StringNormalizer")
def string_normalizer(c):
    c.attr(case_change_action=c.pick(None, "NONE", "LOWER", "UPPER"),
           is_case_sensitive=c.pick(None, 0, 1),
           stopwords=c.pick(None, ["the"], ["a", "B", "The"]))
    n = c.rng.randint(1, 8)
    c.feed(words(c, c.pick([n], [1, n])), constant=False)


@draws("RegexFullMatch")
def regex_full_match(c):
    c.attr(pattern="(" if c.bad() else c.pick(*PATTERNS))
    c.feed(words(c, c.shape()), constant=False)


@draws("TfIdfVectorizer")
def tf_idf_vectorizer(c):
    text = c.chance(0.5)
    items = ["a", "b", "c", "d"] if text else [1, 2, 3, 4]
    top, pool, counts, grams = c.rng.randint(1, 3), [], [], 0
    for size in range(1, top + 1):
        counts.append(len(pool))
        found = {tuple(c.rng.choice(items) for _ in range(size))
                 for _ in range(c.rng.randint(1, 4))}
        grams += len(found)
        for gram in sorted(found):
            pool += gram
    low = c.rng.randint(1, top)
    order = list(range(grams))
    c.rng.shuffle(order)
    c.attr(**{"pool_strings" if text else "pool_int64s": pool})
    c.attr(mode=c.pick("TF", "IDF", "TFIDF"), ngram_counts=counts,
           ngram_indexes=order, min_gram_length=low, max_gram_length=top,
           max_skip_count=c.rng.randint(0, 3))
    if c.chance(0.5):
        c.attr(weights=[float(c.rng.randint(1, 9)) for _ in order])
    n = c.rng.randint(1, 12)
    shape = c.pick([n], [c.rng.randint(1, 3), n])
    x = c.bits.integers(0, 4, shape)
    if text:
        c.feed(np.array(items, object)[x], constant=False)
    else:
        c.feed((x + 1).astype(c.pick("int32", "int64")), constant=False)
