/* Decodes and encodes again, with what rpcgen made of exported types.
 *
 * Requests on standard input: a type's index, a length, that many bytes; both numbers are big-endian words.
 * Answers on standard output: the length of what was encoded again and its bytes, or 0xffffffff where the
 * bytes were refused. `shapes.inc` is the table of types, written by the test.
 */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shapes.h"

struct type {
    xdrproc_t codec;
    size_t size;
};

static const struct type types[] = {
#include "shapes.inc"
};

static int read_word(uint32_t *word)
{
    uint32_t big;
    if (fread(&big, sizeof big, 1, stdin) != 1)
        return 0;
    *word = ntohl(big);
    return 1;
}

static void write_word(uint32_t word)
{
    uint32_t big = htonl(word);
    fwrite(&big, sizeof big, 1, stdout);
}

int main(void)
{
    static char in[1 << 20], out[1 << 20];
    uint32_t index, len;

    alarm(120);
    while (read_word(&index)) {
        XDR decoder, encoder;
        void *value;
        int fine;

        if (!read_word(&len) || len > sizeof in || index >= sizeof types / sizeof *types)
            return 2;
        if (len > 0 && fread(in, len, 1, stdin) != 1)
            return 2;
        value = calloc(1, types[index].size);
        xdrmem_create(&decoder, in, len, XDR_DECODE);
        fine = value && types[index].codec(&decoder, value) && xdr_getpos(&decoder) == len;
        if (fine) {
            memset(out, 0xa5, sizeof out);
            xdrmem_create(&encoder, out, sizeof out, XDR_ENCODE);
            fine = types[index].codec(&encoder, value);
        }
        if (fine) {
            write_word(xdr_getpos(&encoder));
            fwrite(out, xdr_getpos(&encoder), 1, stdout);
        } else {
            write_word(0xffffffff);
        }
        fflush(stdout);
        /* What was refused is left: the count of a hostile array is kept, and xdr_free walks as far. */
        if (fine) {
            xdr_free(types[index].codec, value);
            free(value);
        }
    }
    return 0;
}
