/*
 * A C server of the guest protocol, made with rpcgen and libtirpc.
 *
 *   server [--log] [--fragment BYTES | --udp]
 *
 * Listens on a free TCP port of 127.0.0.1, or a UDP one, without rpcbind; the first line on
 * stdout is `port=NUMBER`. It ends, with status 0, on SIGTERM or when stdin
 * is at its end, and is killed after two minutes whatever happens.
 * With --log every call is a line on stdout.
 */
#include "guest.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    SECONDS_IN_ALL = 120,
    CONNECTIONS_MAX = 64,
    XML_BYTES = 60000,
    DATAGRAM_BYTES = 65507,
    VERSION_NUMBER = 42000001,
    NO_SUPPORT = 3,
    INVALID_DOMAIN = 7,
    INVALID_ARG = 8,
    NO_DOMAIN = 42
};

/* Made by rpcgen -m. */
void guest_program_1(struct svc_req *request, SVCXPRT *transport);
int guest_program_1_freeresult(SVCXPRT *transport, xdrproc_t xdr_result, caddr_t result);

struct domain {
    int id;
    const char *name;
    unsigned char uuid[GUEST_UUID_BYTES];
    run_state state;
};

static struct domain domains[] = {
    {1, "alpha", {0xa1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, RUN_STATE_RUNNING},
    {2, "beta", {0xb2, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, RUN_STATE_RUNNING},
    {7, "gamma", {0xc3, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, RUN_STATE_PAUSED},
};

enum { DOMAINS = sizeof(domains) / sizeof(domains[0]) };

static volatile sig_atomic_t stopped;
static int logging;

/* ---- memory: what a reply points to is freed after it was sent ---- */

static void *allocated(void *memory)
{
    if (memory == NULL) {
        perror("server");
        exit(1);
    }
    return memory;
}

static char *copy_of(const char *text)
{
    return allocated(strdup(text));
}

int guest_program_1_freeresult(SVCXPRT *transport, xdrproc_t xdr_result, caddr_t result)
{
    (void)transport;
    xdr_free(xdr_result, result);
    return 1;
}

/* ---- domains ---- */

static struct domain *by_id(int id)
{
    int i;

    for (i = 0; i < DOMAINS; i++)
        if (domains[i].id == id)
            return &domains[i];
    return NULL;
}

static struct domain *by_uuid(const guest_uuid uuid)
{
    int i;

    for (i = 0; i < DOMAINS; i++)
        if (memcmp(domains[i].uuid, uuid, GUEST_UUID_BYTES) == 0)
            return &domains[i];
    return NULL;
}

static struct domain *by_name(const char *name)
{
    int i;

    for (i = 0; i < DOMAINS; i++)
        if (strcmp(domains[i].name, name) == 0)
            return &domains[i];
    return NULL;
}

/* Fills a reply with a failure. */
#define FAIL(reply, union_name, failure_code, text)        \
    do {                                                   \
        (reply)->code = 1;                                 \
        (reply)->union_name.error.code = (failure_code);   \
        (reply)->union_name.error.message = copy_of(text); \
    } while (0)

/* ---- procedures with a meaning ---- */

bool_t get_version_1_svc(void *arguments, get_version_reply *reply, struct svc_req *request)
{
    (void)arguments, (void)request;
    memset(reply, 0, sizeof(*reply));
    reply->get_version_reply_u.value.number = VERSION_NUMBER;
    return TRUE;
}

bool_t list_domains_1_svc(void *arguments, list_domains_reply *reply, struct svc_req *request)
{
    list_domains_result *value = &reply->list_domains_reply_u.value;
    int i;

    (void)arguments, (void)request;
    memset(reply, 0, sizeof(*reply));
    value->ids.ids_len = DOMAINS;
    value->ids.ids_val = allocated(calloc(DOMAINS, sizeof(int)));
    for (i = 0; i < DOMAINS; i++)
        value->ids.ids_val[i] = domains[i].id;
    return TRUE;
}

bool_t num_domains_1_svc(void *arguments, num_domains_reply *reply, struct svc_req *request)
{
    (void)arguments, (void)request;
    memset(reply, 0, sizeof(*reply));
    reply->num_domains_reply_u.value.count = DOMAINS;
    return TRUE;
}

bool_t domain_lookup_by_name_1_svc(domain_lookup_by_name_args *arguments,
                                   domain_lookup_by_name_reply *reply, struct svc_req *request)
{
    struct domain *domain = by_name(arguments->name);
    char message[GUEST_NAME_MAX + 32];

    (void)request;
    memset(reply, 0, sizeof(*reply));
    if (domain == NULL) {
        snprintf(message, sizeof(message), "no domain named %s", arguments->name);
        FAIL(reply, domain_lookup_by_name_reply_u, NO_DOMAIN, message);
        return TRUE;
    }
    reply->domain_lookup_by_name_reply_u.value.id = domain->id;
    memcpy(reply->domain_lookup_by_name_reply_u.value.uuid, domain->uuid, GUEST_UUID_BYTES);
    return TRUE;
}

bool_t domain_lookup_by_id_1_svc(domain_lookup_by_id_args *arguments,
                                 domain_lookup_by_id_reply *reply, struct svc_req *request)
{
    struct domain *domain = by_id(arguments->id);

    (void)request;
    memset(reply, 0, sizeof(*reply));
    if (domain == NULL) {
        FAIL(reply, domain_lookup_by_id_reply_u, NO_DOMAIN, "no domain with this id");
        return TRUE;
    }
    reply->domain_lookup_by_id_reply_u.value.name = copy_of(domain->name);
    memcpy(reply->domain_lookup_by_id_reply_u.value.uuid, domain->uuid, GUEST_UUID_BYTES);
    return TRUE;
}

bool_t domain_lookup_by_uuid_1_svc(domain_lookup_by_uuid_args *arguments,
                                   domain_lookup_by_uuid_reply *reply, struct svc_req *request)
{
    struct domain *domain = by_uuid(arguments->uuid);

    (void)request;
    memset(reply, 0, sizeof(*reply));
    if (domain == NULL) {
        FAIL(reply, domain_lookup_by_uuid_reply_u, NO_DOMAIN, "no domain with this uuid");
        return TRUE;
    }
    reply->domain_lookup_by_uuid_reply_u.value.id = domain->id;
    reply->domain_lookup_by_uuid_reply_u.value.name = copy_of(domain->name);
    return TRUE;
}

static void change_state(int id, run_state state, void_reply *reply)
{
    struct domain *domain = by_id(id);

    memset(reply, 0, sizeof(*reply));
    if (domain == NULL)
        FAIL(reply, void_reply_u, INVALID_DOMAIN, "no active domain with this id");
    else
        domain->state = state;
}

bool_t domain_suspend_1_svc(domain_suspend_args *arguments, void_reply *reply,
                            struct svc_req *request)
{
    (void)request;
    change_state(arguments->id, RUN_STATE_PAUSED, reply);
    return TRUE;
}

bool_t domain_resume_1_svc(domain_resume_args *arguments, void_reply *reply,
                           struct svc_req *request)
{
    (void)request;
    change_state(arguments->id, RUN_STATE_RUNNING, reply);
    return TRUE;
}

bool_t domain_get_info_1_svc(domain_get_info_args *arguments, domain_get_info_reply *reply,
                             struct svc_req *request)
{
    struct domain *domain = by_uuid(arguments->uuid);
    domain_get_info_result *value = &reply->domain_get_info_reply_u.value;

    (void)request;
    memset(reply, 0, sizeof(*reply));
    if (domain == NULL) {
        FAIL(reply, domain_get_info_reply_u, NO_DOMAIN, "no domain with this uuid");
        return TRUE;
    }
    value->cpu_time = 0x0102030405060708ULL;
    value->runstate = domain->state;
    value->memory = 65536;
    value->maxmem = 131072;
    value->nr_virt_cpu = 2;
    return TRUE;
}

/* The XML is XML_BYTES long, so that a reply needs several fragments. */
bool_t domain_dump_xml_1_svc(domain_dump_xml_args *arguments, domain_dump_xml_reply *reply,
                             struct svc_req *request)
{
    static const char tail[] = "</description></domain>";
    struct domain *domain = by_uuid(arguments->uuid);
    char *xml;
    int head;

    (void)request;
    memset(reply, 0, sizeof(*reply));
    if (domain == NULL) {
        FAIL(reply, domain_dump_xml_reply_u, NO_DOMAIN, "no domain with this uuid");
        return TRUE;
    }
    xml = allocated(malloc(XML_BYTES + 1));
    head = snprintf(xml, XML_BYTES + 1,
                    "<domain type='test' id='%d'><name>%s</name><description>", domain->id,
                    domain->name);
    memset(xml + head, 'y', XML_BYTES - (size_t)head - strlen(tail));
    strcpy(xml + XML_BYTES - strlen(tail), tail);
    reply->domain_dump_xml_reply_u.value.xml = xml;
    return TRUE;
}

/* Minor version 0 only; the list of active procedures is what this file implements. */
bool_t negotiate_1_svc(negotiate_args *arguments, negotiate_reply *reply, struct svc_req *request)
{
    static const u_int active[] = {GET_VERSION,         LIST_DOMAINS,          NUM_DOMAINS,
                                   DOMAIN_LOOKUP_BY_ID, DOMAIN_LOOKUP_BY_UUID, DOMAIN_LOOKUP_BY_NAME,
                                   DOMAIN_SUSPEND,      DOMAIN_RESUME,         DOMAIN_GET_INFO,
                                   DOMAIN_DUMP_XML,     NEGOTIATE};
    negotiate_result *value = &reply->negotiate_reply_u.value;

    (void)request;
    memset(reply, 0, sizeof(*reply));
    if (arguments->major != GUEST_VERSION) {
        FAIL(reply, negotiate_reply_u, INVALID_ARG, "only version 1 is spoken here");
        return TRUE;
    }
    value->major = GUEST_VERSION;
    value->minor = 0;
    value->active.active_len = sizeof(active) / sizeof(active[0]);
    value->active.active_val = allocated(malloc(sizeof(active)));
    memcpy(value->active.active_val, active, sizeof(active));
    return TRUE;
}

/* ---- all others: known to the dispatcher, answered with a failure ---- */

#define UNSUPPORTED(procedure, arguments_type, reply_type)                             \
    bool_t procedure##_1_svc(arguments_type *arguments, reply_type *reply,             \
                             struct svc_req *request)                                  \
    {                                                                                  \
        (void)arguments, (void)request;                                                \
        memset(reply, 0, sizeof(*reply));                                              \
        FAIL(reply, reply_type##_u, NO_SUPPORT, #procedure " is not supported");       \
        return TRUE;                                                                   \
    }

UNSUPPORTED(get_node_info, void, get_node_info_reply)
UNSUPPORTED(domain_create, domain_create_args, domain_create_reply)
UNSUPPORTED(domain_destroy, domain_destroy_args, void_reply)
UNSUPPORTED(domain_save, domain_save_args, void_reply)
UNSUPPORTED(domain_restore, domain_restore_args, domain_restore_reply)
UNSUPPORTED(list_defined_domains, void, list_defined_domains_reply)
UNSUPPORTED(num_defined_domains, void, num_defined_domains_reply)
UNSUPPORTED(domain_start, domain_start_args, domain_start_reply)
UNSUPPORTED(domain_define, domain_define_args, domain_define_reply)
UNSUPPORTED(domain_undefine, domain_undefine_args, void_reply)
UNSUPPORTED(num_networks, void, num_networks_reply)
UNSUPPORTED(list_networks, void, list_networks_reply)
UNSUPPORTED(num_defined_networks, void, num_defined_networks_reply)
UNSUPPORTED(list_defined_networks, void, list_defined_networks_reply)
UNSUPPORTED(network_lookup_by_uuid, network_lookup_by_uuid_args, network_lookup_by_uuid_reply)
UNSUPPORTED(network_lookup_by_name, network_lookup_by_name_args, network_lookup_by_name_reply)
UNSUPPORTED(network_create, network_create_args, network_create_reply)
UNSUPPORTED(network_define, network_define_args, network_define_reply)
UNSUPPORTED(network_undefine, network_undefine_args, void_reply)
UNSUPPORTED(network_start, network_start_args, void_reply)
UNSUPPORTED(network_destroy, network_destroy_args, void_reply)
UNSUPPORTED(network_dump_xml, network_dump_xml_args, network_dump_xml_reply)
UNSUPPORTED(network_get_bridge_name, network_get_bridge_name_args, network_get_bridge_name_reply)
UNSUPPORTED(domain_get_autostart, domain_get_autostart_args, domain_get_autostart_reply)
UNSUPPORTED(domain_set_autostart, domain_set_autostart_args, void_reply)
UNSUPPORTED(network_get_autostart, network_get_autostart_args, network_get_autostart_reply)
UNSUPPORTED(network_set_autostart, network_set_autostart_args, void_reply)
UNSUPPORTED(get_capabilities, void, get_capabilities_reply)
UNSUPPORTED(open, open_args, void_reply)
UNSUPPORTED(domain_events, domain_events_args, void_reply)
UNSUPPORTED(domain_shutdown, domain_shutdown_args, void_reply)
UNSUPPORTED(domain_screenshot, domain_screenshot_args, domain_screenshot_reply)
UNSUPPORTED(stream_read, stream_read_args, stream_read_reply)
UNSUPPORTED(domain_get_job_info, domain_get_job_info_args, domain_get_job_info_reply)

/* ---- the listening socket and the loop ---- */

static void dispatch(struct svc_req *request, SVCXPRT *transport)
{
    if (logging) {
        printf("call procedure=%u flavor=%d", (unsigned)request->rq_proc,
               (int)request->rq_cred.oa_flavor);
        if (request->rq_cred.oa_flavor == AUTH_SYS) {
            struct authunix_parms *caller = (struct authunix_parms *)request->rq_clntcred;
            u_int i;

            printf(" machine=\"%s\" uid=%u gid=%u groups=", caller->aup_machname,
                   (unsigned)caller->aup_uid, (unsigned)caller->aup_gid);
            for (i = 0; i < caller->aup_len; i++)
                printf("%s%u", i == 0 ? "" : ",", (unsigned)caller->aup_gids[i]);
        }
        putchar('\n');
        fflush(stdout);
    }
    guest_program_1(request, transport);
}

static void stop(int signal)
{
    (void)signal;
    stopped = 1;
}

static int listening_socket(int kind, unsigned short *port)
{
    struct sockaddr_in address;
    socklen_t length = sizeof(address);
    int fd = socket(AF_INET, kind, 0);

    memset(&address, 0, sizeof(address));
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0
        || (kind == SOCK_STREAM && listen(fd, 16) != 0)
        || getsockname(fd, (struct sockaddr *)&address, &length) != 0) {
        perror("server: listening");
        exit(1);
    }
    *port = ntohs(address.sin_port);
    return fd;
}

/* libtirpc's own svc_run cannot watch stdin as well. */
static void serve(void)
{
    struct pollfd watched[CONNECTIONS_MAX + 1];
    char ignored[64];
    int count, ready;

    while (!stopped) {
        count = svc_max_pollfd;
        if (count > CONNECTIONS_MAX) {
            fprintf(stderr, "server: too many connections\n");
            exit(1);
        }
        memcpy(watched, svc_pollfd, (size_t)count * sizeof(watched[0]));
        watched[count].fd = STDIN_FILENO;
        watched[count].events = POLLIN;
        watched[count].revents = 0;
        ready = poll(watched, (nfds_t)count + 1, -1);
        if (ready < 0) {
            if (errno == EINTR)
                continue;
            perror("server: poll");
            exit(1);
        }
        if (watched[count].revents != 0) {
            if (read(STDIN_FILENO, ignored, sizeof(ignored)) <= 0)
                return;
            ready--;
        }
        svc_getreq_poll(watched, ready);
    }
}

int main(int argc, char **argv)
{
    struct sigaction action;
    unsigned short port;
    u_int fragment = 0;
    SVCXPRT *transport;
    int udp = 0, i;

    for (i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--log") == 0)
            logging = 1;
        else if (strcmp(argv[i], "--fragment") == 0 && i + 1 < argc)
            fragment = (u_int)strtoul(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--udp") == 0)
            udp = 1;
        else {
            fprintf(stderr, "usage: server [--log] [--fragment BYTES | --udp]\n");
            return 2;
        }
    }
    alarm(SECONDS_IN_ALL);
    memset(&action, 0, sizeof(action));
    action.sa_handler = stop;
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);

    if (udp)
        transport = svc_dg_create(listening_socket(SOCK_DGRAM, &port), DATAGRAM_BYTES, DATAGRAM_BYTES);
    else
        transport = svc_vc_create(listening_socket(SOCK_STREAM, &port), fragment, fragment);
    /* Protocol 0: do not tell rpcbind. */
    if (transport == NULL
        || !svc_register(transport, GUEST_PROGRAM, GUEST_VERSION, dispatch, 0)) {
        fprintf(stderr, "server: cannot register the program\n");
        return 1;
    }
    printf("port=%u\n", port);
    fflush(stdout);
    serve();
    return 0;
}
