"""A device with a network of its own: a namespace, a pair of virtual cables, and a door to this machine."""

import os
import shutil
import socket
import subprocess
import threading

HERE, THERE = "10.213.7.1", "10.213.7.2"


def run(*command):
    subprocess.run(command, check=True, capture_output=True)


class Island:
    """Leaving the block takes everything down. ``cut`` loses packets without a word, as a bad radio does."""

    def __init__(self, port):
        number = os.getpid() % 100_000
        self.name, self.cable = f"adadeep{number}", f"ada{number}"
        self.port = port

    def __enter__(self):
        far = f"{self.cable}f"
        run("ip", "netns", "add", self.name)
        run("ip", "link", "add", self.cable, "type", "veth", "peer", "name", far)
        run("ip", "link", "set", far, "netns", self.name)
        run("ip", "addr", "add", f"{HERE}/30", "dev", self.cable)
        run("ip", "link", "set", self.cable, "up")
        self.inside("ip", "addr", "add", f"{THERE}/30", "dev", far)
        self.inside("ip", "link", "set", far, "up")
        self.door = Door(self.port)
        return self

    def __exit__(self, *_):
        self.door.close()
        run("ip", "netns", "del", self.name)  # takes the cables along

    def command(self, *words):
        return ["ip", "netns", "exec", self.name, *words]

    def inside(self, *words):
        run(*self.command(*words))

    def cut(self):
        run("ip", "link", "set", self.cable, "down")

    def mend(self):
        run("ip", "link", "set", self.cable, "up")

    @property
    def address(self):
        return f"http://{HERE}:{self.door.port}"


class Door:
    """Passes bytes on to a port of this machine: without accounts, the server answers this machine alone."""

    def __init__(self, port):
        self.target = port
        self.listener = socket.create_server((HERE, 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._welcome, daemon=True).start()

    def close(self):
        self.listener.close()

    def _welcome(self):
        while True:
            try:
                guest, _ = self.listener.accept()
            except OSError:
                return
            host = socket.create_connection(("127.0.0.1", self.target))
            for ends in ((guest, host), (host, guest)):
                threading.Thread(target=_pass_on, args=ends, daemon=True).start()


def _pass_on(source, sink):
    try:
        while content := source.recv(65536):
            sink.sendall(content)
    except OSError:
        pass
    for end in (source, sink):
        end.close()


def why_not():
    """Why no namespace can be made here; empty if one can."""
    if shutil.which("ip") is None:
        return "the program ip is not installed"
    try:
        run("ip", "netns", "add", "adadeep-probe")
        run("ip", "netns", "del", "adadeep-probe")
    except subprocess.CalledProcessError as error:
        return f"network namespaces are not allowed: {error.stderr.decode().strip()}"
    return ""
