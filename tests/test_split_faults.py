"""run.sh when a rank of a group or of a pipeline fails: the others, which wait for it, are ended, and it is named."""

import re

import pytest
import splits
from jobs import ACTIONS, STEPS, lines_of_ranks, run_with_fault

# set, rank, step, action; rank 0 of a pipeline only sends, the last ones receive
FAULTS = [
    ("mlp2d_semi_4", 0, "inside", "kill"),  # its group has two ranks, and a third waits for one of these
    ("mlp2d_semi_4", 3, "before", "raise"),
    ("mlp2d_semi_4", 2, "after", "exit0"),
    ("mlp2d_semi_4", 1, "before", "busy"),
    ("mlp2d_semi_4", 2, "before", "stop"),
    ("pipe_2", 0, "before", "raise"),
    ("pipe_2", 0, "before", "hang"),
    ("pipe_2", 0, "after", "kill"),
    ("pipe_2", 1, "before", "exit7"),
    ("pipe_2", 1, "before", "busy"),
    ("pipe_2", 1, "inside", "segv"),
    ("pipe_tensor_4", 1, "before", "stop"),  # rank 3 waits for it, rank 2 for rank 3
    ("pipe_tensor_4", 0, "build", "kill"),
    ("pipe_tensor_4", 3, "after", "kill"),
    ("pipe_tensor_4", 2, "before", "hang"),
]


@pytest.mark.parametrize(
    "name, rank, step, action",
    [pytest.param(*fault, marks=[pytest.mark.slow] * bool(index % 3)) for index, fault in enumerate(FAULTS)],
    ids=["-".join(map(str, fault)) for fault in FAULTS],
)
def test_ranks_that_wait_for_a_lost_one_in_their_group_are_ended(tmp_path, name, rank, step, action):
    size = splits.count(name)
    done, _ = run_with_fault(tmp_path, size, rank, step, action, {size: splits.SPLITS / name / "Net.mindir"})
    status, text = ACTIONS[action]
    assert done.returncode == status, done.stderr
    named = lines_of_ranks(done.stderr)
    behind = re.search(r"\(.*?\)|$", named[0][1]).group()
    first = [line for line in named if behind in line[1]] if status == 124 else named[:1]
    assert rank in [number for number, _ in first], done.stderr  # a partner in the same collective may come with it
    (line,) = [line for number, line in first if number == rank]
    assert STEPS[step] in line
    assert text in line
