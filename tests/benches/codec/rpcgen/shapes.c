/*
 * Measures rpcgen's routines for the shapes of ../shapes.rs, on request.
 *
 * Each line of standard input is a question:
 *   bytes SHAPE                  -> the length of the encoded value, a line, then the value
 *   encode SHAPE BATCH_NS TIME_NS -> nanoseconds an operation, one number for each batch
 *   decode SHAPE BATCH_NS TIME_NS
 */
#include <rpc/rpc.h>
#include <rpc/rpc_msg.h>
#include <rpc/auth_unix.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "shapes.h"

#define MANY 100
#define SPACE ((1 << 20) + 4096)

/* ---- values ---- */

static s1 value1 = {1, 0xdeadbeef, 0x0123456789abcdefULL, 7, 0xffffffff};
static s2 value2 = {"node-0017.cluster-a", 0x01010101, 0x02020202, 0x03030303, 0x04040404, 0x05050505, 0x06060606, 0x07070707};
static s3 value3 = {42, {0}, "guest-web-0001"};
static s4 value4, value4_long;
static s5 value5;
static s6 value6;
static s7 value7;
static s9 value9;

static char machine_name[] = "client-0001.lan";
static gid_t groups[] = {4, 24, 27, 1000};
static struct authunix_parms unix_credential = {0x5eed, machine_name, 1000, 1000, 4, groups};
static char credential[MAX_AUTH_BYTES];
static struct rpc_msg call, reply;

static void *allocate(size_t size)
{
    void *space = calloc(1, size);
    if (space == NULL)
        exit(1);
    return space;
}

static void fill_integers(s4 *value, u_int len)
{
    value->values.values_len = len;
    value->values.values_val = allocate(len * sizeof(int));
    for (u_int index = 0; index < len; index++)
        value->values.values_val[index] = (int)(index * 2654435761u);
}

static entry *new_entry(u_int index)
{
    entry *made = allocate(sizeof(entry));
    made->name = allocate(64);
    snprintf(made->name, 64, index % 2 == 0 ? "entry-%03u.dat" : "directory-entry-%03u.backup", index);
    made->fileid = 1000 + index;
    made->cookie = index + 1;
    if (index % 8 == 7)
        return made;
    attributes known = {
        .kind = 1, .mode = 0644, .links = 1, .uid = 1000, .gid = 1000,
        .size = index * 4096ULL, .used = index * 8192ULL, .fsid = 77, .fileid = 1000 + index,
        .accessed = 1700000000, .accessed_nanos = index, .modified = 1700000001, .modified_nanos = index,
        .changed = 1700000002, .changed_nanos = index,
    };
    made->attributes = allocate(sizeof(attributes));
    *made->attributes = known;
    made->handle = allocate(sizeof(handle));
    made->handle->handle_len = 32;
    made->handle->handle_val = allocate(32);
    for (u_int byte = 0; byte < 32; byte++)
        made->handle->handle_val[byte] = (char)(index + byte);
    return made;
}

static void fill(void)
{
    for (int index = 0; index < 16; index++)
        value3.uuid[index] = (char)(index * 17);
    fill_integers(&value4, 100);
    fill_integers(&value4_long, 10000);
    value5.names.names_len = MANY;
    value5.names.names_val = allocate(MANY * sizeof(name));
    for (u_int index = 0; index < MANY; index++) {
        value5.names.names_val[index] = allocate(16);
        snprintf(value5.names.names_val[index], 16, "guest-%06u", index);
    }
    value6.text = allocate((60 << 10) + 1);
    for (int index = 0; index < 60 << 10; index++)
        value6.text[index] = (char)('a' + index % 26);
    value7.data.data_len = 1 << 20;
    value7.data.data_val = allocate(1 << 20);
    for (u_int index = 0; index < 1 << 20; index++)
        value7.data.data_val[index] = (char)((index * 31) >> 3);
    entry **next = &value9.entries;
    for (u_int index = 0; index < MANY; index++) {
        *next = new_entry(index);
        next = &(*next)->next;
    }
    call.rm_xid = reply.rm_xid = 0x12345678;
    call.rm_direction = CALL;
    call.rm_call.cb_rpcvers = RPC_MSG_VERSION;
    call.rm_call.cb_prog = 100003;
    call.rm_call.cb_vers = 3;
    call.rm_call.cb_proc = 17;
    call.rm_call.cb_cred.oa_flavor = AUTH_SYS;
    reply.rm_direction = REPLY;
    reply.rm_reply.rp_stat = MSG_ACCEPTED;
    reply.acpted_rply.ar_stat = SUCCESS;
    reply.acpted_rply.ar_results.proc = (xdrproc_t)xdr_void;
}

/* ---- operations ---- */

static char space[SPACE];
static char encoded[SPACE];
static u_int encoded_len;

static void check(bool_t done)
{
    if (!done) {
        fprintf(stderr, "an XDR routine failed\n");
        exit(1);
    }
}

#define SHAPE(TYPE, VALUE)                                                          \
    static u_int encode_##VALUE(char *out)                                          \
    {                                                                               \
        XDR xdrs;                                                                   \
        xdrmem_create(&xdrs, out, SPACE, XDR_ENCODE);                               \
        check(xdr_##TYPE(&xdrs, &VALUE));                                           \
        return xdr_getpos(&xdrs);                                                   \
    }                                                                               \
    static void decode_##VALUE(char *again)                                         \
    {                                                                               \
        XDR xdrs;                                                                   \
        TYPE decoded;                                                               \
        memset(&decoded, 0, sizeof(decoded));                                       \
        xdrmem_create(&xdrs, encoded, encoded_len, XDR_DECODE);                     \
        check(xdr_##TYPE(&xdrs, &decoded));                                         \
        if (again != NULL) {                                                        \
            xdrmem_create(&xdrs, again, SPACE, XDR_ENCODE);                         \
            check(xdr_##TYPE(&xdrs, &decoded));                                     \
        }                                                                           \
        xdr_free((xdrproc_t)xdr_##TYPE, (char *)&decoded);                          \
    }

SHAPE(s1, value1)
SHAPE(s2, value2)
SHAPE(s3, value3)
SHAPE(s4, value4)
SHAPE(s4, value4_long)
SHAPE(s5, value5)
SHAPE(s6, value6)
SHAPE(s7, value7)
SHAPE(s9, value9)

/* As clients do it: the credential is encoded when it is made, and copied into each call. */
static u_int encode_call(char *out)
{
    XDR xdrs;
    xdrmem_create(&xdrs, out, SPACE, XDR_ENCODE);
    check(xdr_callmsg(&xdrs, &call));
    return xdr_getpos(&xdrs);
}

/* As servers do it: the header, into space for the credential that is there, then the credential. */
static void decode_call(char *again)
{
    XDR xdrs;
    char body[MAX_AUTH_BYTES], verifier[MAX_AUTH_BYTES];
    struct rpc_msg decoded;
    struct authunix_parms parameters;
    memset(&decoded, 0, sizeof(decoded));
    memset(&parameters, 0, sizeof(parameters));
    decoded.rm_call.cb_cred.oa_base = body;
    decoded.rm_call.cb_verf.oa_base = verifier;
    xdrmem_create(&xdrs, encoded, encoded_len, XDR_DECODE);
    check(xdr_callmsg(&xdrs, &decoded));
    xdrmem_create(&xdrs, body, decoded.rm_call.cb_cred.oa_length, XDR_DECODE);
    check(xdr_authunix_parms(&xdrs, &parameters));
    if (again != NULL) {
        xdrmem_create(&xdrs, again, SPACE, XDR_ENCODE);
        check(xdr_callmsg(&xdrs, &decoded));
        check(parameters.aup_gids[3] == 1000);
    }
    xdr_free((xdrproc_t)xdr_authunix_parms, (char *)&parameters);
}

static u_int encode_reply(char *out)
{
    XDR xdrs;
    xdrmem_create(&xdrs, out, SPACE, XDR_ENCODE);
    check(xdr_replymsg(&xdrs, &reply));
    return xdr_getpos(&xdrs);
}

static void decode_reply(char *again)
{
    XDR xdrs;
    char verifier[MAX_AUTH_BYTES];
    struct rpc_msg decoded;
    memset(&decoded, 0, sizeof(decoded));
    decoded.acpted_rply.ar_verf.oa_base = verifier;
    decoded.acpted_rply.ar_results.proc = (xdrproc_t)xdr_void;
    xdrmem_create(&xdrs, encoded, encoded_len, XDR_DECODE);
    check(xdr_replymsg(&xdrs, &decoded));
    if (again != NULL) {
        xdrmem_create(&xdrs, again, SPACE, XDR_ENCODE);
        check(xdr_replymsg(&xdrs, &decoded));
    }
}

static void encode_credential(void)
{
    XDR xdrs;
    xdrmem_create(&xdrs, credential, sizeof(credential), XDR_ENCODE);
    check(xdr_authunix_parms(&xdrs, &unix_credential));
    call.rm_call.cb_cred.oa_base = credential;
    call.rm_call.cb_cred.oa_length = xdr_getpos(&xdrs);
}

static const struct shape {
    const char *name;
    u_int (*encode)(char *out);
    void (*decode)(char *again);
} shapes[] = {
    {"S1", encode_value1, decode_value1},
    {"S2", encode_value2, decode_value2},
    {"S3", encode_value3, decode_value3},
    {"S4", encode_value4, decode_value4},
    {"S4L", encode_value4_long, decode_value4_long},
    {"S5", encode_value5, decode_value5},
    {"S6", encode_value6, decode_value6},
    {"S7", encode_value7, decode_value7},
    {"S8", encode_call, decode_call},
    {"S8R", encode_reply, decode_reply},
    {"S9", encode_value9, decode_value9},
};

/* ---- questions ---- */

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e9 + time.tv_nsec;
}

static double batch(const struct shape *shape, int decodes, u_int times)
{
    double begun = now();
    for (u_int index = 0; index < times; index++) {
        if (decodes)
            shape->decode(NULL);
        else
            shape->encode(space);
    }
    return now() - begun;
}

static void measure(const struct shape *shape, int decodes, double batch_ns, double time_ns)
{
    u_int times = 1;
    batch(shape, decodes, 2);
    while (batch(shape, decodes, times) < batch_ns)
        times *= 2;
    if (times < 4)
        times = 4;
    double begun = now();
    do {
        batch(shape, decodes, 1);
        printf("%.3f ", batch(shape, decodes, times) / times);
    } while (now() - begun < time_ns);
    printf("\n");
}

static void answer(const char *question, const struct shape *shape, double batch_ns, double time_ns)
{
    encoded_len = shape->encode(encoded);
    if (strcmp(question, "bytes") != 0) {
        measure(shape, strcmp(question, "decode") == 0, batch_ns, time_ns);
        return;
    }
    memset(space, 0xff, sizeof(space));
    shape->decode(space);
    check(memcmp(space, encoded, encoded_len) == 0);
    printf("%u\n", encoded_len);
    fwrite(encoded, 1, encoded_len, stdout);
}

int main(void)
{
    char line[128], question[16], wanted[16];
    double batch_ns, time_ns;
    fill();
    encode_credential();
    while (fgets(line, sizeof(line), stdin) != NULL) {
        batch_ns = time_ns = 0;
        if (sscanf(line, "%15s %15s %lf %lf", question, wanted, &batch_ns, &time_ns) < 2)
            return 1;
        for (size_t index = 0; index < sizeof(shapes) / sizeof(shapes[0]); index++)
            if (strcmp(shapes[index].name, wanted) == 0)
                answer(question, &shapes[index], batch_ns, time_ns);
        fflush(stdout);
    }
    return 0;
}
