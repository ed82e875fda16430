"""Servers as Debian ships them: each process's profile is found, and nothing is left running."""

import resource
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from runner.supervise import proc
from tests.faults.conftest import AS_ROOT, need
from tests.leakrun_command import COMMAND, answer

pytestmark = [AS_ROOT, pytest.mark.timeout(300)]

NGINX = """
user www-data;
worker_processes 2;
daemon off;
pid {place}/nginx.pid;
error_log {place}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off; client_body_temp_path {place}/b; proxy_temp_path {place}/p; fastcgi_temp_path {place}/f;
  uwsgi_temp_path {place}/u; scgi_temp_path {place}/s;
  server {{ listen 127.0.0.1:{port}; location / {{ return 200 "hello"; }} }}
}}
"""
ASK = """import time, urllib.request
for n in range(60):
    urllib.request.urlopen('http://127.0.0.1:{port}/').read(); time.sleep(0.05)
"""
STORE = """import socket, time
s = socket.create_connection(('127.0.0.1', {port}))
for n in range(60):
    s.sendall(b'set key%d 0 0 1000\\r\\n' % n + b'x' * 1000 + b'\\r\\n'); s.recv(100); time.sleep(0.05)
"""
EACH = {"heapprofile": "kept.{pid}.*.heap", "massif": "massif.{pid}.*"}


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number: int = free.getsockname()[1]
        return number


def measured(tool: str, port: int, load: str, place: Path, *command: str, stop: str = "TERM", limit: Any = None) -> list[int]:
    """Run the server under the tool and a load; the pids of its processes, each of which has a profile and none of which runs."""
    (place / "load.py").write_text(load.format(port=port))
    words = ("-p", tool, "--every", "500ms", "--ready", f"tcp:{port}", "--load", f"{sys.executable} {place}/load.py")
    ran = subprocess.run(
        [*COMMAND, *words, "--set", f"stop.signal={stop}", "-o", place / "run", "--", *command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        preexec_fn=(lambda: resource.setrlimit(*limit)) if limit else None,
        timeout=200,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    said = answer(place / "run")
    assert said["run"]["complete"], said["reasons"]
    pids = [each["pid"] for each in said["run"]["processes"]]
    for pid in pids:
        assert list((place / "run" / "raw").glob(EACH[tool].format(pid=pid))), f"no profile of process {pid} of {pids}"
        stat = proc.stat(pid)
        assert stat is None or stat.ended
    return pids


@pytest.mark.parametrize("tool", EACH)
def test_nginx_with_two_workers(tool: str, port: int, tmp_path: Path) -> None:
    need("nginx")
    (tmp_path / "nginx.conf").write_text(NGINX.format(place=tmp_path, port=port))
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/sbin") or "nginx"
    words = (program, "-c", f"{tmp_path}/nginx.conf", "-p", f"{tmp_path}/")
    # On TERM nginx gives its workers a second and then kills them, which massif needs to write; on QUIT it waits for them.
    pids = measured(tool, port, ASK, tmp_path, *words, stop="QUIT" if tool == "massif" else "TERM")
    assert len(pids) == 3


@pytest.mark.parametrize("tool", EACH)
def test_memcached(tool: str, port: int, tmp_path: Path) -> None:
    need("memcached")
    # It sets both limits of open files to its -c; valgrind lets a program set the hard one only to what that is, the real one
    # less the 12 that valgrind keeps for itself.
    files = (resource.RLIMIT_NOFILE, (1024, 1036))
    command = ("memcached", "-u", "memcache", "-l", "127.0.0.1", "-p", str(port), "-U", "0", "-c", "1024")
    assert len(measured(tool, port, STORE, tmp_path, *command, limit=files)) == 1
