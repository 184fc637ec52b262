"""What stands between an application and the database on Supabase: its gateway and PostgREST, rebuilt for tests.

PostgREST itself cannot be installed from a package index, but what it does is public. This is the part of its contract
that bookingdb is called through, as versions 13 and 14 have it:

- The gateway asks for an API key in `apikey`; a request without `Authorization` is one of that key's role.
- HS256 tokens are verified, `exp`, `nbf` and `iat` with 30 seconds to spare: PGRST301, PGRST303. The role is the claim
  `role`, else anon.
- One transaction a request, in READ COMMITTED, logged in as authenticator: read-only for GET and for functions that are
  not volatile. `search_path`, the settings of the role, the role, and `request.*` are set in it, for it alone.
- Functions are looked for by the names of their arguments: PGRST202, PGRST203. They are called once, in one prepared
  statement, by name, with what json_to_record makes of the body; arguments that are not sent keep their default.
- `GET`, `POST`, `PATCH` and `DELETE` of tables and views: `select` (names of columns), filters, `order`, `limit`,
  `offset`, `Prefer: return`; PGRST204, PGRST205. What a function returns can be selected from likewise.
- A schema that is not exposed is PGRST106, broken JSON PGRST102, not exactly one row for `.single()` PGRST116.
- An error of the database has the HTTP status that its SQLSTATE stands for; the body is {code, message, details, hint}.
- At most 1000 rows, and no change of all rows of a table, as on Supabase.

Left out is everything else, such as embedded tables, counts, upserts, HEAD, functions with an unnamed parameter,
settings of functions, and headers that a function sets. It is answered with 501, so that no test passes because a part
of its request was overlooked. The catalogue is read for each request, so there is nothing to reload.
"""

from __future__ import annotations

import json
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, cast
from urllib.parse import parse_qsl, urlsplit

import jwt
import psycopg
from psycopg import sql
from psycopg_pool import ConnectionPool, PoolTimeout

from tests.support import Connection, run
from tests.support.postgrest_queries import Plan, Refusal, Request, plan_of

# The name of its connections in pg_stat_activity.
APPLICATION_NAME = "postgrest"

# By SQLSTATE, then by its first two characters; what is in neither is 400. 42501 and PTnnn are seen to elsewhere.
_STATUS_OF_CODE = {
    "21000": 500, "23503": 409, "23505": 409, "25006": 405, "42883": 404, "42P01": 404, "42P17": 500, "53400": 500,
    "57P01": 503, "P0001": 400,
}  # fmt: skip
_STATUS_OF_CLASS = {
    "08": 503, "09": 500, "0L": 403, "0P": 403, "25": 500, "28": 403, "2D": 500, "38": 500, "39": 500, "3B": 500,
    "40": 500, "53": 503, "54": 500, "55": 500, "57": 500, "58": 500, "F0": 500, "HV": 500, "P0": 500, "XX": 500,
}  # fmt: skip

_ROLE_SETTINGS = """
    select s.name, substr(c.setting, strpos(c.setting, '=') + 1)
    from pg_roles as r
    cross join unnest(r.rolconfig) as c (setting)
    join pg_settings as s on s.name = split_part(c.setting, '=', 1) and s.context = 'user'
    where r.rolname = %s
"""


class Login(NamedTuple):
    """Who a client of Supabase speaks for: an API key, and the token of the user who logged in, if one did."""

    key: str
    token: str | None = None


class Response(NamedTuple):
    status: int
    body: bytes
    headers: Mapping[str, str]
    # The reason phrase, where it is not the usual one of the status.
    reason: str | None = None


class PostgREST:
    """A server over one database of a Supabase host, from its making until `close`; `serving` sees to both."""

    def __init__(self, database_url: str, exposed: tuple[str, ...] = ("public",)) -> None:
        self._exposed = exposed
        self._secret = secrets.token_hex(32)
        self.nobody = Login(self._signed(role="anon"))
        self.service = Login(self._signed(role="service_role"))
        login = psycopg.conninfo.make_conninfo(database_url, user="authenticator", application_name=APPLICATION_NAME)
        self._pool = ConnectionPool(login, kwargs={"autocommit": True}, min_size=1, max_size=20, timeout=10, open=True)
        self._http = _HTTP(("127.0.0.1", 0), self.answer)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._pool.close()

    def user(self, user_id: object, **claims: Any) -> Login:
        """A user who logged in; claims are added to those of its token, or stand in their place."""
        user = {"sub": str(user_id), "role": "authenticated", "aud": "authenticated"}
        return Login(self.nobody.key, self._signed(**{**user, **claims}))

    def _signed(self, **claims: Any) -> str:
        return jwt.encode({"iss": "supabase", "exp": int(time.time()) + 3600, **claims}, self._secret, "HS256")

    def answer(self, request: Request) -> Response:
        role = "anon"
        try:
            claims = self._claims(request.headers)
            role = claims["role"] = str(claims.get("role", role))
            return self._run(request, claims)
        except Refusal as refusal:
            return _error(*refusal.args)
        except PoolTimeout:
            return _error(504, "PGRST003", "Timed out acquiring connection from connection pool.")
        except psycopg.Error as error:
            return _database_error(error, role)

    def _claims(self, headers: Mapping[str, str]) -> dict[str, Any]:
        """The claims of who is asking: of the token, else of the API key."""
        key = headers.get("apikey")
        if key not in (self.nobody.key, self.service.key):
            raise Refusal(401, None, "Invalid API key" if key else "No API key found in request")
        scheme, _, token = headers.get("authorization", f"Bearer {key}").partition(" ")
        if scheme.lower() != "bearer":
            return {}
        unchecked: Any = {"verify_aud": False, "verify_sub": False, "verify_jti": False}
        try:
            return jwt.decode(token, self._secret, ["HS256"], leeway=30, options=unchecked)
        except jwt.ExpiredSignatureError:
            raise Refusal(401, "PGRST303", "JWT expired") from None
        except jwt.ImmatureSignatureError:
            raise Refusal(401, "PGRST303", "JWT not yet valid") from None
        except jwt.InvalidTokenError:
            raise Refusal(401, "PGRST301", "No suitable key or wrong key type") from None

    def _run(self, request: Request, claims: Mapping[str, Any]) -> Response:
        profile = "accept-profile" if request.method == "GET" else "content-profile"
        schema = request.headers.get(profile, self._exposed[0])
        if schema not in self._exposed:
            hint = f"Only the following schemas are exposed: {', '.join(self._exposed)}"
            raise Refusal(406, "PGRST106", f"Invalid schema: {schema}", None, hint)

        with self._pool.connection() as connection:
            plan = plan_of(connection, schema, request)
            access = "read write" if plan.writes else "read only"
            connection.execute(f"begin isolation level read committed {access}".encode())
            try:
                _set_up(connection, schema, request, claims)
                body = _body(connection, plan, request.wants_one_object)
                connection.execute("commit")
            except BaseException:
                if not connection.broken:
                    connection.execute("rollback")
                raise
        return Response(plan.status, body.encode(), {})


@contextmanager
def serving(database_url: str) -> Iterator[PostgREST]:
    """Run a server over a database of a Supabase host while the block runs."""
    server = PostgREST(database_url)
    try:
        yield server
    finally:
        server.close()


def _set_up(connection: Connection, schema: str, request: Request, claims: Mapping[str, Any]) -> None:
    """Make the transaction that of the role, before anything of the application's runs in it."""
    search_path = sql.SQL(", ").join([sql.Identifier(name) for name in (schema, "public", "extensions")])
    settings = [
        ("search_path", search_path.as_string()),
        *run(connection, _ROLE_SETTINGS, claims["role"]),
        ("role", claims["role"]),
        ("request.jwt.claims", json.dumps(claims)),
        ("request.method", request.method),
        ("request.path", request.path),
        ("request.headers", json.dumps(request.headers)),
        ("request.cookies", "{}"),
    ]
    calls = ", ".join(["set_config(%s, %s, true)"] * len(settings))
    connection.execute(f"select {calls}".encode(), [part for setting in settings for part in setting])


def _body(connection: Connection, plan: Plan, wants_one_object: bool) -> str:
    """Run the one statement of the transaction, and return its rows as JSON."""
    row = sql.SQL("pgrst_rows.pgrst_scalar" if plan.scalar else "pgrst_rows")
    if not plan.shown:
        body: sql.Composable = sql.SQL("''")
    elif plan.single or wants_one_object:
        body = sql.SQL("coalesce((json_agg({}) -> 0)::text, 'null')").format(row)
    else:
        body = sql.SQL("coalesce(json_agg({})::text, '[]')").format(row)
    statement = sql.SQL("with pgrst_source as ({}) select count(*), {} from (select * from pgrst_source) as pgrst_rows")
    cursor = connection.execute(statement.format(plan.query, body), plan.parameters, prepare=True)
    ((count, text),) = cursor.fetchall()
    if wants_one_object and plan.shown and count != 1:
        details = f"The result contains {count} rows"
        raise Refusal(406, "PGRST116", "Cannot coerce the result to a single JSON object", details)
    return str(text)


def _database_error(error: psycopg.Error, role: str) -> Response:
    code, diagnosis = error.sqlstate, error.diag
    if code is None:
        return _error(503, "PGRST001", "Database client error. Retrying the connection.", str(error))
    message, reason = diagnosis.message_primary or "", None
    if code == "42501":
        status = 401 if role == "anon" else 403
    elif re.fullmatch(r"PT\d{3}", code):
        status, reason = int(code[2:]), message
    elif code == "22023" and re.fullmatch(r"role .* does not exist", message):
        status = 401
    else:
        status = _STATUS_OF_CODE.get(code) or _STATUS_OF_CLASS.get(code[:2], 400)
    return _error(status, code, message, diagnosis.message_detail, diagnosis.message_hint, reason)


def _error(
    status: int,
    code: str | None,
    message: str,
    details: str | None = None,
    hint: str | None = None,
    reason: str | None = None,
) -> Response:
    headers = {"Proxy-Status": f"PostgREST; error={code}"}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    body = {"code": code, "message": message, "details": details, "hint": hint}
    return Response(status, json.dumps(body).encode(), headers, reason)


class _HTTP(ThreadingHTTPServer):
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], answer: Callable[[Request], Response]) -> None:
        super().__init__(address, _Handler)
        self.answer = answer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body of an answer leave together.
    wbufsize = -1
    disable_nagle_algorithm = True
    # Nobody who went away is waited for.
    timeout = 60

    def _serve(self) -> None:
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, url.path.removeprefix("/rest/v1"), parse_qsl(url.query, True), headers, body)
        response = cast(_HTTP, self.server).answer(request)
        self.send_response(response.status, response.reason)
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        if response.status != 204:
            self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        self.wfile.write(response.body)

    do_GET = do_POST = do_PATCH = do_DELETE = _serve

    def log_message(self, *_: object) -> None:
        """Keep quiet: what goes wrong, the client says."""
