#include "serve/openapi.h"

#include <stdio.h>
#include <string.h>

#include "serve/route.h"

static void put(md_json_writer *w, const char *name, const char *text)
{
    md_json_put_name(w, name);
    md_json_put_str(w, text);
}

static void open_object(md_json_writer *w, const char *name)
{
    md_json_put_name(w, name);
    md_json_put_object(w);
}

/* {model} and {version} of a template. */
static void write_parameters(md_json_writer *w, const char *path)
{
    md_json_put_name(w, "parameters");
    md_json_put_array(w);
    for (const char *p = strchr(path, '{'); p; p = strchr(p, '{')) {
        p++;
        md_json_put_object(w);
        md_json_put_name(w, "name");
        md_json_put_strn(w, p, strcspn(p, "}"));
        put(w, "in", "path");
        md_json_put_name(w, "required");
        md_json_put_bool(w, true);
        open_object(w, "schema");
        put(w, "type", "string");
        md_json_put_end(w);
        md_json_put_end(w);
    }
    md_json_put_end(w);
}

/* {"application/json": {"schema": ...}, "image/png": {...}}. */
static void write_content(md_json_writer *w, const char *types,
                          const char *schema)
{
    md_slice list = md_slice_of(types);
    md_slice type;

    open_object(w, "content");
    while (md_slice_next_item(&list, &type)) {
        char name[64];

        (void)snprintf(name, sizeof(name), "%.*s", (int)type.size, type.data);
        open_object(w, name);
        md_json_put_name(w, "schema");
        if (schema && strcmp(name, "application/json") == 0) {
            md_json_put_raw(w, schema, strlen(schema));
        } else {
            md_json_put_object(w);
            put(w, "type", "string");
            md_json_put_end(w);
        }
        md_json_put_end(w);
    }
    md_json_put_end(w);
}

static void write_responses(md_json_writer *w, const md_route *r)
{
    open_object(w, "responses");
    open_object(w, "200");
    put(w, "description", "success");
    write_content(w, r->reply_type, r->reply_schema);
    md_json_put_end(w);
    open_object(w, "default");
    put(w, "description", "what went wrong");
    write_content(w, "application/json",
                  "{\"type\":\"object\",\"required\":[\"error\"],"
                  "\"properties\":{\"error\":{\"type\":\"string\"}}}");
    md_json_put_end(w);
    md_json_put_end(w);
}

static void write_operation(md_json_writer *w, size_t i, size_t path)
{
    const md_route *r = md_routes[i];
    char text[64];

    (void)snprintf(text, sizeof(text), "%s", r->method);
    for (char *p = text; *p; p++)
        *p = (char)(*p | 0x20); /* methods are capital letters */
    open_object(w, text);
    put(w, "summary", r->summary);
    (void)snprintf(text, sizeof(text), path ? "%s_%zu" : "%s", md_route_id(i),
                   path + 1);
    put(w, "operationId", text);
    md_json_put_name(w, "tags");
    md_json_put_array(w);
    md_json_put_str(w, r->tag);
    md_json_put_end(w);
    write_parameters(w, r->paths[path]);
    if (r->request_type) {
        open_object(w, "requestBody");
        md_json_put_name(w, "required");
        md_json_put_bool(w, true);
        write_content(w, r->request_type, r->request_schema);
        md_json_put_end(w);
    }
    write_responses(w, r);
    md_json_put_end(w);
}

/* The operations of all routes that have this path; nothing when an earlier
 * one has it, whose they are then. */
static void write_path(md_json_writer *w, const char *path, size_t first)
{
    bool open = false;

    for (size_t i = 0; i < MD_N_ROUTES; i++)
        for (size_t k = 0; k < MD_COUNT(md_routes[i]->paths); k++) {
            if (!md_routes[i]->paths[k] ||
                strcmp(md_routes[i]->paths[k], path) != 0)
                continue;
            if (i < first)
                return;
            if (!open)
                open_object(w, path);
            open = true;
            write_operation(w, i, k);
        }
    md_json_put_end(w);
}

void md_openapi_write(md_json_writer *w)
{
    md_json_put_object(w);
    put(w, "openapi", "3.1.0");
    open_object(w, "info");
    put(w, "title", "modeld");
    put(w, "version", MODELD_VERSION);
    md_json_put_end(w);
    open_object(w, "paths");
    for (size_t i = 0; i < MD_N_ROUTES; i++)
        for (size_t k = 0; k < MD_COUNT(md_routes[i]->paths); k++)
            if (md_routes[i]->paths[k])
                write_path(w, md_routes[i]->paths[k], i);
    md_json_put_end(w);
    md_json_put_end(w);
}
