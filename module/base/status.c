#include "base/status.h"

const char *status_name(enum sealtape_status status)
{
    switch (status) {
    case SEALTAPE_OK:
        return "OK";
    case SEALTAPE_E_USAGE:
        return "E_USAGE";
    case SEALTAPE_E_VERSION:
        return "E_VERSION";
    case SEALTAPE_E_MEMORY:
        return "E_MEMORY";
    case SEALTAPE_E_CONFIG:
        return "E_CONFIG";
    case SEALTAPE_E_PROFILE:
        return "E_PROFILE";
    case SEALTAPE_E_CERTIFICATE:
        return "E_CERTIFICATE";
    case SEALTAPE_E_SPOOL:
        return "E_SPOOL";
    case SEALTAPE_E_LIMIT:
        return "E_LIMIT";
    case SEALTAPE_E_AGAIN:
        return "E_AGAIN";
    case SEALTAPE_E_STATE:
        return "E_STATE";
    case SEALTAPE_E_CLOSED:
        return "E_CLOSED";
    case SEALTAPE_E_IO:
        return "E_IO";
    }
    return "unknown status";
}
