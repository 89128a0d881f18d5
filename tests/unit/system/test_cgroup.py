"""Memory limits of cgroup v1 and v2, read from a tree of faked files."""

from __future__ import annotations

from pathlib import Path

import pytest

from txtop.system.cgroup import MemoryLimit, choose_effective_limit, read_memory_limit

GIB = 2**30


class Tree:
    """A faked /sys/fs/cgroup and /proc/self/cgroup."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "cgroup"
        self.membership = folder / "membership"
        self.root.mkdir()

    def write(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def limit(self, membership: str) -> MemoryLimit | None:
        self.membership.write_text(membership)
        return read_memory_limit(self.membership, self.root)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_v2_limit_and_what_counts_against_it(tree: Tree) -> None:
    tree.write("job/memory.max", f"{4 * GIB}\n")
    tree.write("job/memory.current", f"{3 * GIB}\n")
    tree.write("job/memory.stat", f"anon 1\nfile 2\ninactive_file {GIB}\n")
    limit = tree.limit("0::/job\n")
    assert limit is not None
    assert (limit.limit_bytes, limit.version) == (4 * GIB, 2)
    assert limit.used_bytes() == 2 * GIB


def test_v1_limit_and_what_counts_against_it(tree: Tree) -> None:
    tree.write("memory/job/memory.limit_in_bytes", f"{2 * GIB}\n")
    tree.write("memory/job/memory.usage_in_bytes", f"{GIB}\n")
    tree.write("memory/job/memory.stat", "cache 9\ntotal_inactive_file 24\n")
    limit = tree.limit("5:cpu,cpuacct:/job\n4:memory:/job\n0::/\n")
    assert limit is not None
    assert (limit.limit_bytes, limit.version) == (2 * GIB, 1)
    assert limit.used_bytes() == GIB - 24


def test_the_tightest_limit_above_the_process_counts(tree: Tree) -> None:
    tree.write("a/memory.max", f"{GIB}\n")
    tree.write("a/b/memory.max", f"{8 * GIB}\n")
    tree.write("a/b/c/memory.max", "max\n")
    limit = tree.limit("0::/a/b/c\n")
    assert limit is not None
    assert limit.folder == tree.root / "a"


def test_a_container_that_sees_the_hosts_path_reads_its_own_limit_at_the_top(tree: Tree) -> None:
    tree.write("memory.max", f"{GIB}\n")
    limit = tree.limit("0::/docker/0123456789abcdef\n")
    assert limit is not None
    assert limit.limit_bytes == GIB


def test_unlimited_is_no_limit(tree: Tree) -> None:
    tree.write("job/memory.max", "max\n")
    assert tree.limit("0::/job\n") is None
    tree.write("memory/job/memory.limit_in_bytes", "9223372036854771712\n")
    assert choose_effective_limit(tree.limit("4:memory:/job\n"), 16 * GIB) is None


@pytest.mark.parametrize("membership", ["", "nonsense", "0::", "4:memory\n", "::::\n"])
def test_odd_membership_is_no_limit(tree: Tree, membership: str) -> None:
    assert tree.limit(membership) is None


def test_no_proc_is_no_limit(tmp_path: Path) -> None:
    assert read_memory_limit(tmp_path / "absent", tmp_path) is None


def test_use_that_cannot_be_read_is_null(tree: Tree) -> None:
    tree.write("memory.max", f"{GIB}\n")
    limit = tree.limit("0::/\n")
    assert limit is not None
    assert limit.used_bytes() is None
