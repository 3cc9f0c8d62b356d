/* Bodies of requests and replies, compressed. */
#include "net/http_request.h"

md_status md_http_request_coding(const md_http_request *req, md_coding *out,
                                 md_error *err)
{
    static const char name[] = "content-encoding";

    if (md_http_request_field_count(req, name) > 1)
        return md_fail(err, MD_MEDIA_TYPE,
                       "several content encodings given, one expected");
    return md_coding_parse(out, md_http_request_field(req, name), err);
}

md_status md_http_request_decode(md_http_request *req, size_t size_max,
                                 md_error *err)
{
    md_buf *plain = &req->grpc.plain;
    md_coding coding;
    md_slice body;

    MD_TRY(md_http_request_coding(req, &coding, err));
    if (coding == MD_CODING_IDENTITY || req->decoded)
        return MD_OK;
    body = md_http_request_body(req);
    if (body.size == 0)
        return MD_OK; /* of a GET, which some clients say this of too */
    if (size_max < plain->limit)
        plain->limit = size_max;
    MD_TRY(md_coding_decode(plain, coding, body, err));
    req->decoded = true;
    return MD_OK;
}

void md_http_reply_encode(md_http_request *req)
{
    const md_slice body = { (const char *)req->body.data, req->body.size };
    md_coding coding;
    md_buf coded;
    md_status s;

    if (req->fixed.data || body.size == 0 ||
        md_http_reply_field(req, "Vary", "Accept-Encoding", NULL) != MD_OK)
        return;
    coding = md_coding_choose(md_http_request_field(req, "accept-encoding"));
    if (coding == MD_CODING_IDENTITY)
        return;
    /* What does not become smaller is sent as it is. */
    md_buf_init(&coded, req->body.alloc, body.size - 1);
    s = md_coding_encode(&coded, coding, body, NULL);
    if (s == MD_OK)
        s = md_http_reply_field(req, "Content-Encoding", md_coding_name(coding),
                                NULL);
    if (s != MD_OK) {
        md_buf_release(&coded);
        return;
    }
    coded.limit = req->body.limit;
    md_buf_release(&req->body);
    req->body = coded;
}
