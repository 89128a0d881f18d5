"""Memory limits and CPU quotas of cgroup v1 and v2, read from a tree of made-up files."""

from __future__ import annotations

from pathlib import Path

import pytest

from txtop.system.cgroup import (
    MemoryLimit,
    choose_effective_limit,
    iterate_groups,
    read_memory_limit,
)
from txtop.system.cpu import read_cpu_quota

GIB = 2**30


class Tree:
    """A made-up /sys/fs/cgroup and /proc/self/cgroup."""

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

    def quota(self, membership: str) -> float | None:
        self.membership.write_text(membership)
        return read_cpu_quota(self.membership, self.root)


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


def test_a_group_knows_those_above_it(tree: Tree) -> None:
    tree.membership.write_text("3:cpu,cpuacct:/job/step\n2:memory:/job\n0::/user\n")
    groups = list(iterate_groups("cpu", tree.membership, tree.root))
    assert [(group.version, [*group.lineage()]) for group in groups] == [
        (1, [tree.root / path for path in ("cpu/job/step", "cpu/job", "cpu")]),
        (2, [tree.root / "user", tree.root]),
    ]


def test_v2_quota_in_cores(tree: Tree) -> None:
    tree.write("job/cpu.max", "150000 100000\n")
    assert tree.quota("0::/job\n") == 1.5


def test_v1_quota_in_cores(tree: Tree) -> None:
    tree.write("cpu/job/cpu.cfs_quota_us", "400000\n")
    tree.write("cpu/job/cpu.cfs_period_us", "100000\n")
    assert tree.quota("5:cpu,cpuacct:/job\n4:memory:/job\n0::/\n") == 4.0


@pytest.mark.parametrize("tight", ["", "a/", "a/b/", "a/b/c/"])
def test_the_tightest_quota_above_the_process_counts(tree: Tree, tight: str) -> None:
    for path in ("a/", "a/b/", "a/b/c/"):
        tree.write(f"{path}cpu.max", "max 100000\n")
    tree.write("a/b/cpu.max", "800000 100000\n")
    tree.write(f"{tight}cpu.max", "200000 100000\n")
    assert tree.quota("0::/a/b/c\n") == 2.0


def test_the_tightest_quota_counts_across_v1_parents(tree: Tree) -> None:
    for path, quota_us in (("", -1), ("a/", 300_000), ("a/b/", 600_000)):
        tree.write(f"cpu/{path}cpu.cfs_quota_us", f"{quota_us}\n")
        tree.write(f"cpu/{path}cpu.cfs_period_us", "100000\n")
    assert tree.quota("4:cpu:/a/b\n") == 3.0


@pytest.mark.parametrize("text", ["max 100000\n", "", "junk\n", "1 2 3\n", "100000 0\n"])
def test_no_quota_is_no_quota(tree: Tree, text: str) -> None:
    tree.write("cpu.max", text)
    assert tree.quota("0::/\n") is None
    tree.write("cpu/cpu.cfs_quota_us", "-1\n")
    tree.write("cpu/cpu.cfs_period_us", "100000\n")
    assert tree.quota("4:cpu:/\n0::/\n") is None


def test_no_proc_is_no_quota(tmp_path: Path) -> None:
    assert read_cpu_quota(tmp_path / "absent", tmp_path) is None


@pytest.mark.fault(54)
def test_a_joint_hierarchy_is_found_by_its_joint_name(tree: Tree) -> None:
    tree.write("cpu,cpuacct/slice/cpu.cfs_quota_us", "200000\n")
    tree.write("cpu,cpuacct/slice/cpu.cfs_period_us", "100000\n")
    assert tree.quota("5:cpu,cpuacct:/slice/job\n4:memory:/slice/job\n") == 2.0


@pytest.mark.fault(54)
def test_v2_beside_v1_has_a_folder_of_its_own(tree: Tree) -> None:
    tree.write("memory/memory.limit_in_bytes", f"{8 * GIB}\n")
    tree.write("unified/slice/cpu.max", "200000 100000\n")
    tree.write("unified/slice/memory.max", f"{GIB}\n")
    membership = "4:memory:/\n0::/slice/job\n"
    assert tree.quota(membership) == 2.0
    limit = tree.limit(membership)
    assert limit is not None and limit.limit_bytes == GIB


@pytest.mark.fault(54)
@pytest.mark.parametrize("membership", ["0::/a/b/c\n", "2:cpu:/a/b/c\n4:memory:/a/b/c\n"])
@pytest.mark.parametrize("at", ["", "a/", "a/b/", "a/b/c/"])
def test_cpu_and_memory_are_read_from_the_same_groups(tree: Tree, at: str, membership: str) -> None:
    tree.write(f"{at}cpu.max", "300000 100000\n")
    tree.write(f"{at}memory.max", f"{GIB}\n")
    tree.write(f"cpu/{at}cpu.cfs_quota_us", "300000\n")
    tree.write(f"cpu/{at}cpu.cfs_period_us", "100000\n")
    tree.write(f"memory/{at}memory.limit_in_bytes", f"{GIB}\n")
    limit = tree.limit(membership)
    assert tree.quota(membership) == 3.0
    assert limit is not None and limit.limit_bytes == GIB
