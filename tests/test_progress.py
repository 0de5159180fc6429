"""The progress bar: on a terminal's stderr, nowhere else, and never in the way of an error."""

import pytest

from laennec.progress import progress_bar, track


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # with it, Rich takes anything for a terminal
    monkeypatch.setenv("COLUMNS", "100")


def test_a_terminal_shows_how_far_it_is(terminal: None, capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("reading") as show:
        show(2, 3)
        print("a result")
    captured = capsys.readouterr()
    assert captured.out == "a result\n"
    assert "reading" in captured.err
    assert "2/3" in captured.err


def test_track_counts_what_it_passes_on(terminal: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert list(track("abc", "reading")) == ["a", "b", "c"]
    assert "3/3" in capsys.readouterr().err
    assert list(track(iter("abc"), "reading", total=3)) == ["a", "b", "c"]
    assert "3/3" in capsys.readouterr().err


def test_nothing_is_shown_elsewhere_or_where_it_is_not_wanted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(track(range(3), "reading")) == [0, 1, 2]
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert list(track(range(3), "reading", shown=False)) == [0, 1, 2]
    assert capsys.readouterr() == ("", "")


def test_an_error_passes(terminal: None) -> None:
    with pytest.raises(ValueError, match="of the block"), progress_bar("reading"):
        raise ValueError("of the block")
