#include <string.h>

#include "fuzz.h"
#include "profile/config.h"

static void check_destinations(const struct config_destination *list, size_t count)
{
    FUZZ_CHECK(count >= 1 && count <= CONFIG_DESTINATIONS_MAX);
    for (size_t i = 0; i < count; i++) {
        FUZZ_CHECK(strncasecmp(list[i].url, "http", 4) == 0);
        FUZZ_CHECK(!list[i].password_file || list[i].password_file[0] == '/');
        FUZZ_CHECK(!list[i].ca_file || list[i].ca_file[0] == '/');
        FUZZ_CHECK(!(list[i].password_file && list[i].password_env));
        FUZZ_CHECK(list[i].live_max >= 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct config *config = NULL;
    struct diag diag = {""};
    enum sealtape_status st = config_parse("/fuzz/c.xml", bytes, len, &config, &diag);

    FUZZ_CHECK((st == SEALTAPE_OK) == (config != NULL));
    if (config) {
        FUZZ_CHECK(config->instance[0] != '\0');
        FUZZ_CHECK(config->profiles.directory[0] == '/');
        FUZZ_CHECK(config->profiles.cache[0] == '/');
        FUZZ_CHECK(config->spool.directory[0] == '/');
        FUZZ_CHECK(config->trust.roots[0] == '/');
        check_destinations(config->storages, config->storages_count);
        check_destinations(config->processors, config->processors_count);
    } else {
        FUZZ_CHECK(strncmp(diag.text, "/fuzz/c.xml:", 12) == 0);
    }
    config_free(&config);
    return 0;
}
