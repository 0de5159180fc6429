"""What the page's server refuses, and what every answer of it says."""

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("fastapi")
import soundfile
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect
from web_client import ADDRESS, web_client

import laennec.web
from laennec.web.security import BODY_BYTES, LABEL_BYTES, body_limit, is_served
from laennec.web.settings import Settings

API = "/api/v1"
TOKEN = "a-token-of-24-characters"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A server for this computer alone, of an empty folder; it takes small uploads."""
    with web_client(tmp_path_factory.mktemp("empty"), upload_bytes=2**20) as client:
        yield client


@pytest.fixture(scope="module")
def afar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A server that other computers can reach."""
    with web_client(tmp_path_factory.mktemp("afar"), host="192.0.2.7", token=TOKEN) as client:
        client.base_url = "http://192.0.2.7:8765"
        client.follow_redirects = False
        yield client
        client.cookies.clear()


def sound(duration_s: float) -> bytes:
    file = io.BytesIO()
    samples = np.random.default_rng(0).normal(0, 0.1, round(duration_s * 4000)).astype(np.float32)
    soundfile.write(file, samples, 4000, format="WAV", subtype="PCM_16")
    return file.getvalue()


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8765", "127.0.0.1.evil.example", ""])
def test_another_name_is_not_served(client: TestClient, host: str) -> None:
    """A page whose name was pointed at this computer (DNS rebinding) gets nothing."""
    for path in ("/", f"{API}/health"):
        answer = client.get(path, headers={"Host": host})
        assert answer.status_code == 421
        assert "127.0.0.1" in answer.json()["error"]


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "localhost:9000", "[::1]:8765", "LOCALHOST"])
def test_this_computer_is_served_by_its_names_and_through_a_tunnel(client: TestClient, host: str) -> None:
    assert client.get(f"{API}/health", headers={"Host": host}).status_code == 200


def test_an_address_is_served_by_that_name_alone() -> None:
    served = Settings(Path(), host="192.0.2.7", token=TOKEN)
    assert is_served("192.0.2.7:8765", served)
    assert not is_served("evil.example:8765", served)
    everywhere = Settings(Path(), host="0.0.0.0", token=TOKEN)
    assert is_served("ward-pc.example:8765", everywhere), "the token protects there"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_another_page_changes_nothing(client: TestClient, headers: dict[str, str]) -> None:
    """Whatever it sends: a form, or a script without asking first (CSRF)."""
    for method, path in (("POST", "rescan"), ("PATCH", "recordings/1"), ("POST", "recordings?name=a.wav")):
        answer = client.request(method, f"{API}/{path}", content=b"{}", headers=headers)
        assert answer.status_code == 403, path
        assert "another page" in answer.json()["error"]


def test_this_page_and_programs_may_and_a_link_elsewhere_opens_the_page(client: TestClient) -> None:
    own = {"Origin": ADDRESS, "Sec-Fetch-Site": "same-origin"}
    assert client.post(f"{API}/rescan", headers=own).status_code == 200
    assert client.post(f"{API}/rescan").status_code == 200
    linked = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert client.get("/", headers=linked).status_code == 200
    assert client.get(f"{API}/health", headers=linked).status_code == 403, "no other page embeds what is here"


def test_without_the_token_there_is_nothing(afar: TestClient) -> None:
    wrong = [{}, {"Authorization": f"Bearer {TOKEN}x"}, {"Authorization": "Bearer "}, {"Cookie": "laennec=x"}]
    wrong += [{"Cookie": f"laennec={TOKEN}"}, {"Authorization": f"Basic {TOKEN}"}]
    for headers in wrong:
        for path in ("/", "/app.js", f"{API}/health", f"{API}/openapi.json", f"/?token={TOKEN}x"):
            answer = afar.get(path, headers=headers)
            assert answer.status_code == 401, (path, headers)
            assert "token" in answer.json()["error"]
    assert afar.get(f"{API}/health", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200


def test_the_token_in_the_address_becomes_a_cookie_and_leaves_it(afar: TestClient) -> None:
    first = afar.get(f"/?token={TOKEN}")
    assert (first.status_code, first.headers["location"]) == (303, "/")
    cookie = first.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert TOKEN not in cookie
    assert afar.get("/").status_code == 200
    assert afar.get(f"{API}/health").status_code == 200


def test_a_browser_without_the_token_is_asked_for_it(afar: TestClient) -> None:
    afar.cookies.clear()
    for address in ("/", "/?token=wrong"):
        asked = afar.get(address, headers={"Accept": "text/html,*/*;q=0.8"})
        assert asked.status_code == 401
        assert '<input id="token" name="token" type="password"' in asked.text
    assert afar.get("/style.css").headers["content-type"].startswith("text/css")
    assert afar.get("/style.css/../app.js").status_code == 401


def test_tokens_are_compared_in_constant_time(afar: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    monkeypatch.setattr("hmac.compare_digest", lambda a, b: compared.append((a, b)) or a == b)
    afar.get(f"{API}/health", headers={"Authorization": "Bearer guess", "Cookie": "laennec=guess"})
    assert [given for given, _ in compared] == [b"guess", b"guess"]


def test_every_answer_has_the_headers(client: TestClient, afar: TestClient) -> None:
    answers = [client.get("/"), client.get("/nothing"), client.get(f"{API}/health"), afar.get("/x.js")]
    answers += [client.get("/", headers={"Host": "evil.example"})]
    for answer in answers:
        headers = answer.headers
        policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'self'"
        assert policy["frame-ancestors"] == policy["object-src"] == policy["base-uri"] == "'none'"
        assert "unsafe" not in str(policy)
        assert "http" not in str(policy)
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "microphone=(self)" in headers["permissions-policy"]
    assert client.get(f"{API}/recordings").headers["cache-control"] == "no-store"
    assert client.get("/").headers["cache-control"] == "no-cache"


def test_sizes_are_limited_whatever_is_declared(client: TestClient) -> None:
    """With a length in the header it is refused at once; without one, when it is too much."""
    for path, size in (("recordings", 2**20), ("analyze", 2**20)):
        refused = client.post(f"{API}/{path}", content=bytes(size + 1))
        assert refused.status_code == 413
        assert "1 MiB" in refused.json()["error"]
        pieces = client.post(f"{API}/{path}", content=(bytes(2**16) for _ in range(17)))
        assert (pieces.status_code, pieces.json()) == (413, refused.json())
    folder = client.app.state.server.settings.folder  # type: ignore[attr-defined]
    assert not [path for path in folder.rglob("*") if path.suffix == ".part"]
    assert client.patch(f"{API}/recordings/1", content=bytes(BODY_BYTES + 1)).status_code == 413
    assert body_limit(f"{API}/recordings/1/labels", Settings(Path())) == LABEL_BYTES


def test_how_many_and_how_long_are_limited(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(sound(2.0))
    (tmp_path / "b.wav").write_bytes(sound(9.0))
    (tmp_path / "c.wav").write_bytes(sound(1.0))
    with web_client(tmp_path, recordings=2, duration_s=5.0) as client:
        assert client.post(f"{API}/rescan").json()["left_out"] == 1
        assert len(client.get(f"{API}/recordings").json()["recordings"]) == 2
        more = client.post(f"{API}/recordings?name=d.wav", content=sound(1.5))
        assert more.status_code == 413
        assert "2 recordings" in more.json()["error"]
        long = client.post(f"{API}/analyze?name=long.wav", content=sound(6.0))
        assert long.status_code == 415
        assert "longer than" in long.json()["error"]


@pytest.mark.parametrize(
    ("name", "called"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\ward\\room 1.wav", "room 1.wav"),
        ("..", "recording"),
        ("", "recording"),
        ("a\nb\x00c.wav", "a\\x0ab\\x00c.wav"),
        ("x" * 500 + ".wav", "x" * 200),
        (".laennec/cache", "cache"),
        ("été‮vaw.wav", "été\\u202evaw.wav"),
    ],
)
def test_no_name_becomes_a_path(tmp_path: Path, name: str, called: str) -> None:
    content = sound(1.0)
    with web_client(tmp_path) as client:
        row = client.post(f"{API}/recordings", params={"name": name}, content=content).json()
        assert row["name"] == called
    files = [path for path in tmp_path.rglob("*.wav") if ".laennec-cache" not in path.parts]
    assert [path.parent for path in files] == [tmp_path / "uploads"]
    assert not {part for part in ("passwd", "room", "cache", "vaw") if part in files[0].stem}


def test_paths_of_the_page_lead_nowhere_else(client: TestClient) -> None:
    for path in ("/../state.py", "/..%2fstate.py", "/%2e%2e/state.py", "/..\\state.py", "//etc/passwd"):
        answer = client.get(path)
        assert answer.status_code in (400, 404), path
        assert answer.json()["error"]


def test_a_mistake_of_ours_is_said_without_what_it_was_about(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An exception's message may hold a patient's name, which belongs into no log."""

    def fail(*_: object) -> None:
        raise RuntimeError("Jane Doe.wav")

    monkeypatch.setattr("laennec.web.api.corrections.review_order", fail)
    answer = client.get(f"{API}/review?reader=Jane")
    assert answer.status_code == 500
    printed = capsys.readouterr()
    assert "Jane" not in answer.text + printed.out + printed.err
    assert "RuntimeError at test_server_security.py:" in printed.err


def test_no_request_leaves_a_trace_of_patients(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    (tmp_path / "Jane Doe.wav").write_bytes(b"no sound")
    with web_client(tmp_path) as client:
        client.post(f"{API}/analyze?name=Jane.wav", content=b"none")
        client.patch(f"{API}/recordings/1", json={"patient": "Jane", "position": "Jane"})
        client.get(f"{API}/recordings/Jane")
        client.post(f"{API}/models/Jane/use")
    printed = capfd.readouterr()
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("http")]
    assert "Jane" not in printed.out + printed.err + str(ours), "httpx, of the client, logs addresses itself"


def test_the_page_names_no_other_host() -> None:
    """The page's files ask nobody else: the only addresses in them are this computer's, and SVG's name."""
    package = Path(laennec.web.__file__).parents[1]
    files = [
        *(package / "web").glob("*.html"),
        *(package / "web" / "static").rglob("*"),
        *(package / "output" / "viewer").rglob("*"),
    ]
    texts = [path for path in files if path.suffix in (".html", ".js", ".css", ".json")]
    assert len(texts) > 10
    for path in texts:
        named = re.findall(r"(?:https?|wss?):(//[^\s\"'`)]+)", path.read_text(encoding="utf-8"))
        assert set(named) <= {"//127.0.0.1", "//www.w3.org/2000/svg"}, path.name


def test_no_web_socket_is_served(client: TestClient) -> None:
    for path in (f"{API}/activity", "/"):
        with pytest.raises(WebSocketDisconnect), client.websocket_connect(path):
            pass


def test_json_is_json(client: TestClient) -> None:
    broken = client.patch(f"{API}/recordings/1", content=b"{", headers={"Content-Type": "application/json"})
    assert broken.status_code == 422
    deep = client.patch(
        f"{API}/recordings/1", content=b"[" * 100_000, headers={"Content-Type": "application/json"}
    )
    assert deep.status_code in (400, 422)
    assert json.loads(deep.text)["error"]
