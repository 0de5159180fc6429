"""The page of one analysis: what it says, where it draws it, and that it asks nothing of anybody."""

import base64
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from accessibility import contrast, contrasts, faults, mixed

from analyses import bare_analysis
from laennec import Analysis, Event, RecordAnswer, Recording
from laennec.analyze.analysis import Relevance, RespiratoryRate
from laennec.errors import LaennecError
from laennec.labels import SPRSOUND_EVENTS, SPRSOUND_RECORDS
from laennec.output.html import asset, page, png, script_json, text
from laennec.output.page import SHOWN_CHANNELS, render_report, write_report
from laennec.output.page_events import ROWS
from laennec.output.page_viewer import ENOUGH_TILES, MOST_TILES
from laennec.output.presentation import analysis_colours, readable_on
from laennec.output.scripts import joined
from laennec.version import DISCLAIMER

VOID = {"meta", "link", "img", "br", "input", "path"}
RATE = 8_000


class Page(HTMLParser):
    """Every element with its attributes, and the text between them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self.open):
            self.words.append(data)

    def all(self, tag: str, kind: str = "") -> list[dict[str, str]]:
        found = [told for name, told in self.elements if name == tag]
        return [told for told in found if not kind or kind in told.get("class", "").split()]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def recording(duration_s: float = 4.0, rate: int = RATE, channels: int = 1, name: str = "a.wav") -> Recording:
    noise = np.random.default_rng(0).normal(0, 0.01, (channels, int(duration_s * rate)))
    return Recording.from_array(noise.astype(np.float32), rate, name)


def event(start_s: float, end_s: float, label: str = "Wheeze", **changes: object) -> Event:
    told = {name: 0.7 if name == label else 0.05 for name in SPRSOUND_EVENTS}
    return replace(Event(start_s, end_s, label, 0.7, told), **changes)  # type: ignore[arg-type]


def analysis(of: Recording, *events: Event, **changes: object) -> Analysis:
    own = {"name": of.name, "duration_s": of.duration_s, "sample_rate": of.sample_rate}
    own |= {"channels": of.channels, "events": events}
    model = {"model_data": "a hospital's children", "model_limits": "not for adults"}
    return bare_analysis(**{**own, **model, **changes})


def answer(label: str = "CAS", **changes: object) -> RecordAnswer:
    told = {name: 0.8 if name == label else 0.05 for name in SPRSOUND_RECORDS}
    return replace(RecordAnswer(label, 0.8, told), **changes)  # type: ignore[arg-type]


def rendered(of: Recording, *events: Event, **changes: object) -> Page:
    read = Page(render_report(analysis(of, *events, **changes), of))
    assert not read.open
    return read


def sound(told: dict[str, str]) -> tuple[np.ndarray, int]:
    head, data = told["src"].split(",", 1)
    assert head == "data:audio/wav;base64"
    return soundfile.read(io.BytesIO(base64.b64decode(data)))


def test_answer_rate_and_disclaimer() -> None:
    rate = RespiratoryRate(24.3, "doubtful", "onsets vary", 5)
    read = rendered(recording(), event(1, 2), record=answer(reasons=("one wheeze",), rate=rate))
    for told in (
        "CAS (calibrated probability 0.80)",
        "one wheeze",
        "onsets vary",
        "Adventitious events 1 of 1",
    ):
        assert told in read.text
    assert "Respiratory rate doubtful onsets vary" in read.text  # and no number
    assert "24" not in read.text
    good = rendered(recording(), record=answer(rate=replace(rate, quality="good")))
    assert "24 breaths a minute · quality: good" in good.text
    assert "uncertain" not in read.text
    assert read.text.count(DISCLAIMER) == 1


def test_uncertain_and_refused() -> None:
    assert "CAS uncertain (calibrated" in rendered(recording(), record=answer(uncertain=True)).text
    refused = RecordAnswer(None, None, {}, refused="sounds like speech", heard_as="speech")
    told = rendered(recording(), record=refused).text
    assert (
        "No answer: sounds like speech ; if it is a lung after all, --any-sound analyses it all the same"
        in told
    )
    silent = replace(refused, refused="silent or mostly so", heard_as=None)
    assert "No answer: silent or mostly so ; check the recording" in rendered(recording(), record=silent).text
    assert "gives no answer for whole recordings" in rendered(recording()).text


def test_model_and_facts() -> None:
    read = rendered(recording(), sex="female", notes=("a note",), repairs=("a repair",))
    for told in ("tiny 0.1.0", "0123456789ab", "a hospital's children", "not for adults", "female", "a note"):
        assert told in read.text
    assert "a repair" in read.text
    assert "No events." in read.text


def test_names_labels_and_notes_are_escaped() -> None:
    evil = "<script>alert('1')</script>\" onload=\"x"
    named = recording(name=evil + "\udce9\x00")
    strange = replace(event(1, 2, annotated=evil), label=evil)
    html = render_report(analysis(named, strange, notes=(evil,), record=answer(refused=evil)), named)
    read = Page(html)
    assert not read.open
    assert "<script>alert" not in html
    assert len(read.all("script")) == 1
    assert not any("onload" in told for _, told in read.elements)
    assert evil in read.text
    html.encode("utf-8")


def test_asks_nothing_of_anybody() -> None:
    html = render_report(analysis(recording(), event(1, 2)), recording())
    read = Page(html)
    for _, told in read.elements:
        for name in ("src", "href", "srcset", "action", "poster"):
            assert told.get(name, "data:").startswith("data:")
    styles_and_scripts = re.sub(r'"data:[^"]*"', "", html)
    assert not re.search(r"https?:|@import|url\(|fetch\(|XMLHttpRequest", styles_and_scripts)
    (policy,) = (m["content"] for m in read.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "http" not in policy


def test_the_policy_lets_the_pages_own_script_run() -> None:
    import hashlib

    html = page("t", "<p>", scripts="let x = 1;")
    script = re.search(r"<script>(.*?)</script>", html, re.S)
    assert script
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert f"'sha256-{digest}'" in html


def test_spans_stand_where_the_events_are() -> None:
    events = (event(1, 2), event(2.5, 4, "Normal", uncertain=True, annotated="Stridor"))
    read = rendered(recording(4.0), *events)
    boxes = read.all("button", "event")
    for box, told in zip(boxes, events, strict=True):
        place = re.search(r"left:([\d.]+)%;width:([\d.]+)%", box["style"])
        assert place
        assert float(place[1]) == pytest.approx(25 * told.start_s, abs=1e-3)
        assert float(place[2]) == pytest.approx(25 * (told.end_s - told.start_s), abs=1e-3)
    assert "hatched" not in boxes[0]["class"]
    assert "hatched" in boxes[1]["class"]
    assert boxes[1]["aria-label"].startswith("Event 2: Normal (N), uncertain, ")
    (annotated,) = read.all("span", "event")
    assert annotated["title"] == "Stridor"
    assert "left:62.5000%" in annotated["style"]


def test_table() -> None:
    read = rendered(recording(), event(1, 2.25, uncertain=True, presence=0.91), event(3, 3.5, "Normal"))
    rows = [told for told in read.all("tr") if "data-event" in told]
    assert [told["data-event"] for told in rows] == ["1", "2"]
    assert "normal" not in rows[0].get("class", "")
    assert rows[1]["class"] == "normal"
    assert re.search(r"1 loop 1\.00 2\.25 1\.25 Wheeze uncertain 0\.70 .*? 0\.91", read.text)
    assert {told["scope"] for told in read.all("th")} == {"col", "row"}


def test_sound() -> None:
    read = rendered(recording(4.0, 44_100))
    (told,) = read.all("audio")
    samples, rate = sound(told)
    assert rate == 16_000
    assert samples.size / rate == pytest.approx(4.0)
    assert np.abs(samples).max() == pytest.approx(10 ** (-3 / 20), abs=1e-3)
    assert "-3 dBFS" in read.text


def test_sound_of_more_than_two_minutes_is_at_8_khz() -> None:
    (told,) = rendered(recording(121, 16_000)).all("audio")
    samples, rate = sound(told)
    assert (rate, samples.size) == (8_000, 121 * 8_000)


def test_more_than_ten_minutes_are_cut_short_in_the_picture_only() -> None:
    events = [event(k, k + 0.5) for k in range(602)]
    read = rendered(recording(602, 4_000), *events)
    assert not read.all("audio")
    assert "longer than 10 minutes and not in this page" in read.text
    assert "shows the first 10 minutes" in read.text
    assert len(read.all("button", "event")) == 600
    assert len([told for told in read.all("tr") if "data-event" in told]) == ROWS
    assert f"The first {ROWS} of 602 events" in read.text


def test_channels() -> None:
    two = recording(channels=2)
    found = analysis(two, event(1, 2), event(2, 3, channel=1), channel_records=(answer(channel=0),))
    read = Page(render_report(found, two))
    assert len(read.all("section", "channel")) == len(read.all("audio")) == 2
    assert "Channel 0 CAS (calibrated" in read.text
    one = Page(render_report(found, two, channel=1))
    assert len(one.all("button", "event")) == 1
    assert "left:50.0000%" in one.all("button", "event")[0]["style"]
    with pytest.raises(LaennecError, match="no channel 2"):
        render_report(found, two, channel=2)
    with pytest.raises(LaennecError, match="not the recording that was analysed"):
        render_report(found, recording())


def test_copies_and_further_channels_have_no_picture() -> None:
    many = recording(1.0, channels=12)
    records = tuple(answer(channel=k) for k in range(12))
    found = analysis(many, event(0.2, 0.5), event(0.3, 0.4, channel=11), channel_records=records)
    read = Page(render_report(found, many))
    assert len(read.all("section", "channel")) == len(read.all("audio")) == SHOWN_CHANNELS
    assert "Other channels" in read.text
    assert "too large with those of more channels" in read.text
    assert "11 CAS (continuous sounds: wheeze, rhonchus, stridor), probability 0.80 1" in read.text
    assert len(read.all("button", "loop")) == 1  # the other event has no picture to be found in
    one = Page(render_report(found, many, channel=11))
    assert len(one.all("section", "channel")) == 1
    same = Recording.from_array(np.repeat(recording().samples, 3, axis=0), RATE, "a.wav")
    copies = Page(render_report(analysis(same), same))
    assert len(copies.all("section", "channel")) == 1
    assert "2 the same samples as channel 0" in copies.text


def test_a_page_of_64_channels_is_small() -> None:
    many = recording(15.0, channels=64)
    assert len(render_report(analysis(many), many)) < 8e6


def test_anybody_can_use_it() -> None:
    events = (event(1, 2), event(2, 3, "Fine Crackle", uncertain=True), event(3, 3.4, "Wheeze+Crackle"))
    for of, changes in (
        (recording(), {"record": answer(reasons=("a reason",)), "notes": ("a note",)}),
        (recording(channels=10), {"channel_records": (answer(channel=0),)}),
        (recording(602, 4_000), {}),
    ):
        assert faults(render_report(analysis(of, *events, **changes), of)) == []
    assert faults(render_report(analysis(recording()), recording())) == []


def test_the_names_of_labels_hold_what_is_seen() -> None:
    read = rendered(recording(), event(1, 2, "Fine Crackle"), event(2, 3, "Wheeze+Crackle", uncertain=True))
    names = [box["aria-label"] for box in read.all("button", "event")]
    assert "Fine Crackle (FC)" in names[0]
    assert "Wheeze+Crackle (W+C), uncertain" in names[1]


def test_text_stands_out_from_its_ground() -> None:
    assert {pair: ratio for pair, ratio in contrasts().items() if ratio < 4.5} == {}
    for label, colour in analysis_colours(analysis(recording())).items():
        on = {"black": "#000000", "white": "#ffffff"}[readable_on(colour)]
        stripe, share = ("#ffffff", 0.5) if on == "#000000" else ("#000000", 0.35)
        assert contrast(on, colour) >= 4.5, label
        assert contrast(on, mixed(stripe, colour, share)) >= 4.5, label


def test_a_phone_shows_every_column() -> None:
    read = rendered(recording(), event(1, 2, presence=0.9, uncertain=True), event(2, 3, "Normal"))
    names = [cell["data-name"] for cell in read.all("td")]
    assert names[: len(names) // 2] == names[len(names) // 2 :]
    assert {"From s", "To s", "Duration s", "Label", "Probability", "Next likeliest", "Presence"} == set(
        names
    )
    css = asset("report.css")
    narrow = css[css.index("@media screen and (max-width: 48rem)") :].split("\n}\n")[0]
    assert "content: attr(data-name)" in narrow
    assert "overflow: visible" in narrow
    assert not re.search(r"nth-child[^{]*\{[^}]*display: none", css)


def data_of(html: str) -> dict[str, Any]:
    """Return what the page's script shows."""
    found = re.search(r"^\$report\.start\((.*)\);$", html, re.MULTILINE)
    assert found
    return json.loads(found[1])


def test_the_viewer_has_events_evidence_tiles_and_sound() -> None:
    relevance = Relevance(1.0, 2.0, (200.0, 400.0, 800.0), ((0.0, 1.0), (0.5, 0.0)))
    of = recording(channels=2)
    found = analysis(of, event(1, 2, relevance=relevance), event(2, 3, "Normal", channel=1, uncertain=True))
    told = data_of(render_report(found, of))
    assert [(each["id"], each["channel"], each["label"]) for each in told["events"]] == [
        ("1", 0, "Wheeze"),
        ("2", 1, "Normal"),
    ]
    assert told["events"][0]["relevance"]["values"] == [[0.0, 1.0], [0.5, 0.0]]
    assert told["events"][1]["uncertain"]
    assert not told["labels"]["Normal"]["adventitious"]
    assert told["text"]["viewer.play"] == "Play"
    for channel, sound_id in zip(told["channels"], ("sound-0", "sound-1"), strict=True):
        assert channel["sound"] == sound_id
        assert channel["duration_s"] == 4.0
        assert [len(level) for level in channel["tiles"]] == [1]
        tile = pixels(base64.b64decode(channel["tiles"][0][0]))
        assert tile.shape[:2] == (512, 256)
        assert tile[:, :240].std() > 5
        wave = np.frombuffer(base64.b64decode(channel["wave"]), np.int8)
        assert np.abs(wave.astype(int)).max() == 90  # -3 dBFS of 127
    long = data_of(render_report(analysis(recording(602, 4_000)), recording(602, 4_000)))["channels"][0]
    assert long["sound"] == ""
    assert MOST_TILES / 2 <= len(long["tiles"][0]) <= MOST_TILES
    *finer, last = map(len, long["tiles"])
    assert min(finer) > ENOUGH_TILES >= last


def test_the_modules_are_joined_into_one_script() -> None:
    script = joined("output/viewer/report.js")
    assert not re.search(r"^\s*(import|export)\b", script, re.MULTILINE)
    assert (
        script.index("const $time = ") < script.index("const $viewer = ") < script.index("const $report = ")
    )
    assert not re.search(r"https?:|fetch\(", script)


def pixels(data: bytes) -> np.ndarray:
    image = pytest.importorskip("matplotlib.image", reason="reads the PNG back")
    return np.round(255 * image.imread(io.BytesIO(data))).astype(np.uint8)


@pytest.mark.parametrize("shape", [(3, 5), (3, 5, 3), (3, 5, 4)])
def test_png(shape: tuple[int, ...]) -> None:
    told = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    for noisy in (False, True):
        assert (pixels(png(told, noisy=noisy)) == told).all()
    with pytest.raises(ValueError, match="uint8"):
        png(told.astype(float))


def test_noise_is_packed_at_once_and_even_parts_by_their_runs() -> None:
    noise = np.random.default_rng(0).integers(0, 64, (256, 256)).astype(np.uint8)
    assert len(png(noise, noisy=True)) < 0.9 * noise.size
    assert len(png(np.zeros_like(noise), noisy=True)) < noise.size / 100  # a bit each would be an eighth


def test_png_with_a_palette() -> None:
    rng = np.random.default_rng(0)
    places, palette = (rng.integers(0, 256, shape).astype(np.uint8) for shape in ((4, 9), (256, 3)))
    for noisy in (False, True):
        assert (pixels(png(places, palette, noisy=noisy))[..., :3] == palette[places]).all()


def test_data_cannot_leave_its_script() -> None:
    assert "</script>" not in script_json("</script><!--")
    assert text('<a b="c">') == "&lt;a b=&quot;c&quot;&gt;"


def test_silence_and_a_very_short_recording() -> None:
    silent = Recording.from_array(np.zeros(RATE, np.float32), RATE)
    assert (sound(rendered(silent).all("audio")[0])[0] == 0).all()
    rendered(Recording.from_array(np.zeros(40, np.float32), RATE))


def test_written_whole(tmp_path: Path) -> None:
    write_report(analysis(recording(), event(1, 2)), recording(), tmp_path / "new" / "a.html")
    assert (tmp_path / "new" / "a.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    with pytest.raises(LaennecError, match="is a folder"):
        write_report(analysis(recording()), recording(), tmp_path)
