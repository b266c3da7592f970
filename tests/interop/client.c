/*
 * A C client of the guest protocol, made with rpcgen and libtirpc.
 *
 *   client [--basic] [--type TYPE] [--name NAME] [--fragment BYTES | --udp MS] HOST PORT
 *
 * Connects by TCP straight to PORT, without rpcbind, and walks through the
 * protocol. With --udp it goes by UDP, and sends a call again after that many
 * milliseconds. One line a step on stdout, `step=NAME key=value ...`, text in
 * double quotes. The first surprise ends it: a message on stderr, status 1.
 */
#include "guest.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    SECONDS_IN_ALL = 120,
    SECONDS_A_CALL = 20,
    DATAGRAM_BYTES = 65507,
    LONG_XML_BYTES = 60000,
    LONG_NAME_BYTES = 300,
    UNKNOWN_PROCEDURE = 4711,
    UNKNOWN_VERSION = 7,
    NO_DOMAIN = 42
};

static const char created_name[] = "interop-created";
static const char defined_name[] = "interop-defined";
static const char missing_name[] = "interop-missing";

static const char *current_step = "start";
static int steps;

/* ---- output ---- */

static void begin(const char *step)
{
    current_step = step;
    steps++;
    printf("step=%s", step);
}

static void end(void)
{
    putchar('\n');
    fflush(stdout);
}

static void surprise(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

static void surprise(const char *format, ...)
{
    va_list arguments;

    putchar('\n');
    fflush(stdout);
    fprintf(stderr, "client: step %s: ", current_step);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

static void print_text(const char *key, const char *text)
{
    const unsigned char *at;

    printf(" %s=\"", key);
    for (at = (const unsigned char *)text; *at != 0; at++) {
        if (*at == '"' || *at == '\\')
            printf("\\%c", *at);
        else if (*at < 0x20 || *at == 0x7f)
            printf("\\x%02x", *at);
        else
            putchar(*at);
    }
    putchar('"');
}

static void print_uuid(const guest_uuid uuid)
{
    int i;

    printf(" uuid=");
    for (i = 0; i < GUEST_UUID_BYTES; i++)
        printf("%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
               (unsigned char)uuid[i]);
}

/* ---- expectations ---- */

static void expect_status(CLIENT *client, enum clnt_stat got, enum clnt_stat wanted)
{
    if (got != wanted)
        surprise("the call ended with status %d, expected %d%s", got, wanted,
                 clnt_sperror(client, ""));
}

/* `code` is the discriminant of a reply: 0 for a result, 1 for a failure. */
static void expect_result(int code, const failure *error)
{
    if (code != 0)
        surprise("failure %d: %s", error->code, error->message);
}

static void expect_failure(int code, const failure *error, int wanted)
{
    if (code != 1)
        surprise("a result, where failure %d was expected", wanted);
    if (error->code != wanted)
        surprise("failure %d (%s), expected %d", error->code, error->message, wanted);
    printf(" code=%d", error->code);
    print_text("message", error->message);
}

/* Calls a generated stub and expects a result. `reply` must be a zeroed variable. */
#define CALL(stub, argument, reply, union_name)                              \
    do {                                                                     \
        memset(&(reply), 0, sizeof(reply));                                  \
        expect_status(client, stub((argument), &(reply), client), RPC_SUCCESS); \
        expect_result((reply).code, &(reply).union_name.error);              \
    } while (0)

/* ---- steps both servers know ---- */

static void step_null(CLIENT *client, const char *name)
{
    struct timeval limit = {SECONDS_A_CALL, 0};

    begin(name);
    expect_status(client,
                  clnt_call(client, NULLPROC, (xdrproc_t)xdr_void, NULL,
                            (xdrproc_t)xdr_void, NULL, limit),
                  RPC_SUCCESS);
    end();
}

static void step_get_version(CLIENT *client)
{
    get_version_reply reply;

    begin("get_version");
    CALL(get_version_1, NULL, reply, get_version_reply_u);
    printf(" version=%u", reply.get_version_reply_u.value.number);
    end();
}

static void step_negotiate(CLIENT *client)
{
    negotiate_args arguments = {1, 0};
    negotiate_reply reply;
    negotiate_result *value = &reply.negotiate_reply_u.value;
    u_int i;

    begin("negotiate");
    CALL(negotiate_1, &arguments, reply, negotiate_reply_u);
    printf(" major=%u minor=%u active=", value->major, value->minor);
    for (i = 0; i < value->active.active_len; i++)
        printf("%s%u", i == 0 ? "" : ",", value->active.active_val[i]);
    if (value->major != 1 || value->minor != 0)
        surprise("negotiated %u.%u, expected 1.0", value->major, value->minor);
    end();
    xdr_free((xdrproc_t)xdr_negotiate_reply, (char *)&reply);
}

/* Lists the active domains; `wanted`, unless it is 0, must be among them. */
static void step_list_domains(CLIENT *client, int wanted)
{
    list_domains_reply reply;
    list_domains_result *value = &reply.list_domains_reply_u.value;
    int seen = wanted == 0;
    u_int i;

    begin("list_domains");
    CALL(list_domains_1, NULL, reply, list_domains_reply_u);
    printf(" count=%u ids=", value->ids.ids_len);
    for (i = 0; i < value->ids.ids_len; i++) {
        printf("%s%d", i == 0 ? "" : ",", value->ids.ids_val[i]);
        seen |= value->ids.ids_val[i] == wanted;
    }
    if (!seen)
        surprise("id %d is not in the list", wanted);
    end();
    xdr_free((xdrproc_t)xdr_list_domains_reply, (char *)&reply);
}

static int step_lookup_by_name(CLIENT *client, const char *step, const char *name,
                               guest_uuid uuid)
{
    domain_lookup_by_name_args arguments = {(char *)name};
    domain_lookup_by_name_reply reply;
    domain_lookup_by_name_result *value = &reply.domain_lookup_by_name_reply_u.value;

    begin(step);
    CALL(domain_lookup_by_name_1, &arguments, reply, domain_lookup_by_name_reply_u);
    printf(" id=%d", value->id);
    print_uuid(value->uuid);
    end();
    memcpy(uuid, value->uuid, GUEST_UUID_BYTES);
    return value->id;
}

static void step_lookup_missing(CLIENT *client, const char *step, const char *name)
{
    domain_lookup_by_name_args arguments = {(char *)name};
    domain_lookup_by_name_reply reply;

    memset(&reply, 0, sizeof(reply));
    begin(step);
    expect_status(client, domain_lookup_by_name_1(&arguments, &reply, client), RPC_SUCCESS);
    expect_failure(reply.code, &reply.domain_lookup_by_name_reply_u.error, NO_DOMAIN);
    end();
    xdr_free((xdrproc_t)xdr_domain_lookup_by_name_reply, (char *)&reply);
}

static void step_get_info(CLIENT *client, const char *step, const guest_uuid uuid,
                          unsigned int runstate)
{
    domain_get_info_args arguments;
    domain_get_info_reply reply;
    domain_get_info_result *value = &reply.domain_get_info_reply_u.value;

    memcpy(arguments.uuid, uuid, GUEST_UUID_BYTES);
    begin(step);
    CALL(domain_get_info_1, &arguments, reply, domain_get_info_reply_u);
    printf(" runstate=%u memory=%u maxmem=%u nr_virt_cpu=%u cpu_time=%llu", value->runstate,
           value->memory, value->maxmem, value->nr_virt_cpu, (unsigned long long)value->cpu_time);
    if (value->runstate != runstate)
        surprise("run state %u, expected %u", value->runstate, runstate);
    end();
}

/* Dumps a domain's XML, which must be at least `bytes` long and hold `needle`. */
static void step_dump_xml(CLIENT *client, const char *step, const guest_uuid uuid, size_t bytes,
                          const char *needle)
{
    domain_dump_xml_args arguments;
    domain_dump_xml_reply reply;
    const char *xml;

    memcpy(arguments.uuid, uuid, GUEST_UUID_BYTES);
    begin(step);
    CALL(domain_dump_xml_1, &arguments, reply, domain_dump_xml_reply_u);
    xml = reply.domain_dump_xml_reply_u.value.xml;
    printf(" bytes=%zu", strlen(xml));
    if (strlen(xml) < bytes)
        surprise("%zu bytes of XML, expected at least %zu", strlen(xml), bytes);
    if (strstr(xml, needle) == NULL)
        surprise("the XML does not hold \"%.40s\"", needle);
    end();
    xdr_free((xdrproc_t)xdr_domain_dump_xml_reply, (char *)&reply);
}

static void step_suspend(CLIENT *client, int id)
{
    domain_suspend_args arguments = {id};
    void_reply reply;

    begin("domain_suspend");
    CALL(domain_suspend_1, &arguments, reply, void_reply_u);
    printf(" id=%d", id);
    end();
}

static void step_resume(CLIENT *client, int id)
{
    domain_resume_args arguments = {id};
    void_reply reply;

    begin("domain_resume");
    CALL(domain_resume_1, &arguments, reply, void_reply_u);
    printf(" id=%d", id);
    end();
}

/* ---- steps that only the daemon knows ---- */

static void step_get_node_info(CLIENT *client)
{
    get_node_info_reply reply;
    get_node_info_result *value = &reply.get_node_info_reply_u.value;

    begin("get_node_info");
    CALL(get_node_info_1, NULL, reply, get_node_info_reply_u);
    print_text("model", value->model);
    printf(" memory=%u cpus=%u mhz=%u nodes=%u sockets=%u cores=%u threads=%u", value->memory,
           value->cpus, value->mhz, value->nodes, value->sockets, value->cores, value->threads);
    end();
    xdr_free((xdrproc_t)xdr_get_node_info_reply, (char *)&reply);
}

static int step_domain_create(CLIENT *client, const char *type, guest_uuid uuid)
{
    char xml[1024];
    domain_create_args arguments = {xml};
    domain_create_reply reply;
    domain_create_result *value = &reply.domain_create_reply_u.value;
    int id;

    snprintf(xml, sizeof(xml),
             "<domain type='%s'><name>%s</name><memory>65536</memory><vcpu>1</vcpu>"
             "<os><type>hvm</type></os></domain>",
             type, created_name);
    begin("domain_create");
    CALL(domain_create_1, &arguments, reply, domain_create_reply_u);
    printf(" id=%d", value->id);
    print_uuid(value->uuid);
    print_text("name", value->name);
    if (value->id < 1 || strcmp(value->name, created_name) != 0)
        surprise("the reply does not describe the domain created");
    end();
    memcpy(uuid, value->uuid, GUEST_UUID_BYTES);
    id = value->id;
    xdr_free((xdrproc_t)xdr_domain_create_reply, (char *)&reply);
    return id;
}

/* Defines a domain by XML of exactly LONG_XML_BYTES, most of it a description. */
static void step_domain_define(CLIENT *client, const char *type, guest_uuid uuid)
{
    static char xml[LONG_XML_BYTES + 1];
    static const char tail[] = "</description></domain>";
    domain_define_args arguments = {xml};
    domain_define_reply reply;
    domain_define_result *value = &reply.domain_define_reply_u.value;
    int head;

    head = snprintf(xml, sizeof(xml),
                    "<domain type='%s'><name>%s</name><memory>65536</memory><vcpu>1</vcpu>"
                    "<os><type>hvm</type></os><description>",
                    type, defined_name);
    memset(xml + head, 'x', LONG_XML_BYTES - (size_t)head - strlen(tail));
    strcpy(xml + LONG_XML_BYTES - strlen(tail), tail);

    begin("domain_define");
    printf(" sent=%zu", strlen(xml));
    CALL(domain_define_1, &arguments, reply, domain_define_reply_u);
    print_uuid(value->uuid);
    print_text("name", value->name);
    if (strcmp(value->name, defined_name) != 0)
        surprise("the reply does not describe the domain defined");
    end();
    memcpy(uuid, value->uuid, GUEST_UUID_BYTES);
    xdr_free((xdrproc_t)xdr_domain_define_reply, (char *)&reply);
}

static void step_list_defined_domains(CLIENT *client)
{
    list_defined_domains_reply reply;
    list_defined_domains_result *value = &reply.list_defined_domains_reply_u.value;
    int seen = 0;
    u_int i;

    begin("list_defined_domains");
    CALL(list_defined_domains_1, NULL, reply, list_defined_domains_reply_u);
    printf(" count=%u", value->names.names_len);
    for (i = 0; i < value->names.names_len; i++)
        seen |= strcmp(value->names.names_val[i], defined_name) == 0;
    if (!seen)
        surprise("%s is not in the list", defined_name);
    end();
    xdr_free((xdrproc_t)xdr_list_defined_domains_reply, (char *)&reply);
}

static void step_set_autostart(CLIENT *client, const guest_uuid uuid, bool_t autostart)
{
    domain_set_autostart_args arguments;
    void_reply reply;

    memcpy(arguments.uuid, uuid, GUEST_UUID_BYTES);
    arguments.autostart = autostart;
    begin("domain_set_autostart");
    CALL(domain_set_autostart_1, &arguments, reply, void_reply_u);
    printf(" autostart=%d", autostart);
    end();
}

static void step_get_autostart(CLIENT *client, const guest_uuid uuid, bool_t wanted)
{
    domain_get_autostart_args arguments;
    domain_get_autostart_reply reply;

    memcpy(arguments.uuid, uuid, GUEST_UUID_BYTES);
    begin("domain_get_autostart");
    CALL(domain_get_autostart_1, &arguments, reply, domain_get_autostart_reply_u);
    printf(" autostart=%d", reply.domain_get_autostart_reply_u.value.autostart);
    if (reply.domain_get_autostart_reply_u.value.autostart != wanted)
        surprise("expected autostart to be %d", wanted);
    end();
}

static void step_destroy(CLIENT *client, int id)
{
    domain_destroy_args arguments = {id};
    void_reply reply;

    begin("domain_destroy");
    CALL(domain_destroy_1, &arguments, reply, void_reply_u);
    printf(" id=%d", id);
    end();
}

static void step_undefine(CLIENT *client, const guest_uuid uuid)
{
    domain_undefine_args arguments;
    void_reply reply;

    memcpy(arguments.uuid, uuid, GUEST_UUID_BYTES);
    begin("domain_undefine");
    CALL(domain_undefine_1, &arguments, reply, void_reply_u);
    end();
}

/* ---- calls a server must refuse, on the same connection ---- */

static enum clnt_stat call_nothing(CLIENT *client, rpcproc_t procedure)
{
    struct timeval limit = {SECONDS_A_CALL, 0};

    return clnt_call(client, procedure, (xdrproc_t)xdr_void, NULL, (xdrproc_t)xdr_void, NULL,
                     limit);
}

static void step_unknown_procedure(CLIENT *client)
{
    begin("unknown_procedure");
    expect_status(client, call_nothing(client, UNKNOWN_PROCEDURE), RPC_PROCUNAVAIL);
    printf(" status=PROC_UNAVAIL");
    end();
}

static void step_wrong_version(CLIENT *client)
{
    rpcvers_t wrong = UNKNOWN_VERSION, right = GUEST_VERSION;
    struct rpc_err error;

    begin("wrong_version");
    clnt_control(client, CLSET_VERS, (char *)&wrong);
    expect_status(client, call_nothing(client, NULLPROC), RPC_PROGVERSMISMATCH);
    clnt_geterr(client, &error);
    printf(" status=PROG_MISMATCH low=%u high=%u", (unsigned)error.re_vers.low,
           (unsigned)error.re_vers.high);
    clnt_control(client, CLSET_VERS, (char *)&right);
    if (error.re_vers.low != GUEST_VERSION || error.re_vers.high != GUEST_VERSION)
        surprise("expected low and high to be %d", GUEST_VERSION);
    end();
}

static void step_wrong_program(CLIENT *client)
{
    rpcprog_t wrong = GUEST_PROGRAM + 100, right = GUEST_PROGRAM;

    begin("wrong_program");
    clnt_control(client, CLSET_PROG, (char *)&wrong);
    expect_status(client, call_nothing(client, NULLPROC), RPC_PROGUNAVAIL);
    clnt_control(client, CLSET_PROG, (char *)&right);
    printf(" status=PROG_UNAVAIL");
    end();
}

/* Like xdr_domain_lookup_by_name_args, but without the bound on the name. */
static bool_t xdr_long_name(XDR *xdrs, domain_lookup_by_name_args *arguments)
{
    return xdr_string(xdrs, &arguments->name, LONG_NAME_BYTES);
}

static void step_long_name(CLIENT *client)
{
    struct timeval limit = {SECONDS_A_CALL, 0};
    char name[LONG_NAME_BYTES + 1];
    domain_lookup_by_name_args arguments = {name};
    domain_lookup_by_name_reply reply;

    memset(name, 'n', LONG_NAME_BYTES);
    name[LONG_NAME_BYTES] = 0;
    memset(&reply, 0, sizeof(reply));
    begin("long_name");
    expect_status(client,
                  clnt_call(client, DOMAIN_LOOKUP_BY_NAME, (xdrproc_t)xdr_long_name,
                            (caddr_t)&arguments, (xdrproc_t)xdr_domain_lookup_by_name_reply,
                            (caddr_t)&reply, limit),
                  RPC_CANTDECODEARGS);
    printf(" status=GARBAGE_ARGS bytes=%d", LONG_NAME_BYTES);
    end();
}

static void step_auth_sys(CLIENT *client)
{
    gid_t groups[] = {5, 6, 7};
    get_version_reply reply;

    begin("auth_sys");
    auth_destroy(client->cl_auth);
    client->cl_auth = authunix_create("interop", 1000, 1001, 3, groups);
    if (client->cl_auth == NULL)
        surprise("no AUTH_SYS credential");
    CALL(get_version_1, NULL, reply, get_version_reply_u);
    printf(" version=%u", reply.get_version_reply_u.value.number);
    auth_destroy(client->cl_auth);
    client->cl_auth = authnone_create();
    end();
}

/* ---- connection and order ---- */

static CLIENT *connect_to(const char *host, const char *port, u_int fragment, int retry)
{
    struct timeval again = {retry / 1000, retry % 1000 * 1000};
    int kind = retry > 0 ? SOCK_DGRAM : SOCK_STREAM;
    struct addrinfo hints, *found;
    struct timeval limit = {SECONDS_A_CALL, 0};
    struct netbuf address;
    CLIENT *client;
    int fd, failed;

    memset(&hints, 0, sizeof(hints));
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = kind;
    failed = getaddrinfo(host, port, &hints, &found);
    if (failed != 0)
        surprise("%s:%s: %s", host, port, gai_strerror(failed));
    fd = socket(found->ai_family, kind, 0);
    if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen) != 0)
        surprise("cannot connect to %s:%s: %m", host, port);
    address.buf = found->ai_addr;
    address.len = address.maxlen = found->ai_addrlen;
    if (retry > 0)
        client = clnt_dg_create(fd, &address, GUEST_PROGRAM, GUEST_VERSION, DATAGRAM_BYTES,
                                DATAGRAM_BYTES);
    else
        client = clnt_vc_create(fd, &address, GUEST_PROGRAM, GUEST_VERSION, fragment, fragment);
    freeaddrinfo(found);
    if (client == NULL)
        surprise("%s", clnt_spcreateerror("no client"));
    clnt_control(client, CLSET_TIMEOUT, (char *)&limit);
    if (retry > 0)
        clnt_control(client, CLSET_RETRY_TIMEOUT, (char *)&again);
    clnt_control(client, CLSET_FD_CLOSE, NULL);
    return client;
}

static void run_basic(CLIENT *client, const char *name)
{
    guest_uuid uuid;
    int id;

    step_null(client, "null");
    step_get_version(client);
    step_negotiate(client);
    step_list_domains(client, 0);
    id = step_lookup_by_name(client, "domain_lookup_by_name", name, uuid);
    step_get_info(client, "domain_get_info", uuid, RUN_STATE_RUNNING);
    step_suspend(client, id);
    step_get_info(client, "domain_get_info_suspended", uuid, RUN_STATE_PAUSED);
    step_resume(client, id);
    step_get_info(client, "domain_get_info_resumed", uuid, RUN_STATE_RUNNING);
    step_dump_xml(client, "domain_dump_xml", uuid, 1, name);
    step_lookup_missing(client, "domain_lookup_missing", missing_name);
}

static void run_all(CLIENT *client, const char *type)
{
    guest_uuid created, defined, found;
    int id;

    step_null(client, "null");
    step_get_version(client);
    step_get_node_info(client);
    step_negotiate(client);
    id = step_domain_create(client, type, created);
    step_list_domains(client, id);
    if (step_lookup_by_name(client, "domain_lookup_by_name", created_name, found) != id
        || memcmp(found, created, GUEST_UUID_BYTES) != 0)
        surprise("found another domain than the one created");
    step_get_info(client, "domain_get_info", created, RUN_STATE_RUNNING);
    step_dump_xml(client, "domain_dump_xml", created, 1, created_name);
    step_lookup_missing(client, "domain_lookup_missing", missing_name);
    step_domain_define(client, type, defined);
    step_list_defined_domains(client);
    step_dump_xml(client, "domain_dump_xml_long", defined, LONG_XML_BYTES / 2, "xxxxxxxxxxxxxxxx");
    step_set_autostart(client, defined, TRUE);
    step_get_autostart(client, defined, TRUE);
    step_set_autostart(client, defined, FALSE);
    step_get_autostart(client, defined, FALSE);
    step_suspend(client, id);
    step_get_info(client, "domain_get_info_suspended", created, RUN_STATE_PAUSED);
    step_resume(client, id);
    step_get_info(client, "domain_get_info_resumed", created, RUN_STATE_RUNNING);
    step_destroy(client, id);
    step_lookup_missing(client, "domain_lookup_destroyed", created_name);
    step_undefine(client, defined);
}

static void run_refusals(CLIENT *client)
{
    step_unknown_procedure(client);
    step_wrong_version(client);
    step_wrong_program(client);
    step_long_name(client);
    step_null(client, "null_after_refusals");
    step_auth_sys(client);
}

int main(int argc, char **argv)
{
    const char *type = "qemu", *name = "alpha";
    u_int fragment = 0;
    int basic = 0, retry = 0, i;
    CLIENT *client;

    for (i = 1; i < argc && strncmp(argv[i], "--", 2) == 0; i++) {
        if (strcmp(argv[i], "--basic") == 0)
            basic = 1;
        else if (strcmp(argv[i], "--type") == 0 && i + 1 < argc)
            type = argv[++i];
        else if (strcmp(argv[i], "--name") == 0 && i + 1 < argc)
            name = argv[++i];
        else if (strcmp(argv[i], "--fragment") == 0 && i + 1 < argc)
            fragment = (u_int)strtoul(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--udp") == 0 && i + 1 < argc)
            retry = atoi(argv[++i]);
        else
            break;
    }
    if (argc - i != 2) {
        fprintf(stderr, "usage: client [--basic] [--type TYPE] [--name NAME]"
                        " [--fragment BYTES | --udp MS] HOST PORT\n");
        return 2;
    }
    alarm(SECONDS_IN_ALL);
    client = connect_to(argv[i], argv[i + 1], fragment, retry);
    if (basic)
        run_basic(client, name);
    else
        run_all(client, type);
    run_refusals(client);
    clnt_destroy(client);
    printf("step=done steps=%d\n", steps);
    return 0;
}
