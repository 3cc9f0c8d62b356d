#include "net/proxy.h"

#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

#include "base/crc32c.h"

enum {
    SIGNATURE_SIZE = 12,
    VERSION = 2,
    LOCAL = 0, /* commands */
    PROXY = 1,
    TCP4 = 0x11, /* family and protocol */
    TCP6 = 0x21,
    TCP4_SIZE = 12, /* of the addresses */
    TCP6_SIZE = 36,
    UNIX_SIZE = 216,
    VALUE_SIZE = 3, /* type and size, at least */
    TYPE_CRC32C = 0x03,
    CRC_SIZE = 4
};

static const unsigned char SIGNATURE[SIGNATURE_SIZE + 1] =
    "\r\n\r\n\0\r\nQUIT\n";

static unsigned get_u16(const unsigned char *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

/* Bytes of the addresses; unknown families have none that is known. */
static size_t addresses_size(unsigned family)
{
    switch (family >> 4) {
    case 1:
        return TCP4_SIZE;
    case 2:
        return TCP6_SIZE;
    case 3:
        return UNIX_SIZE;
    default:
        return 0;
    }
}

static void take_source(md_proxy *out, unsigned family, const unsigned char *p)
{
    if (family == TCP4) {
        struct sockaddr_in *sa = (struct sockaddr_in *)&out->source;

        sa->sin_family = AF_INET;
        memcpy(&sa->sin_addr, p, 4);
        memcpy(&sa->sin_port, p + 8, 2);
        out->source_size = sizeof(*sa);
    } else if (family == TCP6) {
        struct sockaddr_in6 *sa = (struct sockaddr_in6 *)&out->source;

        sa->sin6_family = AF_INET6;
        memcpy(&sa->sin6_addr, p, 16);
        memcpy(&sa->sin6_port, p + 32, 2);
        out->source_size = sizeof(*sa);
    }
}

/* The checksum is that of the whole header with zeros in its place. */
static bool is_checksum(const unsigned char *p, size_t size, size_t at)
{
    static const unsigned char zeros[CRC_SIZE];
    const uint32_t told = (uint32_t)get_u16(p + at) << 16 | get_u16(p + at + 2);
    uint32_t crc = md_crc32c(0, p, at);

    crc = md_crc32c(crc, zeros, CRC_SIZE);
    at += CRC_SIZE;
    return md_crc32c(crc, p + at, size - at) == told;
}

/* The values behind the addresses, from `at` on. */
static md_status check_values(const unsigned char *p, size_t size, size_t at,
                              md_error *err)
{
    while (at < size) {
        const size_t left = size - at;
        const size_t n = left < VALUE_SIZE ? 0 : get_u16(p + at + 1);

        if (left < VALUE_SIZE || n > left - VALUE_SIZE)
            return md_fail(err, MD_CORRUPT,
                           "PROXY header: value at byte %zu is cut short", at);
        if (p[at] == TYPE_CRC32C &&
            (n != CRC_SIZE || !is_checksum(p, size, at + VALUE_SIZE)))
            return md_fail(err, MD_CORRUPT,
                           "PROXY header: its checksum is another one");
        at += VALUE_SIZE + n;
    }
    return MD_OK;
}

static md_status check_signature(const unsigned char *p, size_t size,
                                 md_error *err)
{
    const size_t n = size < SIGNATURE_SIZE ? size : SIGNATURE_SIZE;

    if (memcmp(p, SIGNATURE, n) == 0)
        return MD_OK;
    if (size >= 6 && memcmp(p, "PROXY ", 6) == 0)
        return md_fail(err, MD_CORRUPT,
                       "PROXY header of version 1 given, version 2 expected");
    return md_fail(err, MD_CORRUPT,
                   "connection of a proxy begins without PROXY header, "
                   "version 2 expected");
}

md_status md_proxy_parse(md_proxy *out, size_t *need, const void *bytes,
                         size_t size, md_error *err)
{
    const unsigned char *p = bytes;
    unsigned command;
    unsigned family;
    size_t at;

    *need = MD_PROXY_HEAD_SIZE;
    MD_TRY(check_signature(p, size, err));
    if (size < MD_PROXY_HEAD_SIZE)
        return MD_OK;
    command = p[12] & 15;
    family = p[13];
    at = MD_PROXY_HEAD_SIZE + addresses_size(family);
    *need += get_u16(p + 14);
    if (p[12] >> 4 != VERSION || command > PROXY)
        return md_fail(err, MD_CORRUPT,
                       "PROXY header: version and command 0x%02x given, 0x20 "
                       "or 0x21 expected",
                       p[12]);
    if (*need > MD_PROXY_SIZE_MAX)
        return md_fail(err, MD_TOO_LARGE,
                       "PROXY header of %zu bytes given, at most %d expected",
                       *need, MD_PROXY_SIZE_MAX);
    if (command == PROXY && *need < at)
        return md_fail(err, MD_CORRUPT,
                       "PROXY header of %zu bytes given, %zu expected for "
                       "its addresses",
                       *need, at);
    if (size < *need)
        return MD_OK;
    memset(out, 0, sizeof(*out));
    if (command == LOCAL)
        return MD_OK; /* the receiver must ignore what follows */
    take_source(out, family, p + MD_PROXY_HEAD_SIZE);
    return check_values(p, *need, at, err);
}
