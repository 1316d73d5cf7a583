/* A GPU driver library that plays a script: the symbols of libnvidia-ml.so.1 that carbon uses.
 *
 * The script is named by CARBON_NVML_SCRIPT and read when the library is initialised. Its lines
 * are described in script.py, which writes them. All waveforms are pieces of constant power, so
 * that energy is an integral in integers: mW x us = nJ, in 128 bits because 64 hold half a year.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { OK = 0, UNINITIALIZED = 1, INVALID = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, TOO_SMALL = 7,
       UNKNOWN = 999 };
enum { FIELD_ENERGY = 83, FIELD_AVERAGE = 185, FIELD_INSTANT = 186, FIELD_LIMIT = 190 };
enum { TYPE_UINT = 1, TYPE_ULONGLONG = 3 };
enum { DEVICES = 16, PIECES = 4096, RULES = 256, ROWS = 256, TEXT = 256 };

typedef __int128 Nanojoules;
typedef struct { int64_t span_us, power_mw; } Piece;
typedef struct { char call[64]; int64_t from_us, to_us; int has_value; uint64_t value; int code; } Rule;
typedef struct { char pid[64]; int64_t from_us, to_us; unsigned sm, memory, instance; uint64_t bytes; } Row;
typedef struct { unsigned id, slices; } Instance;
typedef struct { int64_t at_us; int is_on; } Switch;
typedef struct {
    char uuid[TEXT], name[TEXT];
    unsigned limit_mw, architecture;
    int scope, mig, usage_averages;
    int64_t counter_start_mj, update_us, window_us, period_us, util_us, samples_us;
    int has_gpm;
    Instance instances[8];
    int instance_count;
    Switch switches[16];
    int switch_count;
    Piece once[PIECES], cycle[PIECES];
    int once_count, cycle_count;
    int64_t cycle_us;
    Nanojoules cycle_nj;
    int64_t resets_us[64];
    int reset_count;
    Rule rules[RULES];
    int rule_count;
    Row rows[ROWS];
    int row_count;
} Device;

static Device devices[DEVICES];
static int device_count, users, init_error, empty_util_success;
static int64_t epoch_us, zero_us;
static char clock_file[TEXT], pids_file[TEXT], hang_file[TEXT], driver[TEXT], loaded[TEXT];

/* Time */

static int64_t clock_us(clockid_t id) {
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t now_us(void) { /* since the scenario's zero */
    static int64_t last;
    if (!clock_file[0])
        return epoch_us ? clock_us(CLOCK_REALTIME) - epoch_us : clock_us(CLOCK_MONOTONIC) - zero_us;
    FILE *file = fopen(clock_file, "r");
    double ms;
    if (file && fscanf(file, "%lf", &ms) == 1) last = (int64_t)(ms * 1000 + 0.5);
    if (file) fclose(file);
    return last;
}

static int64_t stamp_us(void) { return clock_file[0] ? epoch_us + now_us() : clock_us(CLOCK_REALTIME); }

/* Power and energy of the waveform */

static Nanojoules sum_nj(const Piece *pieces, int count, int64_t until_us) {
    Nanojoules nj = 0;
    for (int i = 0; i < count && until_us > 0; i++) {
        int64_t span = pieces[i].span_us < until_us ? pieces[i].span_us : until_us;
        nj += (Nanojoules)span * pieces[i].power_mw;
        until_us -= span;
    }
    return nj;
}

static int64_t once_us(const Device *d) {
    int64_t span = 0;
    for (int i = 0; i < d->once_count; i++) span += d->once[i].span_us;
    return span;
}

static Nanojoules true_nj(const Device *d, int64_t until_us) {
    Nanojoules nj = sum_nj(d->once, d->once_count, until_us);
    int64_t rest = until_us - once_us(d);
    if (rest <= 0 || !d->cycle_us) return nj;
    return nj + d->cycle_nj * (rest / d->cycle_us) + sum_nj(d->cycle, d->cycle_count, rest % d->cycle_us);
}

static unsigned mean_mw(const Device *d, int64_t from_us, int64_t to_us) {
    if (from_us < 0) from_us = 0;
    if (to_us <= from_us) to_us = from_us + 1;
    return (unsigned)((true_nj(d, to_us) - true_nj(d, from_us)) / (to_us - from_us));
}

static uint64_t counter_mj(const Device *d) {
    int64_t now = now_us(), seen = d->update_us ? now / d->update_us * d->update_us : now, reset = -1;
    for (int i = 0; i < d->reset_count; i++)
        if (d->resets_us[i] <= now && d->resets_us[i] > reset) reset = d->resets_us[i];
    if (reset < 0) return (uint64_t)(d->counter_start_mj + true_nj(d, seen) / 1000000);
    return seen <= reset ? 0 : (uint64_t)((true_nj(d, seen) - true_nj(d, reset)) / 1000000);
}

static unsigned instant_mw(const Device *d) { /* a sensor that sees a window of each period */
    int64_t now = now_us();
    if (!d->period_us) return mean_mw(d, now, now + 1);
    int64_t end = (now - d->window_us) / d->period_us * d->period_us + d->window_us;
    return mean_mw(d, end - d->window_us, end);
}

static unsigned average_mw(const Device *d) { return mean_mw(d, now_us() - 1000000, now_us()); }

/* Scripted failures */

static const Rule *rule_for(const Device *d, const char *call) {
    int64_t now = now_us();
    for (int i = 0; i < d->rule_count; i++) {
        const Rule *r = &d->rules[i];
        int named = !strcmp(r->call, call) || (!strcmp(r->call, "*") && strncmp(call, "field:", 6));
        if (named && now >= r->from_us && (r->to_us < 0 || now < r->to_us)) return r;
    }
    return NULL;
}

static int failing(const Device *d, const char *call) {
    const Rule *rule = rule_for(d, call);
    return rule && !rule->has_value ? rule->code : OK;
}

/* Answers a call with the scripted error, the scripted value, or the true one. */
#define ANSWER(d, call, target, truth) do {                                \
    if (!users) return UNINITIALIZED;                                      \
    const Rule *rule = rule_for(d, call);                                  \
    if (rule && !rule->has_value) return rule->code;                       \
    *(target) = rule ? rule->value : (truth);                              \
    return OK;                                                             \
} while (0)

/* The script */

static int parse_device_line(Device *d, const char *word, char *rest) {
    char call[64]; long long a, b, c = 0; unsigned sm, memory; unsigned long long value;
    if (!strcmp(word, "name")) { snprintf(d->name, TEXT, "%s", rest); return 1; }
    if (!strcmp(word, "rule_error") && sscanf(rest, "%63s %lld %lld %lld", call, &a, &b, &c) == 4) {
        Rule *r = &d->rules[d->rule_count++];
        *r = (Rule){ .from_us = a, .to_us = b, .code = (int)c };
        strcpy(r->call, call);
        return d->rule_count < RULES;
    }
    if (!strcmp(word, "rule_value") && sscanf(rest, "%63s %lld %lld %llu", call, &a, &b, &value) == 4) {
        Rule *r = &d->rules[d->rule_count++];
        *r = (Rule){ .from_us = a, .to_us = b, .has_value = 1, .value = value };
        strcpy(r->call, call);
        return d->rule_count < RULES;
    }
    unsigned instance;
    if (!strcmp(word, "process") && sscanf(rest, "%63s %lld %lld %u %u %llu %u", call, &a, &b, &sm,
                                           &memory, &value, &instance) == 7) {
        Row *row = &d->rows[d->row_count++];
        *row = (Row){ .from_us = a, .to_us = b, .sm = sm, .memory = memory, .bytes = value,
                      .instance = instance };
        strcpy(row->pid, call);
        return d->row_count < ROWS;
    }
    int numbers = sscanf(rest, "%lld %lld", &a, &b);
    if (numbers == 2 && !strcmp(word, "once")) {
        d->once[d->once_count++] = (Piece){ a, b };
        return d->once_count < PIECES;
    }
    if (numbers == 2 && !strcmp(word, "cycle")) {
        d->cycle[d->cycle_count++] = (Piece){ a, b };
        d->cycle_us += a;
        d->cycle_nj += a * b;
        return d->cycle_count < PIECES;
    }
    if (numbers == 2 && !strcmp(word, "instance") && d->instance_count < 8) {
        d->instances[d->instance_count++] = (Instance){ (unsigned)a, (unsigned)b };
        return 1;
    }
    if (numbers == 2 && !strcmp(word, "mig_switch") && d->switch_count < 16) {
        d->switches[d->switch_count++] = (Switch){ a, (int)b };
        return 1;
    }
    if (numbers == 2 && !strcmp(word, "sensor")) { d->window_us = a; d->period_us = b; return 1; }
    if (numbers != 1) return 0;
    if (!strcmp(word, "limit_mw")) d->limit_mw = (unsigned)a;
    else if (!strcmp(word, "architecture")) d->architecture = (unsigned)a;
    else if (!strcmp(word, "counter_start_mj")) d->counter_start_mj = a;
    else if (!strcmp(word, "update_us")) d->update_us = a;
    else if (!strcmp(word, "util_us")) d->util_us = a;
    else if (!strcmp(word, "samples_us")) d->samples_us = a;
    else if (!strcmp(word, "gpm")) d->has_gpm = (int)a;
    else if (!strcmp(word, "scope")) d->scope = (int)a;
    else if (!strcmp(word, "mig")) d->mig = (int)a;
    else if (!strcmp(word, "usage_averages")) d->usage_averages = (int)a;
    else if (!strcmp(word, "reset_us") && d->reset_count < 64) d->resets_us[d->reset_count++] = a;
    else return 0;
    return 1;
}

static int parse_line(const char *word, char *rest) {
    if (!strcmp(word, "device")) {
        if (device_count == DEVICES) return 0;
        Device *d = &devices[device_count++];
        memset(d, 0, sizeof *d);
        snprintf(d->uuid, TEXT, "%s", rest);
        return 1;
    }
    if (!strcmp(word, "epoch_ms")) { epoch_us = atoll(rest) * 1000; return 1; }
    if (!strcmp(word, "clock_file")) { snprintf(clock_file, TEXT, "%s", rest); return 1; }
    if (!strcmp(word, "pids_file")) { snprintf(pids_file, TEXT, "%s", rest); return 1; }
    if (!strcmp(word, "hang_file")) { snprintf(hang_file, TEXT, "%s", rest); return 1; }
    if (!strcmp(word, "driver")) { snprintf(driver, TEXT, "%s", rest); return 1; }
    if (!strcmp(word, "init_error")) { init_error = atoi(rest); return 1; }
    if (!strcmp(word, "empty_util_success")) { empty_util_success = atoi(rest); return 1; }
    return device_count ? parse_device_line(&devices[device_count - 1], word, rest) : 0;
}

static int load(const char *path) {
    FILE *file = path ? fopen(path, "r") : NULL;
    char line[1024];
    if (!file) { fprintf(stderr, "scripted nvml: no script at CARBON_NVML_SCRIPT\n"); return UNKNOWN; }
    device_count = init_error = empty_util_success = 0;
    epoch_us = clock_file[0] = pids_file[0] = hang_file[0] = 0;
    for (int number = 1; fgets(line, sizeof line, file); number++) {
        line[strcspn(line, "\n")] = 0;
        char *rest = strchr(line, ' ');
        if (!line[0] || line[0] == '#') continue;
        if (rest) *rest++ = 0;
        if (!rest || !parse_line(line, rest)) {
            fprintf(stderr, "scripted nvml: line %d of the script is not understood\n", number);
            fclose(file);
            return UNKNOWN;
        }
    }
    fclose(file);
    if (strcmp(loaded, path)) { /* the same script keeps its zero over shutdown and init */
        snprintf(loaded, TEXT, "%s", path);
        zero_us = clock_us(CLOCK_MONOTONIC);
    }
    return init_error;
}

/* The symbols */

int nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    int code = users ? OK : load(getenv("CARBON_NVML_SCRIPT"));
    if (code == OK) users++;
    return code;
}

int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }

int nvmlShutdown(void) {
    if (!users) return UNINITIALIZED;
    users--;
    return OK;
}

const char *nvmlErrorString(int code) { (void)code; return "scripted error"; }

int nvmlSystemGetDriverVersion(char *text, unsigned size) {
    if (!users) return UNINITIALIZED;
    snprintf(text, size, "%s", driver);
    return OK;
}

int nvmlDeviceGetCount_v2(unsigned *count) {
    if (!users) return UNINITIALIZED;
    *count = (unsigned)device_count;
    return OK;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, Device **handle) {
    if (!users) return UNINITIALIZED;
    if (index >= (unsigned)device_count) return INVALID;
    *handle = &devices[index];
    return failing(*handle, "nvmlDeviceGetHandleByIndex");
}

int nvmlDeviceGetHandleByUUID(const char *uuid, Device **handle) {
    if (!users) return UNINITIALIZED;
    for (int i = 0; i < device_count; i++)
        if (!strcmp(devices[i].uuid, uuid)) {
            *handle = &devices[i];
            return failing(*handle, "nvmlDeviceGetHandleByUUID");
        }
    return NOT_FOUND;
}

static int text_answer(const Device *d, const char *call, const char *text, char *target, unsigned size) {
    if (!users) return UNINITIALIZED;
    snprintf(target, size, "%s", text);
    return failing(d, call);
}

int nvmlDeviceGetUUID(Device *d, char *text, unsigned size) {
    return text_answer(d, "nvmlDeviceGetUUID", d->uuid, text, size);
}

int nvmlDeviceGetName(Device *d, char *text, unsigned size) {
    return text_answer(d, "nvmlDeviceGetName", d->name, text, size);
}

int nvmlDeviceGetIndex(Device *d, unsigned *index) {
    ANSWER(d, "nvmlDeviceGetIndex", index, (unsigned)(d - devices));
}

int nvmlDeviceGetEnforcedPowerLimit(Device *d, unsigned *limit_mw) {
    ANSWER(d, "nvmlDeviceGetEnforcedPowerLimit", limit_mw, d->limit_mw);
}

int nvmlDeviceGetPowerManagementLimit(Device *d, unsigned *limit_mw) {
    ANSWER(d, "nvmlDeviceGetPowerManagementLimit", limit_mw, d->limit_mw);
}

int nvmlDeviceGetPowerManagementLimitConstraints(Device *d, unsigned *least_mw, unsigned *most_mw) {
    *least_mw = 200000;
    ANSWER(d, "nvmlDeviceGetPowerManagementLimitConstraints", most_mw, 700000u);
}

int nvmlDeviceSetPowerManagementLimit(Device *d, unsigned limit_mw) {
    int code = failing(d, "nvmlDeviceSetPowerManagementLimit");
    if (code == OK) d->limit_mw = limit_mw;
    return code;
}

int nvmlDeviceGetArchitecture(Device *d, unsigned *architecture) {
    ANSWER(d, "nvmlDeviceGetArchitecture", architecture, d->architecture);
}

int nvmlDeviceGetTotalEnergyConsumption(Device *d, unsigned long long *energy_mj) {
    ANSWER(d, "nvmlDeviceGetTotalEnergyConsumption", energy_mj, counter_mj(d));
}

int nvmlDeviceGetPowerUsage(Device *d, unsigned *power_mw) {
    ANSWER(d, "nvmlDeviceGetPowerUsage", power_mw, d->usage_averages ? average_mw(d) : instant_mw(d));
}

/* What other tools ask, too. */

typedef struct { unsigned long long total, free, used; } Memory;

int nvmlDeviceGetMemoryInfo(Device *d, Memory *memory) {
    *memory = (Memory){ 80ull << 30, 40ull << 30, 40ull << 30 };
    return failing(d, "nvmlDeviceGetMemoryInfo");
}

int nvmlDeviceGetTemperature(Device *d, int sensor, unsigned *celsius) {
    (void)sensor;
    ANSWER(d, "nvmlDeviceGetTemperature", celsius, 50u);
}

int nvmlDeviceGetUtilizationRates(Device *d, unsigned *percents) {
    percents[0] = percents[1] = 50;
    return failing(d, "nvmlDeviceGetUtilizationRates");
}

int nvmlDeviceGetComputeMode(Device *d, int *mode) {
    ANSWER(d, "nvmlDeviceGetComputeMode", mode, 0);
}

int nvmlDeviceGetGraphicsRunningProcesses_v3(Device *d, unsigned *room, void *infos) {
    (void)infos;
    *room = 0;
    return failing(d, "nvmlDeviceGetGraphicsRunningProcesses");
}

/* MIG: on from the start, or switched while the script plays. */

static int mig_is_on(const Device *d) {
    int64_t now = now_us();
    int is_on = d->mig > 0;
    for (int i = 0; i < d->switch_count; i++)
        if (d->switches[i].at_us <= now) is_on = d->switches[i].is_on;
    return is_on;
}

int nvmlDeviceGetMigMode(Device *d, unsigned *current, unsigned *pending) {
    int code = failing(d, "nvmlDeviceGetMigMode");
    if (!users) return UNINITIALIZED;
    if (d->mig < 0) return NOT_SUPPORTED;
    *current = *pending = (unsigned)mig_is_on(d);
    return code;
}

int nvmlDeviceGetMaxMigDeviceCount(Device *d, unsigned *count) {
    ANSWER(d, "nvmlDeviceGetMaxMigDeviceCount", count, d->mig < 0 ? 0u : 7u);
}

int nvmlDeviceGetMigDeviceHandleByIndex(Device *d, unsigned index, Instance **handle) {
    int code = failing(d, "nvmlDeviceGetMigDeviceHandleByIndex");
    if (code) return code;
    if (!mig_is_on(d) || index >= (unsigned)d->instance_count) return NOT_FOUND;
    *handle = &d->instances[index];
    return OK;
}

int nvmlDeviceGetGpuInstanceId(Instance *instance, unsigned *id) {
    *id = instance->id;
    return OK;
}

typedef struct { unsigned multiprocessors, engines[5], gpu_slices, compute_slices; uint64_t memory_mb; } Attributes;

int nvmlDeviceGetAttributes_v2(Instance *instance, Attributes *attributes) {
    *attributes = (Attributes){ .multiprocessors = 16 * instance->slices, .gpu_slices = instance->slices,
                                .compute_slices = instance->slices, .memory_mb = 10240 };
    return OK;
}

/* GPM: two samples of an instance give the mean utilisation of its SMs in between. */

typedef struct { const Device *device; unsigned instance; int64_t at_us; } GpmSample;
typedef struct { unsigned id; int code; double value; const char *names[3]; } GpmMetric;
typedef struct { unsigned version, count; GpmSample *first, *second; GpmMetric metrics[]; } GpmMetrics;
enum { GPM_SM_UTIL = 2 };

int nvmlGpmSampleAlloc(GpmSample **sample) {
    *sample = calloc(1, sizeof **sample);
    return OK;
}

int nvmlGpmSampleFree(GpmSample *sample) {
    free(sample);
    return OK;
}

int nvmlGpmMigSampleGet(Device *d, unsigned instance, GpmSample *sample) {
    if (!users) return UNINITIALIZED;
    int code = failing(d, "nvmlGpmMigSampleGet");
    if (code) return code;
    if (!d->has_gpm || !mig_is_on(d)) return NOT_SUPPORTED;
    for (int i = 0; i < d->instance_count; i++)
        if (d->instances[i].id == instance) {
            *sample = (GpmSample){ d, instance, now_us() };
            return OK;
        }
    return INVALID;
}

static double sm_util(const GpmSample *from, const GpmSample *to) {
    const Device *d = to->device;
    double busy = 0, span = (double)(to->at_us - from->at_us);
    for (int i = 0; i < d->row_count; i++) {
        const Row *row = &d->rows[i];
        int64_t start = row->from_us > from->at_us ? row->from_us : from->at_us;
        int64_t end = row->to_us >= 0 && row->to_us < to->at_us ? row->to_us : to->at_us;
        if (row->instance == to->instance && end > start) busy += (double)(end - start) * row->sm;
    }
    return span > 0 ? busy / span : 0;
}

int nvmlGpmMetricsGet(GpmMetrics *metrics) {
    for (unsigned i = 0; i < metrics->count; i++) {
        GpmMetric *m = &metrics->metrics[i];
        m->code = m->id == GPM_SM_UTIL ? OK : NOT_SUPPORTED;
        m->value = sm_util(metrics->first, metrics->second);
    }
    return OK;
}

/* The driver's own ring of power readings: each is the mean since the one before. */

typedef struct { uint64_t stamp_us; union { uint32_t ui; uint64_t ull; } value; } PowerSample;
enum { SAMPLES_KEPT = 120 };

int nvmlDeviceGetSamples(Device *d, int kind, uint64_t since_us, int *type, unsigned *room,
                         PowerSample *samples) {
    if (!users) return UNINITIALIZED;
    int code = failing(d, "nvmlDeviceGetSamples");
    if (code) return code;
    if (kind != 0 || !d->samples_us) return NOT_SUPPORTED;
    int64_t now = now_us(), to_stamp = stamp_us() - now, last = now / d->samples_us;
    int64_t first = ((int64_t)since_us - to_stamp) / d->samples_us + 1;
    if ((int64_t)since_us < to_stamp) first = 1;
    if (first < 1) first = 1;
    if (first < last - SAMPLES_KEPT + 1) first = last - SAMPLES_KEPT + 1;
    unsigned given = *room, count = first > last ? 0 : (unsigned)(last - first + 1);
    *type = TYPE_UINT;
    *room = count;
    if (!count) return NOT_FOUND;
    if (!samples) return OK;
    if (given < count) return TOO_SMALL;
    for (unsigned i = 0; i < count; i++) {
        int64_t mark = (first + i) * d->samples_us;
        samples[i].stamp_us = (uint64_t)(mark + to_stamp);
        samples[i].value.ui = mean_mw(d, mark - d->samples_us, mark);
    }
    return OK;
}

typedef struct {
    uint32_t field, scope;
    int64_t timestamp_us, latency_us;
    uint32_t type, code;
    union { uint32_t ui; uint64_t ull; } value;
} FieldValue;

static void answer_field(const Device *d, FieldValue *v) {
    char call[32];
    snprintf(call, sizeof call, "field:%u", v->field);
    const Rule *rule = rule_for(d, call);
    v->timestamp_us = stamp_us();
    v->latency_us = 0;
    v->type = v->field == FIELD_ENERGY ? TYPE_ULONGLONG : TYPE_UINT;
    v->value.ull = 0;
    v->code = rule && !rule->has_value ? (uint32_t)rule->code : OK;
    if (v->code) return;
    int is_power = v->field == FIELD_INSTANT || v->field == FIELD_AVERAGE;
    if (is_power && (int)v->scope != d->scope) v->code = NOT_SUPPORTED;
    else if (rule) v->value.ull = rule->value;
    else if (v->field == FIELD_ENERGY) v->value.ull = counter_mj(d);
    else if (v->field == FIELD_INSTANT) v->value.ui = instant_mw(d);
    else if (v->field == FIELD_AVERAGE) v->value.ui = average_mw(d);
    else if (v->field == FIELD_LIMIT) v->value.ui = d->limit_mw;
    else v->code = NOT_SUPPORTED;
}

int nvmlDeviceGetFieldValues(Device *d, int count, FieldValue *values) {
    if (!users) return UNINITIALIZED;
    int code = failing(d, "nvmlDeviceGetFieldValues");
    while (hang_file[0] && !access(hang_file, F_OK)) usleep(2000);
    for (int i = 0; i < count && code == OK; i++) answer_field(d, &values[i]);
    return code;
}

/* Processes: `@label` stands for every pid that the side file lists under that label. */

static int pids_of(const char *pid, unsigned *pids, int room) {
    char label[64]; unsigned number; int count = 0;
    if (pid[0] != '@') { pids[0] = (unsigned)atoi(pid); return 1; }
    FILE *file = fopen(pids_file, "r");
    while (file && count < room && fscanf(file, "%63s %u", label, &number) == 2)
        if (!strcmp(label, pid + 1)) pids[count++] = number;
    if (file) fclose(file);
    return count;
}

static int is_active(const Row *row, int64_t at_us) {
    return at_us >= row->from_us && (row->to_us < 0 || at_us < row->to_us);
}

typedef struct { unsigned pid; uint64_t stamp_us; unsigned sm, memory, encoder, decoder; } UtilSample;

/* One entry for each process with work at each mark of the driver's period, at most 5 s back. */
static unsigned utilisation(const Device *d, int64_t since_us, UtilSample *samples, unsigned room) {
    int64_t now = now_us(), to_stamp = stamp_us() - now, oldest = now - 5000000;
    unsigned pids[64], count = 0;
    int64_t first = since_us - to_stamp > oldest ? since_us - to_stamp : oldest;
    if (first < 0) first = 0;
    for (int64_t mark = (first / d->util_us + 1) * d->util_us; mark <= now; mark += d->util_us)
        for (int i = 0; i < d->row_count; i++) {
            const Row *row = &d->rows[i];
            int found = is_active(row, mark) && row->sm ? pids_of(row->pid, pids, 64) : 0;
            for (int k = 0; k < found; k++, count++)
                if (samples && count < room)
                    samples[count] = (UtilSample){ pids[k], (uint64_t)(mark + to_stamp), row->sm,
                                                   row->memory, 0, 0 };
        }
    return count;
}

int nvmlDeviceGetProcessUtilization(Device *d, UtilSample *samples, unsigned *room, uint64_t since_us) {
    if (!users) return UNINITIALIZED;
    int code = failing(d, "nvmlDeviceGetProcessUtilization");
    if (code) return code;
    if (mig_is_on(d)) return NOT_SUPPORTED;
    unsigned count = utilisation(d, (int64_t)since_us, samples, *room);
    int fits = samples && count <= *room;
    *room = count;
    if (!count) return empty_util_success ? OK : NOT_FOUND;
    return fits ? OK : TOO_SMALL;
}

typedef struct { unsigned pid; uint64_t bytes; unsigned gpu_instance, compute_instance; } ProcessInfo;

int nvmlDeviceGetComputeRunningProcesses_v3(Device *d, unsigned *room, ProcessInfo *infos) {
    if (!users) return UNINITIALIZED;
    int code = failing(d, "nvmlDeviceGetComputeRunningProcesses");
    unsigned pids[64], count = 0, given = *room;
    int mig = mig_is_on(d);
    for (int i = 0; i < d->row_count && !code; i++) {
        int found = is_active(&d->rows[i], now_us()) ? pids_of(d->rows[i].pid, pids, 64) : 0;
        for (int k = 0; k < found; k++, count++)
            if (infos && count < given)
                infos[count] = (ProcessInfo){ pids[k], d->rows[i].bytes, mig ? d->rows[i].instance : ~0u,
                                              mig ? 0 : ~0u };
    }
    if (code) return code;
    *room = count;
    return count && (!infos || count > given) ? TOO_SMALL : OK;
}
