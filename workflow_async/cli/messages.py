"""Says what is wrong in the words of the command line: its options, and no Python. Pure.

The sentence comes first, and the request follows in brackets.
"""

import re
from collections.abc import Sequence
from http import HTTPStatus

from workflow_async.errors import (
    AlreadyFinished,
    BadRequest,
    CallError,
    Conflict,
    DeadlineExceeded,
    Forbidden,
    ForeignResponse,
    InvalidArgument,
    ListingIncomplete,
    ListingNotSupported,
    NotFound,
    RateLimited,
    ServerError,
    StartOutcomeUnknown,
    StatusError,
    TransportError,
    Unauthorized,
    UnexpectedContent,
)

OPTIONS = {
    "server": "--url",
    "base_url": "--url",
    "password": "--password-file",
    "credentials_path": "--credentials",
    "workflow_id": "ID",
    "event_id": "--event",
    "definition_id": "--definition",
    "event_creator": "--creator",
    "text_filter": "--text",
    "started_from": "--since",
    "started_to": "--until",
}
"""The option for an argument of the library that has another name."""
SAME_NAME = frozenset(
    {
        *("url", "username", "credentials", "ca_file", "client_cert", "proxy", "limit", "state", "creator", "sort"),
        *("type", "context", "consistency", "max_running", "low", "settle", "on_conflict", "timeout", "tag", "status"),
        *("category", "subcategory", "name"),
    }
)
"""The arguments of the library whose options have the same name."""
PHRASES: Sequence[tuple[re.Pattern[str], str]] = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r"(or )?pass allow_insecure_http=True", r"\1give --allow-insecure-http"),
        (r" See WorkflowFilters", " See --help"),
        (r"for another kind of proxy give http= an AsyncClient that uses it", "no other kind of proxy is supported"),
        (r'tls=TLS\(ca_file="ca\.pem"\) with that of your organisation, or tls=TLS\(system_store=True\)', "--ca-file"),
        (r"tls=TLS\(client_cert=\(certificate, key\)\)", "--client-cert"),
        (
            r'; give its user name and password: proxy="http://user:password@host:port"',
            "; set HTTPS_PROXY, --proxy env",
        ),
        (r"the password in proxy=", "the password in HTTPS_PROXY"),
        (r"(give|use) (url|server)=", r"\1 --url"),
        (r"(give|use) username=", r"\1 --username"),
        (r"(give|use) password=", r"\1 --password-file"),
        (r"(give|use) tenant=", r"\1 a credentials file"),
        (r"which end up in logs: use auth=", "which end up in logs: give --username and --password-file"),
        (
            r"check the path of the base URL, or wait if the page is about maintenance",
            "is the URL right, and the path in it? If so, try again later: it is a portal, or about maintenance",
        ),
        (r"check the path of the base URL", "is the path in --url right?"),
    )
)
"""What the library says to programmers, and what the command line says in its place."""
OUTCOMES = {
    "ConnectFailed": "the server cannot be reached",
    "ForeignResponse": "another program answers at this URL",
    "RateLimited": "too many requests",
    "ServerError": "the server fails",
}
"""What the last attempt ended with, by the name of its error, if no time was left for another one."""
NOT_TRIED_AGAIN = re.compile(r"(; )?these credentials are not tried again.*", re.DOTALL)
CLASS_NAME = re.compile(r"^(\w+(Error|Exception|Timeout): )+")
REFUSED = re.compile(r"\[Errno \d+\] Connect call failed|Connection refused|ECONNREFUSED", re.IGNORECASE)
UNKNOWN_HOST = re.compile(r"Name or service not known|name resolution|nodename nor servname|getaddrinfo", re.IGNORECASE)
STATUS_NAMES = frozenset(status.phrase for status in HTTPStatus)
STATUS_WORDS: Sequence[tuple[type[StatusError], str]] = (
    (BadRequest, "the server considers the request invalid"),
    (Forbidden, "this user may not do that"),
    (NotFound, "not found"),
    (Conflict, "the present state does not allow that"),
    (RateLimited, "too many requests"),
    (ServerError, "the server failed"),
)


def error_text(error: Exception) -> str:
    """Return what is wrong and what to do, and then the request in brackets if there was one."""
    if isinstance(error, CallError):
        return _with_request(call_sentence(error), error)
    if isinstance(error, StartOutcomeUnknown):
        hint = f" (its id would be {error.workflow_id})" if error.workflow_id is not None else ""
        sentence = f"the start may have happened, {call_sentence(error.cause)}: look for {error.look_for}{hint} first"
        return _with_request(sentence, error.cause)
    if isinstance(error, AlreadyFinished):
        workflow = error.workflow
        return f"workflow {workflow.id} is {workflow.state_text} already, so nothing was done to it"
    if isinstance(error, InvalidArgument):
        return f"{option_name(error.argument)}: {in_own_words(error.why)}"
    return in_own_words(str(error))


def sentence_of(error: Exception) -> str:
    """Return what is wrong, without the request."""
    return call_sentence(error) if isinstance(error, CallError) else error_text(error)


def option_name(argument: str) -> str:
    """Return the option for an argument of the library, or the argument itself if it has none."""
    return OPTIONS.get(argument, f"--{argument.replace('_', '-')}" if argument in SAME_NAME else argument)


def in_own_words(text: str) -> str:
    """Return a text of the library with the options of the command line in place of Python."""
    for pattern, words in PHRASES:
        text = pattern.sub(words, text)
    return text


def call_sentence(error: CallError) -> str:
    """Return what went wrong with a call, without its request."""
    if error.absent:
        return f"{error.absent}: is the URL right, and the path in it?"
    if isinstance(error, ListingNotSupported) and not isinstance(error, ListingIncomplete):
        return _no_list(error)
    if isinstance(error, Unauthorized):
        return _refusal(error)
    if isinstance(error, ForeignResponse) or not isinstance(error, StatusError):
        return _other_sentence(error)
    words = next((words for kind, words in STATUS_WORDS if isinstance(error, kind)), "an unexpected answer")
    return in_own_words(": ".join(filter(None, (words, _message(error), _needs(error)))))


def reason_text(reason: str) -> str:
    """Return why no complete response arrived, without the class names of Python."""
    if REFUSED.search(reason):
        return "connection refused"
    if UNKNOWN_HOST.search(reason):
        return "unknown host name"
    return in_own_words(CLASS_NAME.sub("", reason))


def _refusal(error: Unauthorized) -> str:
    user = f" for {error.username}" if error.username else ""
    return in_own_words(": ".join(filter(None, (f"user name or password refused{user}", _message(error)))))


def _message(error: StatusError) -> str:
    """Return the server's message. "" if it has none, or only the name of the status."""
    message = NOT_TRIED_AGAIN.sub("", error.message)
    return "" if message in STATUS_NAMES else message


def _no_list(error: ListingNotSupported) -> str:
    hint = f"leave out {option_name(error.argument)}" if error.argument else "watch ids instead of a filter"
    return f"this server (API version {error.version or 'unknown'}) has no list of workflows since 12.0: {hint}"


def _needs(error: StatusError) -> str:
    """Return what a user needs to whom a call is forbidden. "" if it is not known."""
    if not isinstance(error, Forbidden):
        return ""
    needs = " and ".join(need for need in (error.role, error.access) if need)
    return f"it needs {needs}" if needs else ""


def _other_sentence(error: CallError) -> str:
    if isinstance(error, DeadlineExceeded):
        last = OUTCOMES.get(error.history[-1].outcome, "") if error.history else ""
        return ": ".join(filter(None, (reason_text(error.reason), last)))
    if isinstance(error, TransportError):
        return reason_text(error.reason)
    if isinstance(error, ForeignResponse | UnexpectedContent) and error.hint:
        return in_own_words(error.hint)
    if isinstance(error, UnexpectedContent):
        return "a web page came instead of data: is the URL right, or is this a login page or a portal?"
    return in_own_words(error.what)


def _with_request(sentence: str, error: CallError) -> str:
    """Return a sentence with the request after it in brackets."""
    status = [str(error.status)] if isinstance(error, StatusError) else []
    tries = [f"{error.attempts} attempts in {error.elapsed:.1f} s"] if error.attempts > 1 else []
    request = [f"{error.method} {error.url}"] if error.method else []
    facts = [*status, *request, *([in_own_words(error.part)] if error.part else []), *tries]
    return f"{sentence} ({', '.join(facts)})" if facts else sentence
