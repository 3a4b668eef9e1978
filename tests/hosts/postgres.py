"""A PostgreSQL of the test's own: an empty cluster, a user without privileges, gone afterwards."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
OPTIONS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


def program(name):
    """Debian keeps them beside the path."""
    return shutil.which(name, path=os.pathsep.join([*map(str, PROGRAMS), os.environ["PATH"]]))


def why_not():
    """Why there is no PostgreSQL here; empty if there is one."""
    if program("initdb") is None:
        return "PostgreSQL is missing: 'make hosts' installs it on Debian, as root"
    return ""


class Cluster:
    """Listens on a socket in its folder; with ``host`` and ``port`` there too, for whoever knows the password."""

    def __init__(self, host="", port=5432, password="grey-heron"):
        self.host, self.port, self.password = host, port, password

    def __enter__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="adadeep-pg-"))
        # It refuses to run as root.
        self.user = {"user": "postgres", "group": "postgres"} if os.getuid() == 0 else {}
        if self.user:
            shutil.chown(self.folder, **self.user)
        self._run(
            "initdb", "--username=adadeep", "--auth-local=trust", "--auth-host=md5", "--no-sync"
        )
        settings = [
            *OPTIONS,
            f"listen_addresses={self.host}",
            f"port={self.port}",
            f"unix_socket_directories={self.folder}",
        ]
        options = " ".join(f"-c {setting}" for setting in settings)
        with (self.folder / "data" / "pg_hba.conf").open("a") as rules:
            rules.write("host all all all md5\n")
        self._run(
            "pg_ctl",
            "start",
            "--wait",
            "--silent",
            "--log",
            self.folder / "log",
            "--options",
            options,
        )
        self.sql("CREATE DATABASE adadeep", database="postgres")
        self.sql(f"ALTER USER adadeep PASSWORD '{self.password}'")
        return self

    def __exit__(self, *_):
        self._run("pg_ctl", "stop", "--mode=immediate")
        shutil.rmtree(self.folder)

    def _run(self, name, *options):
        command = [program(name), "--pgdata", self.folder / "data", *options]
        done = subprocess.run(
            command,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=False,
            **self.user,
        )
        assert done.returncode == 0, done.stderr.decode()

    def sql(self, statement, database="adadeep"):
        command = [
            program("psql"),
            "-h",
            self.folder,
            "-p",
            str(self.port),
            "-U",
            "adadeep",
            "-d",
            database,
            "-qAtc",
            statement,
        ]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    @property
    def url(self):
        """On this machine, without a password."""
        return f"postgres://adadeep@{str(self.folder).replace('/', '%2F')}:{self.port}/adadeep"

    @property
    def far_url(self):
        """For other machines."""
        return f"postgres://adadeep:{self.password}@{self.host}:{self.port}/adadeep"
