#include "delivery/resolver.h"

#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/thread.h"

struct question {
    struct question *next;
    struct resolver_answer answer;
};

struct resolver {
    struct resolver_options options;
    pthread_t threads[RESOLVER_THREADS_MAX];
    size_t threads_count;

    /* Guards everything below. */
    pthread_mutex_t lock;
    pthread_cond_t asked;
    struct question *first, **last; /* to be looked up */
    struct question *done;
    size_t waiting, idle;
    bool stopping;
};

enum sealtape_status resolver_system(
        void *context, const char *host, char ret_addresses[RESOLVER_TEXT_SIZE], struct diag *diag)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct addrinfo *list = NULL;
    size_t used = 0;
    int rc;

    (void)context;
    rc = getaddrinfo(host, NULL, &hints, &list);
    if (rc != 0)
        return diag_fail(diag, SEALTAPE_E_IO, "%s: no address: %s", host, gai_strerror(rc));
    ret_addresses[0] = '\0';
    for (const struct addrinfo *one = list; one; one = one->ai_next) {
        bool six = one->ai_family == AF_INET6;
        char text[NI_MAXHOST];

        if (getnameinfo(one->ai_addr, one->ai_addrlen, text, sizeof(text), NULL, 0, NI_NUMERICHOST)
                != 0)
            continue;
        if (used + strlen(text) + 4 > RESOLVER_TEXT_SIZE)
            break;
        used += (size_t)snprintf(ret_addresses + used, RESOLVER_TEXT_SIZE - used, "%s%s%s%s",
                used ? "," : "", six ? "[" : "", text, six ? "]" : "");
    }
    freeaddrinfo(list);
    if (used == 0)
        return diag_fail(diag, SEALTAPE_E_IO, "%s: no address that we can use", host);
    return SEALTAPE_OK;
}

static struct question *question_take(struct resolver *resolver)
{
    struct question *question;

    pthread_mutex_lock(&resolver->lock);
    resolver->idle++;
    while (!resolver->first && !resolver->stopping)
        pthread_cond_wait(&resolver->asked, &resolver->lock);
    resolver->idle--;
    question = resolver->stopping ? NULL : resolver->first;
    if (question) {
        resolver->first = question->next;
        if (!resolver->first)
            resolver->last = &resolver->first;
        resolver->waiting--;
    }
    pthread_mutex_unlock(&resolver->lock);
    return question;
}

static void *resolver_run(void *argument)
{
    struct resolver *resolver = argument;
    const struct resolver_options *options = &resolver->options;
    struct question *question;

    while ((question = question_take(resolver)) != NULL) {
        struct resolver_answer *answer = &question->answer;

        answer->status = options->lookup(
                options->lookup_context, answer->host, answer->addresses, &answer->diag);
        pthread_mutex_lock(&resolver->lock);
        question->next = resolver->done;
        resolver->done = question;
        pthread_mutex_unlock(&resolver->lock);
        options->wake(options->wake_context);
    }
    return NULL;
}

enum sealtape_status resolver_start(
        const struct resolver_options *options, struct resolver **ret_resolver)
{
    struct resolver *resolver = calloc(1, sizeof(*resolver));

    if (!resolver)
        return SEALTAPE_E_MEMORY;
    resolver->options = *options;
    resolver->last = &resolver->first;
    pthread_mutex_init(&resolver->lock, NULL);
    pthread_cond_init(&resolver->asked, NULL);
    *ret_resolver = resolver;
    return SEALTAPE_OK;
}

/* A thread more where all are busy, hanging perhaps. Called with the lock held. */
static bool thread_add(struct resolver *resolver)
{
    if (resolver->idle > resolver->waiting || resolver->threads_count == RESOLVER_THREADS_MAX)
        return true;
    if (thread_start(&resolver->threads[resolver->threads_count], resolver_run, resolver)
            == SEALTAPE_OK)
        resolver->threads_count++;
    return resolver->threads_count > 0;
}

enum sealtape_status resolver_ask(struct resolver *resolver, const char *host)
{
    struct question *question = calloc(1, sizeof(*question));
    bool taken;

    if (!question)
        return SEALTAPE_E_AGAIN;
    (void)snprintf(question->answer.host, sizeof(question->answer.host), "%s", host);
    pthread_mutex_lock(&resolver->lock);
    taken = resolver->waiting < RESOLVER_QUEUE_MAX && thread_add(resolver);
    if (taken) {
        *resolver->last = question;
        resolver->last = &question->next;
        resolver->waiting++;
        pthread_cond_signal(&resolver->asked);
    }
    pthread_mutex_unlock(&resolver->lock);
    if (!taken)
        free(question);
    return taken ? SEALTAPE_OK : SEALTAPE_E_AGAIN;
}

bool resolver_next(struct resolver *resolver, struct resolver_answer *ret_answer)
{
    struct question *question;

    pthread_mutex_lock(&resolver->lock);
    question = resolver->done;
    if (question)
        resolver->done = question->next;
    pthread_mutex_unlock(&resolver->lock);
    if (!question)
        return false;
    *ret_answer = question->answer;
    free(question);
    return true;
}

static void questions_free(struct question *question)
{
    while (question) {
        struct question *next = question->next;

        free(question);
        question = next;
    }
}

void resolver_stop(struct resolver **resolver)
{
    struct resolver *gone = *resolver;

    if (!gone)
        return;
    pthread_mutex_lock(&gone->lock);
    gone->stopping = true;
    pthread_cond_broadcast(&gone->asked);
    pthread_mutex_unlock(&gone->lock);
    for (size_t i = 0; i < gone->threads_count; i++)
        pthread_join(gone->threads[i], NULL);
    questions_free(gone->first);
    questions_free(gone->done);
    pthread_cond_destroy(&gone->asked);
    pthread_mutex_destroy(&gone->lock);
    free(gone);
    *resolver = NULL;
}
