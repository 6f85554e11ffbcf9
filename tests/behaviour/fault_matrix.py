"""The fault matrix: what can go wrong, how a test causes it, and the expected result.

`by`: M scripted transport, S scripted TCP server, C chaos proxy, U real server, V virtual clock, H Hypothesis, K cancel
at every suspension point. `expected`: R retried if that is safe, N never retried, U the outcome of a start is unknown,
X a start was not executed.
"""

from attrs import frozen


@frozen
class Row:
    """One fault."""

    fault: str
    by: str
    expected: str


ROWS = {
    1: Row("connect refused", "S", "R; ConnectFailed; X"),
    2: Row("DNS failure (NXDOMAIN) / temporary (EAI_AGAIN)", "M", "R (NXDOMAIN too, with delays of at most 3.5 s); X"),
    3: Row("connect timeout (blackhole)", "M,S", "R; X"),
    4: Row(
        "TLS unknown CA, wrong host, expired, TLS1.0",
        "S+trustme",
        "certificates: N, TLSVerificationFailed; TLS 1.0: R, ConnectFailed; X; nothing sent",
    ),
    5: Row(
        "HTTPS to a plain port / HTTP to a TLS port",
        "S",
        "HTTPS to a plain port: R, ConnectFailed with its reason, X; HTTP to a TLS port: N, BadRequest, or R, U",
    ),
    6: Row("RST on accept", "S,C", "R; U (bytes may have been sent)"),
    7: Row("FIN before response on fresh connection", "S", "R; U"),
    8: Row(
        "FIN on reused idle connection (stale)",
        "S,U",
        "R once immediately, outside the retry budget; a start never uses a reused connection",
    ),
    9: Row("cut at every byte offset of the response (CL, chunked)", "S", "R; never wrong data; U"),
    10: Row("cut of close-delimited body", "S", "parse error -> R"),
    11: Row("RST while sending the request body", "C", "R; U"),
    12: Row("stall before headers", "S", "total deadline; R; U"),
    13: Row("slowloris headers / body", "S", "total deadline (not per read)"),
    14: Row("endless 1xx", "S", "total deadline, connection dropped"),
    15: Row("endless body without length", "S", "size limit -> ResponseTooLarge; N"),
    16: Row(
        "Content-Length too short / too long / two / CL+TE",
        "S",
        "error or desync guard; connection not reused after surplus bytes",
    ),
    17: Row("desync: extra response", "S", "ResponseMismatch; never delivered for the wrong workflow"),
    18: Row("truncated gzip", "S", "eof check -> R"),
    19: Row(
        "gzip bomb, nested gzip, br/zstd not requested",
        "S",
        "size limit; < 32 MiB above it; R, ContentEncodingError",
    ),
    20: Row("header bomb 200 KiB / 20 000 headers", "S", "R, ConnectionBroken; U"),
    21: Row("429 Retry-After seconds", "M,V", "waits >= value + jitter; the whole client slows down, not one workflow"),
    22: Row(
        "429 Retry-After date (server clock +-1 h)",
        "M,V",
        "delay computed from the response's Date, not the local clock",
    ),
    23: Row(
        "Retry-After: -1, 0, 1e9, inf, nan, '', '5, 10', Arabic digits, year 100000, date without zone, day 32",
        "M,H",
        "no ValueError, TypeError or OverflowError; above the limit -> RateLimited",
    ),
    24: Row("503 without / with Retry-After", "M", "R; U"),
    25: Row(
        "500 with HTML body, 500 with JSON message",
        "M",
        "R for GET; U for start; body kept, truncated to 2 KiB, decoded utf-8/replace",
    ),
    26: Row("502/504 from a proxy", "M", "R; U"),
    27: Row(
        "302 to /login.html; 302 to other host",
        "M,S",
        "Unauthorized at a login page, else UnexpectedRedirect; no request to the target; X",
    ),
    28: Row(
        "200 text/html login page",
        "M",
        "one login, one replay, one retry, one control request, then UnexpectedContent; U; never parsed as state",
    ),
    29: Row("200 captive portal / maintenance page with JSON content type", "M", "schema error, R"),
    30: Row(
        "401 once / always / 401 on start",
        "M",
        "one refresh + replay / Unauthorized after exactly 2 sends (Basic: 1) / replay allowed",
    ),
    31: Row(
        "403, 404, 405, 406 (API version), 409, 410, 415",
        "M",
        "N; typed; 405/404 or 200 with a non-array on list -> ListingNotSupported",
    ),
    32: Row("1000 concurrent 401", "M,U", "1 login; 1000 successes"),
    33: Row("login down, login slow, login 403", "M,V", "shared failure; no burst of logins; no account lockout"),
    34: Row("refresh token already used / outcome unknown", "M", "full login"),
    35: Row("token revoked while 1000 polls in flight", "U", "each workflow misses at most one interval"),
    36: Row("malformed JSON/XML, empty body, null, BOM, UTF-16, invalid UTF-8", "M,H", "DecodeError, R"),
    37: Row("JSON depth 100 000, int 10^7 digits, NaN, duplicate keys", "M", "DecodeError, no RecursionError, no hang"),
    38: Row("XML: 21 hostile documents", "subprocess", "DecodeError; no crash"),
    39: Row(
        "unknown state / operation state / enum case / null state",
        "M,H",
        "UNKNOWN with its text value is delivered, never terminal, never crashes the monitor",
    ),
    40: Row("missing required field / extra field", "M,H", "DecodeError with path / ignored and counted"),
    41: Row(
        'type flips: "true", "1603", 1603.0, list<->object, number as string',
        "M,H",
        "documented ones accepted (id int or digits, flags bool or their texts), others in extra; an id: DecodeError",
    ),
    42: Row(
        'dates: "", no fraction, 1 digit fraction, offset, year 9999, 1970', "H", "aware UTC, or None and kept in extra"
    ),
    43: Row("empty list, total 0, Count != items", "M", "ends; a wrong count is ignored"),
    44: Row("total too low / too high / growing", "M,H", "ends; nothing lost"),
    45: Row("page larger than requested, server limits the page size", "M,H", "accepted, nothing lost"),
    46: Row(
        "endless pages, the same page repeated, a page full of duplicates",
        "M",
        "stops after pages without new rows",
    ),
    47: Row("insert/delete/move during scan", "H", "0 rows lost, 0 rows returned twice"),
    48: Row("list lags behind (10 s)", "V", "reconcile waits; no false NoStartFound before the lag is over"),
    49: Row(
        "workflow deleted while watched",
        "M,V",
        "Vanished only after >= 3 consecutive 404s over >= 120 s; then exactly one event",
    ),
    50: Row("single spurious 404 (index rebuild, failover)", "M,V", "ignored"),
    51: Row(
        "server restart in the middle (refused 60 s, then 503, then old state)",
        "C,U,V",
        "no event lost or repeated; back-off resets after recovery",
    ),
    52: Row(
        "state goes backwards (failover to a stale replica: running after succeeded)",
        "M",
        "terminal already delivered stays; StateRegression diagnostic, not a second event",
    ),
    53: Row(
        "terminal state left again (API allows succeeded -> paused)",
        "M",
        "the watch has ended; documented",
    ),
    54: Row(
        "states shorter than the poll interval",
        "V",
        "not promised; with operations, all their transitions are rebuilt from one response",
    ),
    55: Row("response for another id", "M", "dropped, R"),
    56: Row(
        "wall clock +-1 day, DST, leap second; suspend for 1 h",
        "V, time-machine",
        "only monotonic time used; after a gap one check per workflow, spread evenly",
    ),
    57: Row(
        "cancel at every suspension point of every public call (native, scope; asyncio, trio)",
        "K",
        "no connection, task or lock is left; the next call works",
    ),
    58: Row("cancel while waiting for the limiter / for the token / in back-off", "K", "nothing sent"),
    59: Row("second cancel during clean-up; cancel + exception together", "K", "cleanup ends before its deadline"),
    60: Row("consumer stops iterating (break, exception, GC)", "U", "no connection held"),
    61: Row(
        "slow consumer of events",
        "V",
        "bounded queue, events merged per workflow (latest state and all transitions), the end never dropped",
    ),
    62: Row("callback raises / blocks", "M", "isolated per watcher; a blocked loop is detected"),
    63: Row("loop closed, client reused in another loop/thread", "U", "WrongEventLoop immediately"),
    64: Row("fork after creation", "U", "detected by pid, error"),
    65: Row(
        "aclose twice, during requests, from another task; async with body raises",
        "K",
        "in-flight calls get ClientClosed, idempotent",
    ),
    66: Row(
        "10 000 concurrent waiters on one client", "V,U", "<= 5 KiB each (measured 4 KiB per waiting task), fair order"
    ),
    67: Row("10 000 watchers of the same workflow", "V", "one check per interval"),
    68: Row("fd exhaustion (EMFILE), ENOBUFS", "M", "R; the connection limit stays below it"),
    69: Row("proxy: refuses, 407, closes tunnel", "S", "R / N 407"),
    70: Row("env: HTTP_PROXY, NETRC, SSL_CERT_FILE set to hostile values", "U", "ignored by default"),
    71: Row("id .., '', CRLF, unicode, 300 chars; filter with ,", "H", "rejected before any I/O"),
    72: Row("secret with newline / non-ASCII / 10 KiB", "H", "rejected, secret not in the message"),
    73: Row(
        "Digest: stale nonce, malformed challenge (7 kinds), algorithm unknown",
        "S",
        "renewed / Unauthorized, no KeyError",
    ),
    74: Row("cookie: foreign domain, 1000 cookies, session fixation between two users", "U", "separate jars; bounded"),
    75: Row("all 5000 checks fail for 10 min", "V", "requests <= 1.1 x scheduled checks (retry budget)"),
}
