"""What a step that reads can still do: fifty attempts at an effect, confined and not; and the proof made before it."""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runbook.errors import ExecutionError
from runbook.executors import confine, sandbox
from runbook.executors.launch import Launcher
from runbook.executors.process import ProcessExecutor, entering
from runbook.executors.sandbox import Proof, Sandbox
from runbook.model import Capture, Command, Effect, Ending, Needs
from tests.base import open_to_all, ordinary
from tests.executors.driving import command, run, sh

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
HERE = Path(__file__).parent
#: What no profile stops: a process of one's own.
ALWAYS = {"fork"}
NETWORK = {"connect tcp", "listen tcp", "send udp"}
#: Of the fifty, what an ordinary user cannot do anywhere.
ROOTS_OWN = {
    *("sysctl write", "set host name", "set clock", "reboot with wrong magic", "swapoff of nothing", "mount"),
    *("packet socket", "add network device", "add nft table", "load bpf", "log of the kernel cleared"),
    *("device opened to write", "device flushed"),
}


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """Both scripts where every user can read them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        for script in ("probes.py", "probing.py"):
            shutil.copy(HERE / script, folder)
            (folder / script).chmod(0o644)
        yield folder


def probed(place: Path, user: bool, confined: bool, **more: Any) -> tuple[set[str], str]:
    """What of the fifty attempts was done, and what the command was confined to."""
    python, environment = [sys.executable], dict(os.environ)
    if user:
        words, added = ordinary()
        python, environment = words[: words.index("-m")], {**os.environ, **added}
    wanted = {"confined": confined, "needs": {}, "script": str(place / "probes.py"), **more}
    done = subprocess.run(
        [*python, str(place / "probing.py"), json.dumps(wanted)],
        env=environment,
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    found = json.loads(done.stdout)
    assert len(found["results"]) == 50, found
    refusals = set(found["results"].values()) - {"done"}
    # Any other errno would be a mistake of the attempt, which would prove nothing.
    assert refusals <= {"EPERM", "EACCES", "EROFS"}, found
    return {name for name, result in found["results"].items() if result == "done"}, found["sandbox"]


@as_root
@pytest.mark.parametrize(
    ("needs", "passing", "profile"),
    [
        ({}, set(), "inspect/3: mounts, ids, calls"),
        ({"network": True}, NETWORK, "inspect/3: mounts, ids, calls"),
        ({"capabilities": ["sys_ptrace", "syslog"]}, set(), "inspect/3: mounts, ids, calls"),
        (
            {"capabilities": ["net_raw", "net_admin"]},
            {"packet socket", "add network device", "add nft table"},
            "inspect/3: mounts, ids, calls",
        ),
        ({"capabilities": ["sys_admin", "sys_ptrace"]}, set(), "inspect/3: mounts, ids, calls"),
        ({"root": True}, set(), "root/3: mounts, capabilities, landlock N, calls"),
        ({"root": True, "capabilities": ["sys_admin"]}, set(), "root/3: mounts, capabilities, landlock N, calls"),
    ],
)
def test_of_roots_fifty_attempts_only_the_declared_ones_are_done(
    place: Path, needs: dict[str, Any], passing: set[str], profile: str
) -> None:
    done, said = probed(place, user=False, confined=True, needs=needs)
    assert (done, re.sub(r"landlock \d+", "landlock N", said)) == (ALWAYS | passing, profile)


def test_of_a_users_fifty_attempts_only_one_is_done(place: Path) -> None:
    done, said = probed(place, user=True, confined=True)
    assert done == ALWAYS
    assert re.fullmatch(r"user/3: (landlock \d+|mounts), capabilities, calls", said)


def test_where_landlock_is_too_old_a_user_namespace_does_the_same(place: Path) -> None:
    done, said = probed(place, user=True, confined=True, landlock=99)
    # Nothing is written, but to somebody else's socket or process there is a way only for Landlock to close.
    assert (done, said) == (ALWAYS, "user/3: mounts, capabilities, calls")


@as_root
def test_where_there_is_no_landlock_root_has_devices_that_can_only_be_read(place: Path) -> None:
    done, said = probed(place, user=False, confined=True, needs={"root": True}, landlock=99)
    assert (done, said) == (ALWAYS, "root/3: mounts, capabilities, calls; without landlock")


@as_root
def test_unconfined_root_can_do_all_fifty(place: Path) -> None:
    done, said = probed(place, user=False, confined=False)
    assert (len(done), said) == (50, "")


def test_unconfined_a_user_can_do_all_but_what_is_roots(place: Path) -> None:
    done, _ = probed(place, user=True, confined=False)
    assert len(done) == 50 - len(ROOTS_OWN)
    assert not done & ROOTS_OWN


@pytest.fixture
def launcher() -> Iterator[Launcher]:
    launcher = Launcher()
    yield launcher
    launcher.close()


def wanted(launcher: Launcher, **needs: Any) -> dict[str, Any]:
    """What the launcher is asked for, of a command with these needs."""
    found = Sandbox(launcher).request(Command("a", "", ("true",), (), needs=Needs(**needs)))
    assert found is not None
    return {name: value for name, value in found[0].items() if name not in ("layers", "filter")}


#: Runs a proof in which one layer says that it is there, and does nothing.
HOLLOW = """
import json, sys
from runbook.executors import confine
layer, wanted = json.loads(sys.argv[1])
if layer == "no new privileges":
    confine.load_filter = lambda program: None
elif layer:
    confine._LAYERS[layer] = lambda wanted, scratch: None
import os, tempfile
scratch = tempfile.mkdtemp()
print(json.dumps(confine.prove(wanted, scratch)))
os.rmdir(scratch)
"""


def proven(layer: str, request: dict[str, Any]) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", HOLLOW, json.dumps([layer, request])], capture_output=True, text=True, check=True
    )
    return dict(json.loads(done.stdout))


@as_root
@pytest.mark.parametrize(
    ("needs", "layer", "attempt"),
    [
        ({}, "mounts", "creating a file"),
        ({}, "ids", "a new network device"),
        ({}, "calls", "a local socket"),
        ({"root": True}, "mounts", "chmod"),
        ({}, "calls", "entering a network namespace"),
        ({"capabilities": ["sys_admin"]}, "calls", "entering a mount namespace"),
        ({"capabilities": ["sys_admin"]}, "calls", "entering any namespace"),
        ({"root": True}, "capabilities", "a new network device"),
        ({"root": True}, "landlock", "opening a disk to write"),
        ({"root": True}, "calls", "flushing a device"),
    ],
)
def test_a_layer_that_does_nothing_is_found_out(
    launcher: Launcher, needs: dict[str, Any], layer: str, attempt: str
) -> None:
    request = wanted(launcher, **needs)
    assert proven("", request)["broken"] == {}
    assert attempt in proven(layer, request)["broken"]


def test_nobody_can_lead_the_proof_elsewhere(
    launcher: Launcher, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is made in a folder that others cannot enter, on a file that it makes itself."""
    made: list[tuple[str, int]] = []
    real = os.mkdir

    def mkdir(path: str, mode: int = 0o777) -> None:
        made.append((path, mode))
        real(path, mode)

    monkeypatch.setattr(os, "mkdir", mkdir)
    scratch = tmp_path / "scratch"
    real(scratch, 0o700)
    assert confine.prove({**wanted(launcher), "alternatives": []}, str(scratch))["layers"] == []
    (private, mode), (target, _) = made[:2]
    assert mode == 0o700
    assert os.path.dirname(target) == private
    assert scratch.name not in private
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scratch"]


@as_root
def test_what_is_not_a_namespace_is_not_waited_for(here: ProcessExecutor, mark: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    began = time.monotonic()
    capture = run(here, command(mark, "nsenter", f"--net={tmp_path}/pipe", "true", timeout=5))
    assert capture.ending is Ending.NOT_PERMITTED
    assert time.monotonic() - began < 4


@as_root
def test_the_log_of_the_kernel_and_terminals_of_others_are_not_read(here: ProcessExecutor, mark: str) -> None:
    master, slave = os.openpty()
    try:
        code = f"import os; os.open({os.ttyname(slave)!r}, os.O_RDONLY | os.O_NOCTTY)"
        python = os.path.realpath(sys.executable)
        for needs in (Needs(), Needs(root=True)):
            assert run(here, command(mark, python, "-I", "-S", "-c", code, needs=needs)).exit_code == 1
            assert run(here, command(mark, "head", "-c", "1", "/proc/kmsg", needs=needs)).stdout == b""
    finally:
        os.close(master)
        os.close(slave)


def test_a_scratch_folder_that_resists_goes_too(place: Path) -> None:
    code = """
from runbook.executors.executor import finish
from runbook.executors.process import ProcessExecutor
from runbook.model import Command
script = 'mkdir -p $TMPDIR/a/b; chmod 0 $TMPDIR/a; mkdir -m 0 $TMPDIR/x; echo $TMPDIR; cd $TMPDIR; mkdir d; cd d; n=0; '
script += 'while [ $n -lt 1500 ]; do mkdir dddddddddd && cd dddddddddd || exit; n=$((n+1)); done'
with ProcessExecutor() as executor:
    command = Command("a", "", ("sh", "-c", script), (("PATH", "/bin:/usr/bin"),))
    print(finish(executor.execute(command)).stdout.decode(), end="")
"""
    words, added = ordinary()
    python, environment = words[: words.index("-m")], {**os.environ, **added}
    done = subprocess.run([*python, "-c", code], env=environment, cwd="/", capture_output=True, text=True, check=True)
    assert done.stdout.startswith("/")
    assert not os.path.exists(done.stdout.strip())


def test_where_the_proof_fails_nothing_is_run(
    launcher: Launcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(*_: object) -> Proof:
        raise ExecutionError("the confinement `inspect` does not hold on this host: chmod was not stopped")

    monkeypatch.setattr(sandbox, "prove", told)
    with ProcessExecutor(launcher=launcher) as executor, pytest.raises(ExecutionError, match="does not hold"):
        run(executor, sh("", f"touch {tmp_path}/ran"))
    assert not (tmp_path / "ran").exists()


def test_a_runbook_can_require_the_whole_sandbox(launcher: Launcher, monkeypatch: pytest.MonkeyPatch) -> None:
    profile = "user" if os.geteuid() else "inspect"
    less = Proof(profile, ("calls",), {"landlock": "version 3 is needed, none is here", "mounts": "mount: refused"})
    monkeypatch.setattr(sandbox, "prove", lambda *_: less)
    with ProcessExecutor(launcher=launcher) as executor:
        capture = run(executor, replace(command("", "true"), sandbox_required=True))
        assert capture.ending is Ending.NOT_PERMITTED
        assert "needs the whole sandbox, and here it is only" in capture.detail
        assert "mount: refused" in capture.detail
        # Without that word it runs, and says what is missing.
        assert "; without " in run(executor, command("", "true")).sandbox


def test_what_is_missing_is_said() -> None:
    assert str(Proof("user", ("landlock", "capabilities", "calls"), {}, 7)) == "user/3: landlock 7, capabilities, calls"
    assert str(Proof("inspect", ("capabilities",))) == "inspect/3: capabilities; without mounts, calls"
    assert str(Proof("user", ())) == "user/3: nothing; without landlock, capabilities, calls"


def test_a_step_that_changes_the_host_is_not_confined(here: ProcessExecutor, mark: str, tmp_path: Path) -> None:
    capture = run(here, sh(mark, f"echo changed > {tmp_path}/file", effect=Effect.CHANGE))
    assert (capture.exit_code, capture.sandbox) == (0, "")
    assert (tmp_path / "file").read_text() == "changed\n"


def test_a_step_that_reads_has_a_folder_to_write_into(here: ProcessExecutor, mark: str) -> None:
    said = run(here, sh(mark, 'seq 9 -1 1 > "$TMPDIR/a" && sort "$TMPDIR/a" | head -n 1 && echo "$TMPDIR"'))
    first, folder = said.stdout.decode().split()
    assert first == "1"
    assert not os.path.exists(folder)


def test_its_output_can_be_opened_by_name(here: ProcessExecutor, mark: str) -> None:
    assert run(here, sh(mark, "echo out > /dev/stdout; echo err > /dev/stderr")).stdout == b"out\n"
    assert run(here, sh(mark, "echo typed > /dev/tty", terminal=True)).stdout == b"typed\r\n"


@as_root
def test_who_inspects_is_nobody_and_reads_everything(here: ProcessExecutor, mark: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("readable\n")
    secret.chmod(0o600)
    said = run(here, sh(mark, f"id -u; cat {secret}; grep -E '^(CapEff|NoNewPrivs)' /proc/self/status"))
    assert said.stdout.decode().split() == [
        str(pwd.getpwnam("bin").pw_uid),
        "readable",
        "CapEff:",
        f"{1 << 2:016x}",
        "NoNewPrivs:",
        "1",
    ]


@as_root
@pytest.mark.parametrize(
    "needs",
    [
        Needs(),
        Needs(capabilities=("sys_ptrace",)),
        Needs(capabilities=("sys_ptrace", "net_raw")),
        Needs(root=True),
        Needs(root=True, capabilities=("sys_ptrace",)),
    ],
)
def test_the_mounts_of_other_processes_are_no_way_out(
    here: ProcessExecutor, mark: str, tmp_path: Path, needs: Needs
) -> None:
    open_to_all(tmp_path)
    tmp_path.chmod(0o777)
    file = tmp_path / "file"
    file.write_text("as it was\n")
    file.chmod(0o666)
    # Ours are mounted as ever: /proc/PID/root leads there who may look into us.
    around = f"/proc/{os.getpid()}/root{tmp_path}"
    code = f"""
import mmap, os
def mapped():
    with open("{around}/file", "r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        memory[0:1] = b"x"
for attempt in (
    lambda: os.write(os.open("{around}/file", os.O_RDWR), b"x"),
    lambda: os.write(os.open("{around}/file", os.O_WRONLY), b"x"),
    lambda: os.ftruncate(os.open("{around}/file", os.O_RDWR), 1),
    lambda: os.truncate("{around}/file", 1),
    lambda: os.posix_fallocate(os.open("{around}/file", os.O_RDWR), 0, 4096),
    lambda: open("{around}/new", "w"),
    lambda: os.mkdir("{around}/folder"),
    lambda: os.unlink("{around}/file"),
    lambda: os.rename("{around}/file", "{around}/other"),
    lambda: os.chmod("{around}/file", 0o777),
    mapped,
):
    try:
        attempt()
    except OSError as error:
        print("stopped")
    else:
        print("done")
"""
    python = os.path.realpath(sys.executable)
    capture = run(here, command(mark, python, "-I", "-S", "-c", code, needs=needs))
    assert capture.stdout.split() == [b"stopped"] * 11, capture
    assert (file.read_text(), sorted(path.name for path in tmp_path.iterdir())) == ("as it was\n", ["file"])


@as_root
def test_what_is_published_cannot_have_read_secrets(mark: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "keys"
    folder.mkdir()
    (folder / "id").write_text("private\n")
    (tmp_path / "shadow").write_text("hash\n")
    monkeypatch.setattr(sandbox, "SECRET_PLACES", (str(folder), str(tmp_path / "shad*")))
    script = f"cat {folder}/id {tmp_path}/shadow; ls {folder}; cat {tmp_path}/other"
    (tmp_path / "other").write_text("public\n")
    for needs in (Needs(), Needs(root=True)):
        with ProcessExecutor(hide=True) as executor:
            assert run(executor, sh(mark, script, needs=needs)).stdout == b"public\n"
        with ProcessExecutor() as executor:
            assert run(executor, sh(mark, script, needs=needs)).stdout == b"private\nhash\nid\npublic\n"


@as_root
def test_the_homes_of_all_accounts_are_thought_of(mark: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "srv[1]"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh/id").write_text("private\n")
    (home / ".pgpass").write_text("secret\n")
    account = pwd.struct_passwd(("db", "x", 999, 999, "", f"{home}/", "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwall", lambda: [account])
    with ProcessExecutor(hide=True) as executor:
        capture = run(executor, sh(mark, f"cat '{home}/.pgpass' '{home}/.ssh/id'; ls -A '{home}/.ssh'; echo end"))
    assert capture.stdout == b"end\n"


def test_a_users_secrets_are_hidden_too(place: Path, tmp_path: Path) -> None:
    open_to_all(tmp_path)
    (tmp_path / "keys").mkdir()
    for name in ("keys/id", "other"):
        (tmp_path / name).write_text(f"{name}\n")
    code = f"""
from runbook.executors import sandbox
from runbook.executors.executor import finish
from runbook.executors.process import ProcessExecutor
from runbook.model import Command
sandbox.SECRET_PLACES = ({str(tmp_path / "keys")!r},)
with ProcessExecutor(hide=True) as executor:
    command = Command("a", "", ("cat", {str(tmp_path / "keys/id")!r}, {str(tmp_path / "other")!r}), (("PATH", "/bin"),))
    print(finish(executor.execute(command)).stdout.decode(), end="")
"""
    words, added = ordinary()
    python, environment = words[: words.index("-m")], {**os.environ, **added}
    done = subprocess.run([*python, "-c", code], env=environment, cwd="/", capture_output=True, text=True, check=True)
    assert done.stdout == "other\n"


@pytest.mark.parametrize(
    ("argv", "words", "network"),
    [
        ("ip netns exec blue ss -tln", "ss -tln", ("/run/netns/blue", "blue")),
        ("ip -n blue addr", "ip addr", ("/run/netns/blue", "")),
        ("ip -netns blue -br link", "ip -br link", ("/run/netns/blue", "")),
        ("nsenter --net=/proc/7/ns/net ss", "ss", ("/proc/7/ns/net", "")),
        ("ip netns exec ../x ss", "ip netns exec ../x ss", None),
        ("ip netns exec blue", "ip netns exec blue", None),
        ("ip netns list", "ip netns list", None),
        ("nsenter --net=/run/netns/a --mount ss", "nsenter --net=/run/netns/a --mount ss", None),
    ],
)
def test_the_way_into_a_namespace_is_the_launchers(argv: str, words: str, network: tuple[str, str] | None) -> None:
    assert entering(tuple(argv.split())) == (tuple(words.split()), network)


#: Into the namespaces of the process that the first argument names, its network last; then a change is tried in there.
ENTER = """
import ctypes, errno, os, socket, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
def enter(kind, flags):
    done = libc.setns(os.open(f"/proc/{sys.argv[1]}/ns/{kind}", os.O_RDONLY), flags) == 0
    return "done" if done else errno.errorcode[ctypes.get_errno()]
print(enter("net", 0), enter("mnt", 0x20000), enter("mnt", 0x40020000), enter("mnt", 0), enter("user", 0x10000000),
      enter("pid", 0x20000000), enter("net", 0x40000000), os.readlink("/proc/self/ns/net"))
with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as link:
    # RTM_NEWLINK with NLM_F_REQUEST | NLM_F_ACK: the loopback, which is link 1, up.
    body = struct.pack("BxHiII", 0, 0, 1, 1, 1)
    link.sendto(struct.pack("IHHII", 16 + len(body), 16, 0x5, 1, 0) + body, (0, 0))
    number = struct.unpack_from("i", link.recv(4096), 16)[0]
print(errno.errorcode[-number] if number else "changed")
try:
    socket.socket(socket.AF_UNIX)
except OSError as error:
    print(errno.errorcode[error.errno])
"""


@as_root
@pytest.mark.parametrize("user", [(), ("--user", "--map-root-user")])
@pytest.mark.parametrize(
    ("needs", "enters"),
    [
        (Needs(capabilities=("sys_admin", "sys_ptrace")), True),
        (Needs(capabilities=("sys_ptrace",)), False),
        (Needs(capabilities=("syslog", "sys_ptrace")), False),
    ],
)
def test_who_declares_it_enters_networks_and_changes_nothing_there(
    here: ProcessExecutor, mark: str, needs: Needs, enters: bool, user: tuple[str, ...]
) -> None:
    """And nothing else: not by a descriptor of unknown kind, nor by several kinds at once."""
    words = ["unshare", *user, "--net", "--mount", "sh", "-c", "echo; exec sleep 60"]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.read(1)
        wanted = os.readlink(f"/proc/{other.pid}/ns/net")
        python = os.path.realpath(sys.executable)
        said = run(here, command(mark, python, "-I", "-S", "-c", ENTER, str(other.pid), needs=needs))
        other.kill()
    assert said.stdout, said
    *refused, network, where, changing, local = said.stdout.decode().split()
    assert refused == ["EPERM"] * 6
    assert (network, where == wanted) == (("done", True) if enters else ("EPERM", False))
    assert (changing, local) == ("EPERM", "EPERM")


@as_root
@pytest.mark.parametrize("capabilities", [(), ("sys_admin",)])
def test_root_itself_enters_no_network(here: ProcessExecutor, mark: str, capabilities: tuple[str, ...]) -> None:
    """Where a user namespace is root's, root could change what is in there."""
    code = "import ctypes, os; n = os.open('/proc/self/ns/net', 0); c = ctypes.CDLL(None, use_errno=True)\n"
    code += "print(c.setns(n, 0x40000000), ctypes.get_errno())"
    python = os.path.realpath(sys.executable)
    needs = Needs(root=True, capabilities=capabilities)
    assert run(here, command(mark, python, "-I", "-S", "-c", code, needs=needs)).stdout == b"-1 1\n"


@as_root
def test_commands_run_in_the_namespace_that_they_name(here: ProcessExecutor, mark: str) -> None:
    name = f"rb-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        outside = run(here, command(mark, "readlink", "/proc/self/ns/net")).stdout
        for words in (("ip", "netns", "exec", name), ("nsenter", f"--net=/run/netns/{name}")):
            inside = run(here, command(mark, *words, "readlink", "/proc/self/ns/net"))
            assert inside.exit_code == 0, inside
            assert inside.stdout != outside
            assert inside.argv[: len(words)] == words
        # Its own /sys, too: there is only the loopback device.
        assert run(here, command(mark, "ip", "netns", "exec", name, "ls", "/sys/class/net")).stdout == b"lo\n"
        assert b"lo" in run(here, command(mark, "ip", "-n", name, "-br", "link")).stdout
        missing = run(here, command(mark, "ip", "netns", "exec", "no-such", "true"))
        assert (missing.ending, missing.exit_code) == (Ending.NOT_FOUND, None)
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)


def test_confining_costs_little(mark: str) -> None:
    """At most 1 ms a step and 30 ms a run, side by side: the least of several trials is what it takes."""
    plain, read = command(mark, "true", effect=Effect.CHANGE), command(mark, "true")
    step = proof = usual = 1.0
    for _ in range(6):
        with ProcessExecutor() as executor:
            run(executor, plain)
            first = timed(executor, read)
            bare, confined = (min(timed(executor, one) for _ in range(80)) for one in (plain, read))
            step, proof, usual = min(step, confined - bare), min(proof, first - confined), min(usual, bare)
            print(f"a step {1000 * step:.2f} ms more than {1000 * bare:.2f} ms, the proof {1000 * proof:.1f} ms")
    # A bare step takes 4 ms; where others are at work, or the machine is slower, all takes longer.
    assert step <= max(0.001, usual / 4)
    assert proof <= max(0.03, usual * 8)


def timed(executor: ProcessExecutor, command: Command) -> float:
    start = time.perf_counter()
    capture: Capture = run(executor, command)
    assert capture.exit_code == 0
    return time.perf_counter() - start


def test_landlock_is_asked_for_and_not_guessed() -> None:
    assert confine.landlock_abi() >= 0
