"""seccomp: calls of the kernel that the engine has no use for fail, whoever in it asks for them."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from typing import TYPE_CHECKING

from webapp.confinement.kernel import prctl

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PR_GET_SECCOMP, PR_SET_SECCOMP, MODE_FILTER = 21, 22, 2
MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

# Numbers on x86-64 and on aarch64; None where that machine has no such call.
Calls = dict[str, tuple[int | None, int | None]]

ALWAYS: Calls = {
    # To other machines and other programs. io_uring would open sockets past this list.
    "socket": (41, 198),
    "socketpair": (53, 199),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    # Memory and files of other processes.
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    "setpriority": (141, 140),
    "ioprio_set": (251, 30),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "sched_setattr": (314, 274),
    # Names of files as they come and go: Landlock asks for no right here.
    "inotify_init": (253, None),
    "inotify_init1": (294, 26),
    "inotify_add_watch": (254, 27),
    "fanotify_init": (300, 262),
    # By a path; up to Linux 6.1 Landlock has no right for it. By an open file it goes on.
    "truncate": (76, 45),
    # On files that it may read: others would wait for it.
    "flock": (73, 32),
    # Out of the group of processes that ends with the engine.
    "setpgid": (109, 154),
    "setsid": (112, 157),
    # What processes of one user share without files.
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "semget": (64, 190),
    "semop": (65, 193),
    "semtimedop": (220, 192),
    "semctl": (66, 191),
    "msgget": (68, 186),
    "msgsnd": (69, 189),
    "msgrcv": (70, 188),
    "msgctl": (71, 187),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    # Another view of the machine.
    "unshare": (272, 97),
    "setns": (308, 268),
    "chroot": (161, 51),
    "pivot_root": (155, 41),
    "mount": (165, 40),
    "umount2": (166, 39),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "mknod": (133, None),
    "mknodat": (259, 33),
    # Parts of the kernel that have been broken into more often than others.
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "modify_ldt": (154, None),
    "personality": (135, 92),
    # The machine itself.
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "reboot": (169, 142),
    "acct": (163, 89),
    "syslog": (103, 116),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "iopl": (172, None),
    "ioperm": (173, None),
    "vhangup": (153, 58),
    "settimeofday": (164, 170),
    "adjtimex": (159, 171),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
}

UNLESS_CONVERTING: Calls = {
    "execve": (59, 221),
    "execveat": (322, 281),
    # Landlock asks for no right here: the mode and the owner of any file of ours could be changed.
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
    "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "pidfd_send_signal": (424, 424),
}

# Their first argument is a process; 0 is this one, or its group.
ABOUT_ITSELF_ALWAYS: Calls = {"prlimit64": (302, 261), "sched_setaffinity": (203, 122)}
ABOUT_ITSELF_UNLESS_CONVERTING: Calls = {"kill": (62, 129), "tgkill": (234, 131)}

CLONE, CLONE3 = (56, 220), 435
NAMESPACES_AND_OTHER_PARENTS = 0x7E028000

FCNTL = (72, 25)
SIGNALS_AND_LEASES = (8, 10, 15, 1024, 1026)
"""F_SETOWN, F_SETSIG, F_SETOWN_EX: let an open file send any signal to any process. F_SETLEASE, F_NOTIFY."""

FIRST_UNKNOWN = 463
"""Calls that are newer than this list, and those of the x32 form, which has a bit of its own above."""

NUMBER_AT, MACHINE_AT, FIRST_ARGUMENT_AT, SECOND_ARGUMENT_AT = 0, 4, 16, 24
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW, FAIL = 0x7FFF0000, 0x00050000

Step = tuple[int, int, int, int]


def unavailable() -> str:
    """Why this machine cannot do it; empty when it can."""
    machine = os.uname().machine
    if machine not in MACHINES:
        return f"the list of calls is not known for {machine}"
    try:
        prctl(PR_GET_SECCOMP)
    except OSError as error:
        return f"the kernel has none ({error.strerror})"
    return ""


def install(calls: Calls, about_itself: Calls) -> None:
    """Let calls fail with "not permitted", some when they are about another process; for good.

    Privileges must have been forgone.

    Raises:
        OSError: the kernel refused.
    """
    steps = _program(os.uname().machine, calls, about_itself)
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
    # struct sock_fprog: a length, and where the steps are.
    prctl(PR_SET_SECCOMP, MODE_FILTER, struct.pack("@HP", len(steps), ctypes.addressof(code)))


def _program(machine: str, calls: Calls, about_itself: Calls) -> list[Step]:
    """Berkeley packet filter: jumps count the steps to leave out when the test holds, and when not."""
    column = list(MACHINES).index(machine)
    return [
        (LOAD, 0, 0, MACHINE_AT),
        (EQUAL, 1, 0, MACHINES[machine]),
        _fail(errno.EPERM),
        (LOAD, 0, 0, NUMBER_AT),
        (AT_LEAST, 0, 1, FIRST_UNKNOWN),
        _fail(errno.ENOSYS),
        # Its flags lie in memory, where nobody can look at them; libraries then use clone.
        (EQUAL, 0, 1, CLONE3),
        _fail(errno.ENOSYS),
        *_each_fails(_numbers(calls, column)),
        *_each_is_about_itself(_numbers(about_itself, column)),
        (EQUAL, 0, 4, CLONE[column]),
        (LOAD, 0, 0, FIRST_ARGUMENT_AT),
        (ANY_BIT, 0, 1, NAMESPACES_AND_OTHER_PARENTS),
        _fail(errno.EPERM),
        (RETURN, 0, 0, ALLOW),
        (EQUAL, 1, 0, FCNTL[column]),
        (RETURN, 0, 0, ALLOW),
        (LOAD, 0, 0, SECOND_ARGUMENT_AT),
        *_each_fails(SIGNALS_AND_LEASES),
        (RETURN, 0, 0, ALLOW),
    ]


def _each_fails(numbers: Iterable[int]) -> Iterator[Step]:
    for number in numbers:
        yield (EQUAL, 0, 1, number)
        yield _fail(errno.EPERM)


def _each_is_about_itself(numbers: Iterable[int]) -> Iterator[Step]:
    for number in numbers:
        yield (EQUAL, 0, 5, number)
        yield (LOAD, 0, 0, FIRST_ARGUMENT_AT)
        yield (EQUAL, 2, 0, 0)
        yield (EQUAL, 1, 0, os.getpid())
        yield _fail(errno.EPERM)
        yield (RETURN, 0, 0, ALLOW)


def _numbers(calls: Calls, column: int) -> list[int]:
    found = (each[column] for each in calls.values())
    return [number for number in found if number is not None]


def _fail(number: int) -> Step:
    return (RETURN, 0, 0, FAIL | number)
