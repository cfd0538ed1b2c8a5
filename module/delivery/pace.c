#include "delivery/pace.h"

const struct pace pace_default = {
        .http = {.connect_ms = 10000, .stall_ms = 30000, .answer_ms = 60000},
        .resolve_ms = 10000,
        .resolve_ttl_ms = 60000,
        .tick_ms = 300,
        .backoff_first_ms = 500,
        .backoff_max_ms = 60000,
        .slow_first_ms = 5000,
        .slow_max_ms = 300000,
        .breaker_failures = 5,
        .uploads_max = 16,
        .posts_max = 16,
        .summary_ms = 60000,
        .lookup = resolver_system,
};
