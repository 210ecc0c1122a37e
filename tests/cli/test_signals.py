"""Ctrl-C and SIGTERM end a command wherever they find it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sdr2hdr.cli.console import Console
from sdr2hdr.cli.signals import stop_on_signals

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGTERM")

COMMAND = """
import os, signal, sys, time, weakref
import click
from sdr2hdr import cli

def send():
    os.kill(os.getpid(), signal.Signals[os.environ["NUMBER"]])
    time.sleep(0.01)

class Thing:
    pass

@click.command()
def command():
    {work}
    # Far longer than a signal needs, and then the command has ended well.
    time.sleep(5)

cli.LazyGroup.get_command = lambda *arguments: command
sys.argv = ["sdr2hdr", "plan"]
cli.main()
"""

DROPPED_BY_PYTHON = """
    thing = Thing()
    reference = weakref.ref(thing, lambda reference: send())
    del thing
"""
DROPPED_BY_A_LIBRARY = """
    try:
        send()
    except:
        pass
"""
IN_AN_IMPORT = """
    sys.modules["__main__"].send = send
    import interrupted_module
"""
MODULE = """
import time
import __main__
from sdr2hdr.cli.signals import SignalRaiser

calls = []
raised = SignalRaiser.__call__
SignalRaiser.__call__ = lambda self, *given: (calls.append(given), raised(self, *given))
__main__.send()
for _ in range(50):
    time.sleep(0.01)
print("whole", len(calls))
"""


@pytest.mark.parametrize(("number", "code"), [("SIGTERM", 143), ("SIGINT", 130)])
@pytest.mark.parametrize(
    "work",
    [DROPPED_BY_PYTHON, DROPPED_BY_A_LIBRARY, IN_AN_IMPORT],
    ids=["dropped by Python", "dropped by a library", "in an import"],
)
def test_a_signal_is_not_lost(tmp_path: Path, work: str, number: str, code: int):
    """The first was met as torch was imported: the command ended well, as if nothing had come."""
    (tmp_path / "interrupted_module.py").write_text(MODULE)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        ended = subprocess.run(
            [sys.executable, "-c", COMMAND.format(work=work)],
            env=os.environ
            | {"PYTHONPATH": os.pathsep.join([*sys.path, str(tmp_path)]), "NUMBER": number},
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended.returncode == code, ended.stderr
    assert "nothing half written was left behind" in ended.stderr
    # Some that are interrupted take the process along, torch's at its first exception; and one that
    # the signal came to again and again, every 10 ms, never ended.
    assert ended.stdout == ("whole 1\n" if work is IN_AN_IMPORT else "")


def test_a_signal_at_the_very_end_is_no_traceback(tmp_path: Path):
    """Another came while the first was told of, or as the interpreter ended."""
    work = """
    import atexit
    atexit.register(send)
    said = cli.Console.stopped
    def stopped(*arguments):
        send()
        return said(*arguments)
    cli.Console.stopped = stopped
    send()
    """
    ended = subprocess.run(
        [sys.executable, "-c", COMMAND.format(work=work)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "NUMBER": "SIGTERM"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (143, "")


def test_a_job_in_the_background_of_a_script_hears_no_ctrl_c():
    """A shell has it ignored there: Ctrl-C is meant for the script."""
    console = Console()
    with stop_on_signals(console) as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.exit_code == 130
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stop_on_signals(console) as stop:
            os.kill(os.getpid(), signal.SIGINT)
            assert stop.exit_code is None
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(sys.platform == "win32", reason="no signals there")
def test_ctrl_c_before_the_command_line_is_there_is_no_traceback():
    program = """if True:
        import os, runpy, signal, sys
        class Interrupting:
            def find_spec(self, name, path, target=None):
                if name == "sdr2hdr.cli":
                    os.kill(os.getpid(), signal.SIGINT)
        sys.meta_path.insert(0, Interrupting())
        runpy.run_module("sdr2hdr", run_name="__main__")
        """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        ended = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    finally:
        signal.signal(signal.SIGINT, before)
    assert (ended.returncode, ended.stderr) == (-signal.SIGINT, b"")
