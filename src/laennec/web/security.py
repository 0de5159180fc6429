"""Who may ask what: the address, the origin, the token, the size; and the headers of every answer.

A page on the internet that somebody has open reaches loopback addresses, too. It cannot read or change
anything here: its name is not one that is served (DNS rebinding), and its requests say that they come from
elsewhere (CSRF).
"""

import hashlib
import hmac
import ipaddress
import sys
import traceback
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from laennec.web.pages import PLAIN, token_page
from laennec.web.settings import LOOPBACK, Settings

COOKIE = "laennec"
SHORTEST_TOKEN = 16  # characters; a shorter one can be found by trying
BODY_BYTES = 2**22  # of a request that carries no recording
LABEL_BYTES = 2**25  # of a label file
MIB = 2**20

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; object-src 'none'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=(), payment=(), usb=()",
}


class Guard:
    """Around the application: refuses what may not be asked, limits what is sent, and adds the headers.

    An error that nothing foresaw becomes an answer, too; the log names its place in the program and no more,
    since messages may hold names of patients' files.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app, self.settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # no web socket is served
            await send({"type": "websocket.close"})
            return
        begun = False

        async def headed(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                is_api = scope["path"].startswith("/api/")
                headers.setdefault("Cache-Control", "no-store" if is_api else "no-cache")
            await send(message)

        refused = refusal(scope, self.settings)
        if refused is not None:
            await refused(scope, receive, headed)
            return
        limit = body_limit(scope["path"], self.settings)
        try:
            await self.app(scope, _limited(receive, limit), headed)
        except ClientDisconnect:  # nobody waits for an answer
            return
        except Exception as error:
            print(f"laennec: {place_of(error)} (an error in Laennec)", file=sys.stderr, flush=True)
            if begun:  # the answer breaks off
                raise ConnectionError from None
            sentence = "an error in Laennec; the terminal of laennec serve says where"
            await JSONResponse({"error": sentence}, 500)(scope, receive, headed)


def refusal(scope: Scope, settings: Settings) -> Response | None:
    """What a request is answered that may not be made; None where it may."""
    headers = Headers(scope=scope)
    host = headers.get("host", "")
    if not is_served(host, settings):
        sentence = f"this page is not served under that name; open http://{settings.host}:{settings.port}/"
        return JSONResponse({"error": sentence}, 421)
    if not is_own(headers, scope["method"], scope["path"]):
        return JSONResponse({"error": "the request comes from another page, which may not do that"}, 403)
    unknown = _without_token(scope, headers, settings.token) if settings.token else None
    if unknown is not None:
        return unknown
    limit = body_limit(scope["path"], settings)
    if _declared(headers) > limit:
        return JSONResponse({"error": too_large(limit)}, 413)
    return None


def is_served(host: str, settings: Settings) -> bool:
    """Whether the Host header names the address that is served; its port may be that of a tunnel.

    Behind 0.0.0.0 a computer has names that it does not know itself; there the token protects, whose cookie
    another name does not get.
    """
    name = host.rpartition(":")[0] if _has_port(host) else host
    name = name.strip("[]").lower()
    if settings.is_local:
        return name in LOOPBACK
    try:
        if ipaddress.ip_address(settings.host).is_unspecified:
            return bool(name)
    except ValueError:
        pass
    return name in (settings.host.lower(), *LOOPBACK)


def _has_port(host: str) -> bool:
    return host.rpartition(":")[2].isdigit() and (host.count(":") == 1 or "]:" in host)


def is_own(headers: Mapping[str, str], method: str, path: str) -> bool:
    """Whether a request comes from this page, or from a program; a link elsewhere may open the page itself.

    Browsers say where a request comes from (Fetch, sections 3.1 and "Sec-Fetch-Site"); programs do not.
    """
    is_reading = method in ("GET", "HEAD", "OPTIONS")
    site = headers.get("sec-fetch-site", "none")
    if site not in ("none", "same-origin") and not (is_reading and not path.startswith("/api/")):
        return False
    origin = headers.get("origin")
    if origin is None:
        return True
    return urlsplit(origin).netloc.lower() == headers.get("host", "").lower()


def _without_token(scope: Scope, headers: Headers, token: str) -> Response | None:
    """Ask for the token; one in the page's address becomes a cookie and leaves the address."""
    asked = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [""])[0]
    if scope["path"] == "/" and asked and _same(asked, token):
        answer = RedirectResponse("/", 303)
        answer.set_cookie(COOKIE, cookie_of(token), max_age=30 * 86400, httponly=True, samesite="strict")
        return answer
    scheme, _, given = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and _same(given.strip(), token):
        return None
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        cookie = None
    if cookie is not None and _same(cookie.value, cookie_of(token)):
        return None
    if scope["path"] == PLAIN:  # for the page that asks for the token
        return None
    if "text/html" in headers.get("accept", ""):
        return HTMLResponse(token_page(), 401)
    sentence = "the token is missing or wrong; open the page with ?token=TOKEN, or send it as a bearer token"
    return JSONResponse({"error": sentence}, 401, {"WWW-Authenticate": "Bearer"})


def cookie_of(token: str) -> str:
    """What a browser keeps in place of the token, which cannot be told from it."""
    return hmac.new(token.encode(), b"cookie of laennec serve", hashlib.sha256).hexdigest()


def _same(given: str, right: str) -> bool:
    """In a time that does not tell how much of it is right."""
    return hmac.compare_digest(given.encode(errors="replace"), right.encode())


# --- sizes --------------------------------------------------------------------------------------------------


def body_limit(path: str, settings: Settings) -> int:
    """Bytes that a request to a path may carry."""
    if path in ("/api/v1/recordings", "/api/v1/analyze"):
        return settings.upload_bytes
    return LABEL_BYTES if path.endswith("/labels") else BODY_BYTES


def too_large(limit: int) -> str:
    """Why something is not taken."""
    size = f"{limit // MIB} MiB" if limit >= MIB else f"{limit} bytes"
    return f"larger than {size}, the most that is taken; cut it into parts"


def _declared(headers: Headers) -> int:
    text = headers.get("content-length", "0")
    return int(text) if text.isdigit() and len(text) < 20 else 0


def _limited(receive: Receive, limit: int) -> Receive:
    """What arrives, until it is too much, whatever its header declares."""
    arrived = 0

    async def counted() -> Message:
        nonlocal arrived
        message = await receive()
        arrived += len(message.get("body", b""))
        if arrived > limit:
            raise HTTPException(413, too_large(limit))
        return message

    return counted


def place_of(error: BaseException) -> str:
    """What kind an error is and where it arose, without its message."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}"
