/* A scripted stand-in for NVIDIA's libnvidia-ml.so.1, so that the real binding is what is tested.
 *
 * The file that FAKE_NVML_SCENARIO names is read anew at every call, so that a test can change what
 * a device does by replacing the file. One directive a line, the last that applies wins:
 *
 *   set FIELD VALUE          a value, in NVML's unit (the defaults are where it is asked for)
 *   error FUNCTION CODE      what the function returns; FUNCTION may be *, CODE 0 is success
 *   hang FUNCTION            the function never returns
 *   process PID BYTES        a process that computes on the device
 *   graphics PID BYTES       a process that draws on the device
 *   gpu UUID NAME            opens a GPU: what follows is about it alone
 *   mig UUID NAME            opens a MIG device of the GPU above it
 *   after N DIRECTIVE        DIRECTIVE, once the device (or the system) has been asked N times
 *
 * What stands before the first gpu is about the system and about every device.
 * Signatures and values: https://docs.nvidia.com/deploy/nvml-api/
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    SUCCESS = 0,
    INVALID_ARGUMENT = 2,
    NOT_SUPPORTED = 3,
    NOT_FOUND = 6,
    INSUFFICIENT_SIZE = 7,
    POWER_INSTANT = 186,
    SYSTEM = 0, /* sections: 0 is what stands before the first device, devices count from 1 */
    MOST_SECTIONS = 64,
    MOST_FUNCTIONS = 64,
};

typedef struct { unsigned gpu, memory; } utilization_t;
typedef struct { unsigned long long total, free, used; } memory_t;
typedef struct { unsigned version; unsigned long long total, reserved, free, used; } memory_v2_t;
typedef struct {
    unsigned id, scope;
    long long at, latency;
    unsigned type;
    int code;
    union { double real; unsigned number; unsigned long long wide; } value;
} field_value_t;
typedef struct { unsigned pid; unsigned long long bytes; unsigned gpu, compute; } process_t;

typedef struct { int section; long after; char verb[16], key[96], value[128]; } line_t;

static long asked[MOST_SECTIONS];
static struct { char name[64]; unsigned calls; } counted[MOST_FUNCTIONS];

static int next(FILE *file, line_t *line)
{
    char text[256];
    while (fgets(text, sizeof text, file)) {
        int skip = 0;
        line->after = 0;
        sscanf(text, "after %ld %n", &line->after, &skip);
        line->key[0] = line->value[0] = 0;
        if (sscanf(text + skip, "%15s %95s %127[^\n]", line->verb, line->key, line->value) < 2)
            continue;
        if (!strcmp(line->verb, "gpu") || !strcmp(line->verb, "mig"))
            line->section++;
        return 1;
    }
    return 0;
}

static FILE *scenario(line_t *line)
{
    const char *path = getenv("FAKE_NVML_SCENARIO");
    FILE *file = path ? fopen(path, "r") : NULL;
    if (!file) {
        fprintf(stderr, "fake_nvml: cannot read FAKE_NVML_SCENARIO\n");
        abort();
    }
    line->section = SYSTEM;
    return file;
}

static int about(const line_t *line, int section)
{
    return (line->section == SYSTEM || line->section == section) && asked[section] > line->after;
}

static void text(int section, const char *field, const char *otherwise, char *found, size_t size)
{
    line_t line;
    FILE *file = scenario(&line);
    snprintf(found, size, "%s", otherwise);
    while (next(file, &line))
        if (about(&line, section) && !strcmp(line.verb, "set") && !strcmp(line.key, field))
            snprintf(found, size, "%s", line.value);
    fclose(file);
}

static unsigned long long number(int section, const char *field, unsigned long long otherwise)
{
    char found[128];
    text(section, field, "", found, sizeof found);
    return found[0] ? strtoull(found, NULL, 0) : otherwise;
}

/* Counts the call and says what it must return, unless it never does. */
static int answer(int section, const char *function)
{
    line_t line;
    FILE *file;
    int code = SUCCESS, i = 0;

    asked[section]++;
    while (counted[i].calls && strcmp(counted[i].name, function) && i < MOST_FUNCTIONS - 1)
        i++;
    snprintf(counted[i].name, sizeof counted[i].name, "%s", function);
    counted[i].calls++;
    file = scenario(&line);
    while (next(file, &line)) {
        if (!about(&line, section))
            continue;
        if (!strcmp(line.verb, "error") && (!strcmp(line.key, function) || !strcmp(line.key, "*")))
            code = atoi(line.value);
        if (!strcmp(line.verb, "hang") && !strcmp(line.key, function))
            for (;;)
                pause();
    }
    fclose(file);
    return code;
}

/* The section of the n-th `verb` after section `from`; SYSTEM where there is none. With `stop`,
 * no further than the next GPU. */
static int section_of(const char *verb, int from, unsigned n, int stop)
{
    line_t line;
    int found = SYSTEM;
    FILE *file = scenario(&line);
    while (!found && next(file, &line)) {
        if (line.section <= from || (strcmp(line.verb, "gpu") && strcmp(line.verb, "mig")))
            continue;
        if (stop && !strcmp(line.verb, "gpu"))
            break;
        if (!strcmp(line.verb, verb) && n-- == 0)
            found = line.section;
    }
    fclose(file);
    return found;
}

static void opening(int section, char *uuid, char *name, unsigned size)
{
    line_t line;
    FILE *file = scenario(&line);
    while (next(file, &line) && !(line.section == section))
        ;
    fclose(file);
    if (uuid)
        snprintf(uuid, size, "%s", line.key);
    if (name)
        snprintf(name, size, "%s", line.value);
}

static int device(void *handle) { return (int)(size_t)handle; }

#define ANSWER(section)                         \
    do {                                        \
        int code = answer(section, __func__);   \
        if (code != SUCCESS)                    \
            return code;                        \
    } while (0)

#define FIELD(function, type, field, otherwise)                \
    int function(void *handle, type *value)                    \
    {                                                          \
        ANSWER(device(handle));                                \
        *value = (type)number(device(handle), field, otherwise);\
        return SUCCESS;                                        \
    }

#define CHOSEN(function, zero, one, two, otherwise)                           \
    int function(void *handle, unsigned which, unsigned *value)               \
    {                                                                         \
        const char *fields[] = {zero, one, two};                              \
        ANSWER(device(handle));                                               \
        if (which > 2)                                                        \
            return INVALID_ARGUMENT;                                          \
        *value = (unsigned)number(device(handle), fields[which], otherwise);  \
        return SUCCESS;                                                       \
    }

unsigned fake_nvml_calls(const char *function)
{
    for (int i = 0; i < MOST_FUNCTIONS; i++)
        if (!strcmp(counted[i].name, function))
            return counted[i].calls;
    return 0;
}

int nvmlInitWithFlags(unsigned flags)
{
    (void)flags;
    return answer(SYSTEM, __func__);
}

int nvmlShutdown(void) { return answer(SYSTEM, __func__); }

const char *nvmlErrorString(int code)
{
    (void)code;
    return "an error of the fake library";
}

int nvmlSystemGetDriverVersion(char *version, unsigned size)
{
    ANSWER(SYSTEM);
    text(SYSTEM, "driver", "999.99", version, size);
    return SUCCESS;
}

int nvmlSystemGetNVMLVersion(char *version, unsigned size)
{
    ANSWER(SYSTEM);
    text(SYSTEM, "nvml", "12.999.99", version, size);
    return SUCCESS;
}

int nvmlSystemGetCudaDriverVersion_v2(int *version)
{
    ANSWER(SYSTEM);
    *version = (int)number(SYSTEM, "cuda", 12080);
    return SUCCESS;
}

int nvmlDeviceGetCount_v2(unsigned *count)
{
    ANSWER(SYSTEM);
    for (*count = 0; section_of("gpu", SYSTEM, *count, 0); ++*count)
        ;
    return SUCCESS;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle)
{
    int section = section_of("gpu", SYSTEM, index, 0);
    ANSWER(section);
    *handle = (void *)(size_t)section;
    return section ? SUCCESS : INVALID_ARGUMENT;
}

int nvmlDeviceGetHandleByUUID(const char *wanted, void **handle)
{
    char uuid[96];
    line_t line;
    int last = SYSTEM, section = SYSTEM;
    FILE *file = scenario(&line);
    while (next(file, &line))
        last = line.section;
    fclose(file);
    for (int each = 1; each <= last && !section; each++) {
        opening(each, uuid, NULL, sizeof uuid);
        section = strcmp(uuid, wanted) ? SYSTEM : each;
    }
    ANSWER(section);
    *handle = (void *)(size_t)section;
    return section ? SUCCESS : NOT_FOUND;
}

int nvmlDeviceGetUUID(void *handle, char *uuid, unsigned size)
{
    ANSWER(device(handle));
    opening(device(handle), uuid, NULL, size);
    return SUCCESS;
}

int nvmlDeviceGetName(void *handle, char *name, unsigned size)
{
    ANSWER(device(handle));
    opening(device(handle), NULL, name, size);
    return SUCCESS;
}

int nvmlDeviceGetUtilizationRates(void *handle, utilization_t *rates)
{
    ANSWER(device(handle));
    rates->gpu = (unsigned)number(device(handle), "utilization", 37);
    rates->memory = 5;
    return SUCCESS;
}

int nvmlDeviceGetMemoryInfo(void *handle, memory_t *memory)
{
    ANSWER(device(handle));
    memory->total = number(device(handle), "memory_total", 80ULL << 30);
    memory->used = number(device(handle), "memory_used", 2ULL << 30);
    memory->free = memory->total - memory->used;
    return SUCCESS;
}

FIELD(nvmlDeviceGetPowerUsage, unsigned, "power_mw", 350000)
FIELD(nvmlDeviceGetEnforcedPowerLimit, unsigned, "power_limit_mw", 700000)
FIELD(nvmlDeviceGetPowerManagementDefaultLimit, unsigned, "default_limit_mw", 700000)
FIELD(nvmlDeviceGetPersistenceMode, unsigned, "persistence", 1)
FIELD(nvmlDeviceGetComputeMode, unsigned, "compute_mode", 0)
FIELD(nvmlDeviceGetTotalEnergyConsumption, unsigned long long, "energy_mj", 5000000)
FIELD(nvmlDeviceGetCurrentClocksThrottleReasons, unsigned long long, "throttle_reasons", 4)
FIELD(nvmlDeviceGetMaxMigDeviceCount, unsigned, "mig_devices_at_most", 0)
CHOSEN(nvmlDeviceGetTemperature, "temperature_c", "", "", 51)
CHOSEN(nvmlDeviceGetClockInfo, "graphics_clock_mhz", "sm_clock_mhz", "memory_clock_mhz", 1980)
CHOSEN(nvmlDeviceGetMaxClockInfo, "", "max_sm_clock_mhz", "", 1980)
CHOSEN(nvmlDeviceGetPcieThroughput, "pcie_tx_kb", "pcie_rx_kb", "", 1000)

int nvmlDeviceGetMigMode(void *handle, unsigned *current, unsigned *pending)
{
    ANSWER(device(handle));
    *current = *pending = (unsigned)number(device(handle), "mig_mode", 2);
    return *current == 2 ? NOT_SUPPORTED : SUCCESS;
}

int nvmlDeviceGetMigDeviceHandleByIndex(void *handle, unsigned index, void **found)
{
    int section = section_of("mig", device(handle), index, 1);
    ANSWER(device(handle));
    *found = (void *)(size_t)section;
    return section ? SUCCESS : NOT_FOUND;
}

static int running(int section, const char *verb, unsigned *count, process_t *processes)
{
    unsigned room = *count;
    line_t line;
    FILE *file = scenario(&line);

    *count = 0;
    while (next(file, &line)) {
        if (!about(&line, section) || strcmp(line.verb, verb))
            continue;
        if (processes && *count < room) {
            processes[*count].pid = (unsigned)strtoul(line.key, NULL, 0);
            processes[*count].bytes = strtoull(line.value, NULL, 0);
        }
        ++*count;
    }
    fclose(file);
    return *count > room ? INSUFFICIENT_SIZE : SUCCESS;
}

int nvmlDeviceGetComputeRunningProcesses_v3(void *handle, unsigned *count, process_t *processes)
{
    ANSWER(device(handle));
    return running(device(handle), "process", count, processes);
}

int nvmlDeviceGetGraphicsRunningProcesses_v3(void *handle, unsigned *count, process_t *processes)
{
    ANSWER(device(handle));
    return running(device(handle), "graphics", count, processes);
}

/* Only the power of this instant is known, and only where the scenario sets it. */
int nvmlDeviceGetFieldValues(void *handle, int count, field_value_t *values)
{
    ANSWER(device(handle));
    for (int i = 0; i < count; i++) {
        unsigned long long power = number(device(handle), "power_instant_mw", 0);
        values[i].code = values[i].id == POWER_INSTANT && power ? SUCCESS : NOT_SUPPORTED;
        values[i].code = (int)number(device(handle), "power_instant_code", values[i].code);
        values[i].value.number = (unsigned)power;
    }
    return SUCCESS;
}

int nvmlDeviceGetMemoryInfo_v2(void *handle, memory_v2_t *memory)
{
    ANSWER(device(handle));
    memory->total = number(device(handle), "memory_total", 80ULL << 30);
    memory->reserved = number(device(handle), "memory_reserved", 512ULL << 20);
    memory->used = number(device(handle), "memory_used", 2ULL << 30) - memory->reserved;
    memory->free = memory->total - memory->used - memory->reserved;
    return SUCCESS;
}

int nvmlDeviceGetCudaComputeCapability(void *handle, int *major, int *minor)
{
    ANSWER(device(handle));
    *major = (int)number(device(handle), "capability", 90) / 10;
    *minor = (int)number(device(handle), "capability", 90) % 10;
    return SUCCESS;
}

int nvmlDeviceGetEccMode(void *handle, unsigned *current, unsigned *pending)
{
    ANSWER(device(handle));
    *current = *pending = (unsigned)number(device(handle), "ecc", 1);
    return SUCCESS;
}

int nvmlDeviceGetClock(void *handle, unsigned type, unsigned which, unsigned *clock)
{
    (void)type;
    ANSWER(device(handle));
    if (which != 1 && which != 2)
        return INVALID_ARGUMENT;
    *clock = (unsigned)number(
        device(handle), which == 1 ? "application_clock_mhz" : "default_clock_mhz", 0);
    return *clock ? SUCCESS : NOT_SUPPORTED;
}
