"""``laennec convert``: files and folders, what is named, and what its page says of formats and words."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from laennec.annotations import read_labels
from laennec.annotations.convert import convert_all
from laennec.annotations.formats import BANDS, CHANNELS, FORMATS, PROBABILITIES, RECORD
from laennec.cli import main
from laennec.errors import UsageError
from laennec.labels import OTHER_WORDS, PHASES, TERM_OF_CYCLE, known_term

ROOT = Path(__file__).parents[1]


def laennec(*words: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(map(str, words)))
    return int(ended.value.code or 0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two label files below a folder, one with its recording beside it, and one that is none."""
    root = tmp_path / "labels"
    (root / "ward").mkdir(parents=True)
    (root / "a.txt").write_text("0.5\t1.0\tcrepitations\n1.5\t2.0\tWeeze\n2.0\t2.5\thiss\n")
    (root / "ward" / "b.csv").write_text("start_s,end_s,label,channel\n0.5,1.0,Wheeze,0\n1.0,2.0,Stridor,1\n")
    (root / "ward" / "c.json").write_text("{")
    soundfile.write(root / "ward" / "b.wav", np.zeros(8000 * 7), 8000)
    return root


def test_a_folder_is_converted_and_a_bad_file_is_named(folder, tmp_path, capsys):
    out = tmp_path / "out"
    assert laennec("convert", folder, "--to", "textgrid", "--out", out) == 1
    said = capsys.readouterr()
    assert "c.json" in said.err
    assert "2 of 3 files converted" in said.out
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*.*")) == [
        "a.TextGrid",
        "ward/b.TextGrid",
    ]
    assert "xmax = 7\n" in (out / "ward" / "b.TextGrid").read_text()  # the recording's duration
    assert {event.channel for event in read_labels(out / "ward" / "b.TextGrid").events} == {0, 1}


def test_terms_are_replaced_where_they_are_sure(folder, tmp_path, capsys):
    assert laennec("convert", folder / "a.txt", "--to", "csv", "--out", tmp_path / "out", "--terms") == 0
    said = capsys.readouterr().out
    assert "crepitations becomes Crackle" in said
    assert "Weeze stays; is Wheeze meant?" in said
    assert "hiss is no known term and stays" in said
    labels = [event.annotated for event in read_labels(tmp_path / "out" / "a.csv").events]
    assert labels == ["Crackle", "Weeze", "hiss"]


def test_what_a_format_cannot_hold_is_printed(folder, tmp_path, capsys):
    assert laennec("convert", folder / "ward" / "b.csv", "--to", "icbhi", "--out", tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert "1 event labelled Stridor becomes Wheeze in ICBHI 2017" in said
    assert "no channels" in said


def test_two_files_of_one_target_are_refused(tmp_path):
    for suffix, text in ((".txt", "0\t1\tWheeze\n"), (".csv", "start_s,end_s,label\n0,1,Wheeze\n")):
        (tmp_path / f"a{suffix}").write_text(text)
    with pytest.raises(UsageError, match="would both write"):
        list(convert_all([tmp_path], FORMATS["elan"], tmp_path / "out"))
    with pytest.raises(UsageError, match="would be replaced"):
        list(convert_all([tmp_path / "a.csv"], FORMATS["csv"], tmp_path))


def test_wrong_uses_are_one_sentence(tmp_path, capsys):
    assert laennec("convert", tmp_path, "--to", "mp3", "--out", tmp_path / "out") == 2
    assert "expected one of audacity" in capsys.readouterr().err
    assert laennec("convert", tmp_path, "--to", "csv", "--out", tmp_path / "out") == 1
    assert "no label file in it or below it" in capsys.readouterr().err
    assert laennec("convert", tmp_path / "gone.txt", "--to", "csv", "--out", tmp_path / "out") == 1
    assert "gone.txt: no such file" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_json_of_an_analysis_is_read(tmp_path, capsys):
    """Of a folder's results, of `--json`, and of several recordings in one file."""
    from laennec import analyze
    from laennec.output.formats import to_csv, to_json, write_json
    from laennec.simulate import demo_recordings

    recording = demo_recordings()["wheezes"]
    soundfile.write(tmp_path / "a.wav", recording.samples, recording.sample_rate)
    found = analyze(tmp_path / "a.wav")
    assert found.events
    (tmp_path / "a.csv").write_text(to_csv(found))
    write_json(found, tmp_path / "a.json")
    wanted = _spans(tmp_path / "a.csv")
    assert _spans(tmp_path / "a.json") == wanted
    labels = read_labels(tmp_path / "a.json")
    assert labels.record == found.record.label
    assert [event.probability for event in labels.events] == [
        pytest.approx(event.probability, abs=1e-6) for event in found.events
    ]
    other = {**to_json(found), "recording": {"name": "ward/b.flac"}, "events": []}
    for content in ([to_json(found), other], {"format": 1, "analyses": [to_json(found), other]}):
        (tmp_path / "both.json").write_text(json.dumps({**content} if isinstance(content, dict) else content))
        assert len(read_labels(tmp_path / "both.json", "x/a.wav").events) == len(wanted)
        assert read_labels(tmp_path / "both.json", "b.flac").events == ()
        assert "none of its 2 analyses is of c.wav" in str(
            read_labels(tmp_path / "both.json", "c.wav").problems
        )
    assert laennec("convert", tmp_path / "a.json", "--to", "textgrid", "--out", tmp_path / "out") == 0
    assert _spans(tmp_path / "out" / "a.TextGrid") == wanted


def test_tables_of_whole_recordings_are_passed_over_in_a_folder_and_named_alone(tmp_path, capsys):
    from laennec import analyze
    from laennec.output.files import write_outputs
    from laennec.output.formats import summary, to_summary_csv
    from laennec.simulate import demo_recordings

    recording = demo_recordings()["wheezes"]
    soundfile.write(tmp_path / "a.wav", recording.samples, recording.sample_rate)
    found, results = analyze(tmp_path / "a.wav"), tmp_path / "results"
    write_outputs(found, None, results, "a", ["csv"])
    (results / "summary.csv").write_text(to_summary_csv([summary(found, "a.wav")]))
    (results / "excel.csv").write_text((results / "a.record.csv").read_text().replace(",", ";"))
    assert laennec("convert", results, "--to", "elan", "--out", tmp_path / "out") == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert "3 tables of whole recordings passed over (summary.csv and the like)\n" in said.out
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.eaf"]
    for name in ("summary.csv", "a.record.csv"):
        assert laennec("convert", results / name, "--to", "elan", "--out", tmp_path / "out") == 1
        what = "a table of whole recordings by `laennec analyze`, not a label file: it has no events"
        assert capsys.readouterr().err == f"laennec: {results / name}: {what}\n"
    (results / "a.csv").unlink()
    assert laennec("convert", results, "--to", "elan", "--out", tmp_path / "out") == 1
    assert "no label file in it or below it; they end in" in (said := capsys.readouterr().err)
    assert "; 3 tables of whole recordings passed over" in said


def test_a_folder_without_labels_stops_none_of_the_others(folder, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    words = (tmp_path / "empty", folder / "a.txt", "--to", "csv", "--out", tmp_path / "out")
    assert laennec("convert", *words) == 1
    said = capsys.readouterr()
    assert "empty: no label file in it or below it" in said.err
    assert "files converted" not in said.out  # a folder is no file
    assert (tmp_path / "out" / "a.csv").is_file()


def test_the_json_of_an_analysis_goes_before_its_table(tmp_path, capsys):
    from laennec import analyze
    from laennec.output.files import write_outputs
    from laennec.simulate import demo_recordings

    recording = demo_recordings()["wheezes"]
    soundfile.write(tmp_path / "a.wav", recording.samples, recording.sample_rate)
    results, table = tmp_path / "results", tmp_path / "results" / "a.csv"
    write_outputs(analyze(tmp_path / "a.wav"), None, results, "a", ["json", "csv"])
    assert laennec("convert", results, "--to", "textgrid", "--out", tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert f"{results / 'a.json'} → " in said
    assert "1 file passed over, whose events its analysis in JSON has (a.csv, for a.json)\n" in said
    assert _spans(tmp_path / "out" / "a.TextGrid") == _spans(results / "a.json") == _spans(table)
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join(lines[:-1]))  # the user has taken an event out
    assert laennec("convert", results, "--to", "textgrid", "--out", tmp_path / "other") == 2
    assert "would both write" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


def test_fifty_simulated_recordings_go_round_every_format(tmp_path):
    """From SPRSound's files to each format and back: every event is there to the millisecond."""
    from laennec.simulate import simulate_dataset

    root = tmp_path / "simulated"
    simulate_dataset(root, subjects=10, seed=3, recordings_per_subject=5)
    sources = sorted(root.rglob("*.json"))
    sources = [path for path in sources if path.parent.name.endswith("json")]
    assert len(sources) == 50
    wanted = {path.stem: _spans(path) for path in sources}
    for name, form in FORMATS.items():
        done = list(convert_all(sources, form, tmp_path / name))
        assert len(done) == 50
        assert not any(each.error for each in done)
        for each in done:
            spans = [(a, b, form.word(label)) for a, b, label in wanted[each.source.stem]]
            expected = [span for span in spans if span[2] is not None]
            found = _spans(each.written) if expected else []
            assert found == sorted(expected), (name, each.source)


def _spans(path: Path) -> list[tuple[float, float, str]]:
    events = read_labels(path).events
    return sorted((round(e.start_s, 3), round(e.end_s, 3), str(e.annotated)) for e in events)


# --- the documentation --------------------------------------------------------------------------------------


def _table(name: str) -> list[list[str]]:
    text = (ROOT / "docs" / "labels.md").read_text()
    part = re.search(rf"<!-- {name} -->(.*)<!-- end of {name} -->", text, re.DOTALL)
    rows = [line.strip("| ").split(" | ") for line in part[1].strip().splitlines()]
    return rows[2:]


def test_the_page_lists_every_format_with_what_it_holds():
    expected = [
        [
            f"`{form.name}`",
            form.title,
            f"`{form.suffix}`",
            *("yes" if what in form.holds else "–" for what in (CHANNELS, BANDS, PROBABILITIES, RECORD)),
            "its own" if form.word("a label of my own") is None else "any",
        ]
        for form in FORMATS.values()
    ]
    assert _table("formats") == expected


def test_the_page_lists_every_word():
    named = {
        (re.sub(r" \(.*?\)", "", word), term) for term, words in _table("words") for word in words.split(", ")
    }
    assert named == {*OTHER_WORDS.items(), *TERM_OF_CYCLE.items()}
    for word, term in named:
        assert known_term(word) == (term, True)
        assert known_term(word.upper()) == (term, True)
    assert known_term(PHASES[0]) == (PHASES[0], True)
    assert known_term("quiet") is None


def test_columns_that_are_not_kept_are_named(tmp_path, capsys):
    (tmp_path / "a.csv").write_text("start_s,end_s,label,presence,path,empty\n0,1,Wheeze,0.5,a.wav,\n")
    assert laennec("convert", tmp_path / "a.csv", "--to", "csv", "--out", tmp_path / "out") == 0
    assert "  the column presence is not in the file\n" in capsys.readouterr().out


def test_a_wrong_probability_names_its_line(tmp_path, capsys):
    (tmp_path / "a.csv").write_text("start_s,end_s,label,probability\n0,1,Wheeze,\n1,2,Wheeze,7\n")
    bird = "Start (s),End (s),Scientific name,Common name,Confidence\n0,1,Wheeze,Wheeze,x\n"
    (tmp_path / "b.csv").write_text(bird)
    files = (tmp_path / "a.csv", tmp_path / "b.csv")
    assert laennec("convert", *files, "--to", "audacity", "--out", tmp_path / "out") == 1
    said = capsys.readouterr().err
    assert "a.csv: line 3: probability is 7; expected a number from 0 to 1" in said
    assert "b.csv: line 2: probability is x" in said


def test_files_of_hf_lung_are_called_after_their_recording(tmp_path):
    (tmp_path / "rec.csv").write_text("start_s,end_s,label\n0,1,Wheeze\n")
    assert laennec("convert", tmp_path / "rec.csv", "--to", "hf-lung", "--out", tmp_path / "out") == 0
    made = tmp_path / "out" / "rec_label.txt"
    assert made.is_file()
    assert laennec("convert", made, "--to", "rttm", "--out", tmp_path) == 0
    assert (tmp_path / "rec_label.rttm").read_text().startswith("SPEAKER rec 1 ")
    assert laennec("convert", made, "--to", "hf-lung", "--out", tmp_path) == 0
    assert (tmp_path / "rec_label.txt").is_file()
