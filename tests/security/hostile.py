"""Paths that whoever can write to Redis may put where a function's path belongs."""

from __future__ import annotations

LIST = "tests.security.app"
APP = "tests.security.app.tasks"

_NAMES = {
    "os": "system popen _exit abort kill remove execv fork putenv popen2 spawnl chmod unlink path.join",
    "posix": "system abort rename",
    "builtins": "eval exec compile __import__ open print",
    "subprocess": "run Popen call check_output os.system",
    "sys": "exit settrace setprofile _getframe path.append modules.clear meta_path.append",
    "pickle": "loads load Unpickler",
    "shutil": "rmtree move",
    "importlib": "import_module reload sys.exit",
    "runpy": "run_path run_module",
    "socket": "socket create_connection",
    "threading": "Thread Timer",
    "multiprocessing": "Process Pool",
    "asyncio": "run create_subprocess_shell",
    "timeit": "timeit repeat",
    "code": "interact InteractiveConsole compile_command",
    "antigravity": "fly geohash",
    "this": "s d",
    "smtplib": "SMTP SMTP_SSL",
    "sqlite3": "connect Connection",
    "ast": "literal_eval parse",
    "gc": "collect get_objects",
    "signal": "raise_signal pause",
    "ctypes": "CDLL cast",
    "webbrowser": "open get",
    "tempfile": "mktemp",
    "urllib.request": "urlopen urlretrieve",
    "http.server": "test",
    "pdb": "run set_trace",
    "pty": "spawn",
    "marshal": "loads",
    "turtle": "done",
    "idlelib.pyshell": "main",
    "__main__": "f eval",
    "__builtin__": "eval",
    "aqueue": "worker.worker.Worker _core.allowed.register queue.Queue errors.SettingsError",
    "tests": "app servers.Server support.age tasks.add tasks.say_hello x.y",
    "tests.security": "app x other.harmless apps.f app_.f App.f APP.tasks.double app.Tasks.double",
    "security.app.tasks": "double",
    "app.tasks": "double",
    LIST: "__builtins__.eval __path__.append __main__.f __init__.__builtins__.eval tasks.__x__.f",
    APP: (
        "os.system os.path.join builtins.eval subprocess.Popen functools.reduce rmtree run add plus "
        "Callable Any annotations IMPORTED nothing shell Shell Shell.of Shell.__call__ Shell.mro decorated.x "
        "partial partial.func renamed nested double.__call__ double.__globals__.get wrapped.__wrapped__ "
        "__builtins__ __builtins__.eval __builtins__.exec __doc__ __dict__.get __loader__ "
        "__loader__.get_data __spec__.loader.get_data __class__ __getattribute__ cached.cache_clear"
    ),
}

_TAILS = [".", "..", " ", "\n", "\r\n", "\0", "()", "();x", "/x", ":x", "\t", "\x1b[2J"]
_HEADS = [".", "..", " ", "\n", "\0", "-", "1", "/", "(", "{x}.", "\u0445."]
_ODD = [
    *("", ".", "..", "x", "double", "a" * 600, ".".join("a" * 300), "os..system", "os:system", "os/system"),
    # letters that look like others, or become them when Python normalizes an identifier
    *("\uff4fs.system", "t\u0435sts.security.app.tasks.double", f"{APP}.\uff44ouble", f"{LIST}.\uff54asks.x"),
]  # fmt: skip

HOSTILE = [
    *(f"{module}.{name}" for module, names in _NAMES.items() for name in names.split()),
    *(f"{path}{tail}" for path in ("os.system", f"{APP}.double") for tail in _TAILS),
    *(f"{head}{APP}.double" for head in _HEADS),
    *_ODD,
]
