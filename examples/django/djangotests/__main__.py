"""Runs Django's own tests over a real server.

The argument is the folder of Django's source, of the version that is installed.
Further arguments are further tests to run, such as "csrf_tests".
Its folder ``tests`` is copied, and this package is put beside the others there,
so nothing in it changes.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import django
from waddle_client.testing import Server

# Those that use sessions most, besides the tests of sessions themselves.
LABELS = [
    "djangotests",
    "sessions_tests.tests.ClearSessionsCommandTests",
    "auth_tests.test_views",
    "auth_tests.test_remote_user",
    "auth_tests.test_basic",
    "messages_tests.test_session",
]


def main(source: str, *more: str) -> int:
    ours = Path(__file__).resolve().parent
    with tempfile.TemporaryDirectory() as folder:
        tests = Path(folder) / "tests"
        shutil.copytree(Path(source) / "tests", tests, symlinks=True)
        shutil.copytree(ours, tests / ours.name)
        # Two weeks are Django's default, which its tests expect.
        server = Server(SESSION_DURATION="336h", SESSION_COOKIE_NAME="sessionid").start()
        try:
            return subprocess.run(
                [
                    sys.executable,
                    "runtests.py",
                    "--settings=djangotests.settings",
                    "--parallel=1",
                    *LABELS,
                    *more,
                ],
                cwd=tests,
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(
                        [
                            str(tests),
                            str(Path(django.__path__[0]).parent),
                            os.environ.get("PYTHONPATH", ""),
                        ]
                    ),
                    "WADDLE_SOCKET": server.socket,
                },
            ).returncode
        finally:
            server.close()


if __name__ == "__main__":
    if len(sys.argv) < 2 or not os.path.isfile(os.path.join(sys.argv[1], "tests", "runtests.py")):
        sys.exit("usage: python3 -m djangotests DJANGO_SOURCE [TESTS]")
    sys.exit(main(*sys.argv[1:]))
